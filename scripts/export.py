"""Run `textvae export` as a file: torchrun and `accelerate launch` start files."""

import sys

from textvae.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
