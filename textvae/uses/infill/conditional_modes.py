"""Iterated conditional modes (Bowman et al. 2016, arXiv:1511.06349, section 4).

In turn: the likeliest words under the latent, by beam search, and the latent's
mean given the whole sentence. The first latent is that of the visible words.
"""

from collections.abc import Sequence

from textvae.inference.bundle import Bundle
from textvae.inference.encode import block_posterior
from textvae.uses.infill.constrained_decoding import TemplateTokens, decode_fills, fill_blanks
from textvae.uses.infill.template import Template

_MODE_ITERATIONS = 3


def conditional_modes(
    bundle: Bundle, template: Template, rows: Sequence[TemplateTokens], beams: int, seed: int
) -> list[list[str]]:
    """Return the fills of each row after the last step, those of the best beam."""
    texts = [template.shown] * len(rows)
    for _ in range(_MODE_ITERATIONS):
        z = block_posterior(bundle, texts, len(texts)).mean
        ids = fill_blanks(bundle, z, rows, seed, num_beams=beams)
        fills = [decode_fills(bundle, row, found) for row, found in zip(rows, ids, strict=True)]
        texts = [template.filled(each) for each in fills]
    return fills
