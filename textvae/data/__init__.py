"""The bundled corpora, by name; each folder carries its licence and attribution."""

from pathlib import Path

BUNDLED_CORPORA = {"captions": str(Path(__file__).parent / "captions")}
