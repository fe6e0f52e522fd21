"""Iterated conditional modes (Bowman et al. 2016, arXiv:1511.06349, section 4).

It alternates between the most likely words under the latent, found by beam search, and
the posterior mean given the whole sentence. The first latent is the posterior mean of the
visible words.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from textvae.inference.bundle import Bundle
from textvae.inference.encode import block_posterior
from textvae.uses.infill.constrained_decoding import decode_fills, fill_blanks
from textvae.uses.infill.template import Template, TemplateTokens

_MODE_ITERATIONS = 3


def conditional_modes(
    bundle: Bundle,
    template: Template,
    rows: Sequence[TemplateTokens],
    beams: int,
    seed: int,
    options: Mapping[str, Any] | None = None,
) -> list[list[str]]:
    """Return the fills of each row after the last iteration, from its best beam.

    Args:
        options: further arguments of transformers' `generate`.
    """
    texts = [template.visible_sentence] * len(rows)
    for _ in range(_MODE_ITERATIONS):
        z = block_posterior(bundle, texts, len(texts)).mean
        sequences = fill_blanks(bundle, z, rows, seed, num_beams=beams, **(options or {}))
        fills = [decode_fills(bundle, row, ids) for row, ids in zip(rows, sequences, strict=True)]
        texts = [template.fill(row_fills) for row_fills in fills]
    return fills
