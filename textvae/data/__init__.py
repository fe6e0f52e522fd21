"""The data of a run: from files of sentences to batches of token ids.

This module itself only names the bundled corpora. The folder of each one contains its
license and attribution.
"""

from pathlib import Path

BUNDLED_CORPORA = {"captions": str(Path(__file__).parent / "captions")}
