"""Reconstruct: encode sentences and write them again from their posterior means.

A conditional model can write them as of another label: what the prior knows of
the labels is undone for the one and done for the other, and the decoder is told
the other.
"""

from collections.abc import Sequence

import torch

from textvae.inference.bundle import Bundle
from textvae.inference.decoding import DecodingSettings, decode_latents
from textvae.inference.encode import posterior


def reconstruct(
    bundle: Bundle,
    texts: Sequence[str],
    options: DecodingSettings,
    batch_size: int = 512,
    progress: bool = False,
    labels: Sequence[str] | None = None,
    write_as: str | None = None,
) -> list[str]:
    """Return what the model makes of each text, in the order given; greedy unless options say otherwise.

    Args:
        labels: of a conditional model, the label of each text; without them, all have the bundle's.
        write_as: the label to write them as; without it, their own.
    """
    known, z = bundle.labels, posterior(bundle, texts, progress=progress).mean
    label_ids = (
        bundle.fixed_label_ids(len(texts)) if labels is None or known is None else known.ids(labels)
    )
    if write_as is not None and known is not None and label_ids is not None:
        other = torch.full((len(texts),), known.number(write_as))
        with torch.no_grad():
            z, label_ids = bundle.model.prior.relabel(z, label_ids.cpu(), other), other
    return decode_latents(
        bundle,
        z,
        options,
        samples_by_default=False,
        batch_size=batch_size,
        progress=progress,
        label_ids=label_ids,
    )
