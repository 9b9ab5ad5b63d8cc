"""``python -m causaliqa``."""

import sys

from causaliqa.cli import main

if __name__ == "__main__":
    sys.exit(main())
