"""Run `textvae augment` from a file, as torchrun and `accelerate launch` need it."""

import sys

from textvae.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["augment", *sys.argv[1:]]))
