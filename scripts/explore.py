"""Run `textvae explore` as a file: torchrun and `accelerate launch` start files."""

import sys

from textvae.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["explore", *sys.argv[1:]]))
