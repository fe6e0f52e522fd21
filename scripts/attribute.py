"""Run `textvae attribute` from a file, as torchrun and `accelerate launch` need it."""

import sys

from textvae.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["attribute", *sys.argv[1:]]))
