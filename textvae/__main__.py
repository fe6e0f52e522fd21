"""Entry point of `python -m textvae`."""

import sys

from textvae.cli.main import main

sys.exit(main())
