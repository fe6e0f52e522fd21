"""`textvae encode` for launchers: python, torchrun and accelerate launch start it alike."""

import sys

from textvae.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["encode", *sys.argv[1:]]))
