"""Run `textvae push` as a file: torchrun and `accelerate launch` start files."""

import sys

from textvae.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["push", *sys.argv[1:]]))
