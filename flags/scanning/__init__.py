"""Finding flag keys in a checkout. Needs the standard library alone, so it runs in CI where nothing is installed.

`names`, `matching`, `ignoring` and `wire` are pure; `files`, `git`, `running` and `uploading` touch the machine.
"""

from flags.scanning.scans import FileReferences, Found, Scan

__all__ = ["FileReferences", "Found", "Scan"]
