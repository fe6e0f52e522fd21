"""Run `textvae decode` from a file, as torchrun and `accelerate launch` need it."""

import sys

from textvae.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["decode", *sys.argv[1:]]))
