"""`python -m flags.scanning`: the scanner where nothing else is installed."""

import sys

from flags.scanning.command import main

if __name__ == "__main__":
    sys.exit(main())
