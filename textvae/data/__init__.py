"""From files to batches; here only the paths of the bundled corpora, by name.

The folder of each bundled corpus contains its license and attribution.
"""

from pathlib import Path

BUNDLED_CORPORA = {"captions": str(Path(__file__).parent / "captions")}
