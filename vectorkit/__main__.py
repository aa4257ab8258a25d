"""`python -m vectorkit`."""

import sys

from vectorkit.cli import main

sys.exit(main())
