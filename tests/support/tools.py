"""What a machine may lack: chromium for the browser journeys, node and packages for the JavaScript SDKs, Prometheus."""

import os
import shutil
from pathlib import Path

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
JAVASCRIPT_FOLDER = Path(__file__).resolve().parent.parent / "contracts" / "js"

# As root chromium refuses its sandbox; the other flags keep it from calling home.
CHROMIUM_FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


def find_chromium() -> str | None:
    """The path of a chromium: `CHROMIUM` when set, else the first one on the PATH."""
    named = os.environ.get("CHROMIUM", "")
    return next((path for name in (named, *CHROMIUM_NAMES) if name and (path := shutil.which(name))), None)


def chromium_flags() -> list[str]:
    """Command-line flags for a headless chromium that talks to this machine only."""
    return [*CHROMIUM_FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]


def find_node() -> str | None:
    """The path of node, provided that the JavaScript SDKs are installed beside their tests."""
    return shutil.which("node") if (JAVASCRIPT_FOLDER / "node_modules").is_dir() else None


def missing_tools() -> dict[str, str]:
    """By marker: what the tests with it need and this machine does not have."""
    missing = {}
    if not find_chromium():
        missing["browser"] = "no chromium on the PATH (set CHROMIUM, or install the package `chromium`)"
    if not shutil.which("node"):
        missing["node"] = "no node on the PATH (install Node.js 20 or newer)"
    elif not find_node():
        missing["node"] = "the JavaScript SDKs are not installed (run `make js`)"
    if not (shutil.which("prometheus") and shutil.which("promtool")):
        missing["prometheus"] = "no prometheus and promtool on the PATH (install the package `prometheus`)"
    return missing
