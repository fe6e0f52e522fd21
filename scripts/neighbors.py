"""`textvae neighbors` for launchers: python, torchrun and accelerate launch start it alike."""

import sys

from textvae.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["neighbors", *sys.argv[1:]]))
