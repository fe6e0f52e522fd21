"""Reconstruct: encode sentences and decode them from their posterior means.

A conditional model can decode a sentence under another label. The latent is then
mapped from the prior of its own label to the prior of the other, and the decoder
receives the other label.
"""

from collections.abc import Sequence

import torch

from textvae.inference.bundle import Bundle
from textvae.inference.decoding import decode_latents
from textvae.inference.encode import posterior
from textvae.inference.refine import refine_means
from textvae.inference.settings import DecodingSettings


def reconstruct(
    bundle: Bundle,
    texts: Sequence[str],
    options: DecodingSettings,
    batch_size: int = 512,
    progress: bool = False,
    labels: Sequence[str] | None = None,
    write_as: str | None = None,
    refine: int = 0,
) -> list[str]:
    """Return the reconstruction of each text, in the order of the texts.

    Decoding is greedy unless the options say otherwise.

    Args:
        labels: the label of each text, only for a conditional model; by default all texts
            have the bundle's fixed label.
        write_as: the label to decode the texts under; by default each text's own.
        refine: gradient steps that refine each posterior mean with the text's own words.
    """
    known_labels = bundle.labels
    z = posterior(bundle, texts, progress=progress).mean
    label_ids = bundle.fixed_label_ids(len(texts))
    if labels is not None and known_labels is not None:
        label_ids = known_labels.to_ids(labels)
    z = refine_means(bundle, texts, z, refine, label_ids, progress)
    if write_as is not None and known_labels is not None and label_ids is not None:
        new_label_ids = torch.full((len(texts),), known_labels.to_id(write_as))
        with torch.no_grad():
            z = bundle.model.prior.relabel(z, label_ids.cpu(), new_label_ids)
        label_ids = new_label_ids
    return decode_latents(
        bundle,
        z,
        options,
        samples_by_default=False,
        batch_size=batch_size,
        progress=progress,
        label_ids=label_ids,
    )
