"""Insight: what each dimension of the latent does, and whether dimensions and properties match one to one.

columns.py         properties of the texts, given as columns; their length among them
associations.py    how strongly each coordinate goes with each column
words.py           the words at either end of a coordinate
disentanglement.py MIG, SAP and DCI
"""

from textvae.uses.insight.columns import PropertyColumn, build_column
from textvae.uses.insight.insight import insight

__all__ = ["PropertyColumn", "build_column", "insight"]
