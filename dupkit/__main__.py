"""``python -m dupkit`` is the command line."""

import sys

from dupkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
