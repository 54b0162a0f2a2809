"""The scanner without Django: what it asks a server, what it sends there, and how it ends."""

import gzip
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flags.scanning.command import REFUSED, UNREACHABLE, UNUSABLE, main
from flags.scanning.uploading import checked_address
from flags.scanning.wire import read_files, read_head

ROOT = Path(__file__).parents[3]


class Server:
    """A server that answers as it is told and remembers what it was asked."""

    def __init__(self):
        self.keys = {"project": "shop", "keys": ["new-checkout"]}
        self.answer, self.status, self.headers = {"added": 2, "vanished": 0}, 201, {}
        self.asked = []
        self.reports = []

    def __enter__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append((self.path, self.headers["X-API-Key"]))
                self.tell(200, outer.keys)

            def do_POST(self):
                outer.asked.append((self.path, self.headers["X-API-Key"]))
                outer.reports.append(gzip.decompress(self.rfile.read(int(self.headers["Content-Length"]))))
                self.tell(outer.status, outer.answer)

            def tell(self, status, document):
                body = json.dumps(document).encode()
                self.send_response(status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("FLAGSITE_TOKEN", "fsr_secret")
    with Server() as server:
        yield server


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "a.py").write_text("on('new-checkout')\nx = newCheckout  # password = 'x'\n")
    return folder


def run(checkout, server, *more):
    return main([str(checkout), "--project", "shop", "--branch", "main", "--upload", server.url, *more])


def test_scan__uploaded__holds_what_was_found_and_no_lines(checkout, server, capsys):
    assert run(checkout, server, "--alias", "camel", "--commit", "ab12") == 0

    assert server.asked == [
        ("/api/v1/projects/shop/flag-keys", "fsr_secret"),
        ("/api/v1/code-references", "fsr_secret"),
    ]
    lines = server.reports[0].splitlines()
    head = read_head(lines[0])
    assert (head.repository, head.branch, head.commit, head.root) == ("shop", "main", "ab12", "")
    assert [(found.line, found.alias) for file in read_files(lines[1:]) for found in file.found] == [
        (1, ""),
        (2, "newCheckout"),
    ]
    assert b"password" not in server.reports[0]
    assert "2 references to 1 flags" in capsys.readouterr().err


def test_scan__with_lines__sends_them(checkout, server):
    run(checkout, server, "--lines")

    assert b"on('new-checkout')" in server.reports[0]


def test_dry_run__as_json__prints_the_report_and_sends_nothing(checkout, server, capsys):
    assert run(checkout, server, "--dry-run", "--json") == 0

    lines = capsys.readouterr().out.encode().splitlines()
    assert [file.path for file in read_files(lines[1:])] == ["a.py"]
    assert server.reports == []


def test_aliases__named_in_the_checkout__are_found(checkout, server):
    (checkout / "flagsite-aliases.json").write_text('{"new-checkout": ["useThing"]}')
    (checkout / "b.py").write_text("useThing()")

    assert run(checkout, server) == 0

    assert b"useThing" in server.reports[0]


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"new-checkout": "x"}', '{"gone": ["x"]}', '{"new-checkout": ["a b"]}']
)
def test_aliases__that_cannot_be_used__end_the_scan(content, checkout, server):
    (checkout / "flagsite-aliases.json").write_text(content)

    assert run(checkout, server) == UNUSABLE
    assert server.reports == []


def test_server__that_refuses__says_why(checkout, server, capsys):
    server.status, server.answer = 409, {"detail": "A newer scan was taken in."}

    assert run(checkout, server) == REFUSED

    assert "refuses (409): A newer scan was taken in." in capsys.readouterr().err


@pytest.mark.parametrize("keys", [[], {"keys": [7]}, {"keys": "x"}, {}])
def test_server__that_is_none_of_ours__is_told(keys, checkout, server):
    server.keys = keys

    assert run(checkout, server) == REFUSED


def test_redirect__to_somebody_else__does_not_take_the_token_there(checkout, server):
    with Server() as other:
        server.status, server.headers = 307, {"Location": other.url + "/api/v1/code-references"}
        assert run(checkout, server) == REFUSED
        server.status, server.headers = 302, {"Location": other.url}
        assert run(checkout, server) == REFUSED

    assert other.asked == []


def test_nobody_there__ends_with_its_own_code(checkout, server):
    server.url = "http://127.0.0.1:9"

    assert run(checkout, server) == UNREACHABLE


@pytest.mark.parametrize(
    "arguments", [["--alias", "kebab"], ["--token-env", "NO_SUCH_VARIABLE"], ["--branch", ""]], ids=lambda each: each[0]
)
def test_scan__that_cannot_begin__ends_with_its_own_code(arguments, checkout, server):
    assert run(checkout, server, *arguments) == UNUSABLE
    assert server.reports == []


def test_folder__that_is_not_there__is_told(tmp_path, server):
    assert run(tmp_path / "none", server) == UNUSABLE


@pytest.mark.parametrize(
    "url",
    [
        "flags.example.org",
        "http://flags.example.org",
        "ftp://x",
        "file:///etc",
        "https://",
        "https://a@b",
        "https://a?b",
    ],
)
def test_address__that_a_token_must_not_go_to__is_refused(url):
    with pytest.raises(ValueError, match=r"\."):
        checked_address(url)


def test_scanner__without_anything_installed__begins(tmp_path):
    """`-I -S`: no packages at all, so an import of one would end it."""
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from flags.scanning.command import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script, "--help"], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert "--upload" in done.stdout
