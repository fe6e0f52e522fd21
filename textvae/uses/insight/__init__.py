"""Insight: describe what each dimension of the latent encodes.

It also scores whether dimensions and properties of the texts correspond one to one.

columns.py          properties of the texts, such as their length
associations.py     how strongly a coordinate is associated with a column or with words
disentanglement.py  MIG, SAP and DCI
"""

from textvae.uses.insight.columns import PropertyColumn, build_column
from textvae.uses.insight.insight import insight

__all__ = ["PropertyColumn", "build_column", "insight"]
