"""Edit: decode texts after a step in the latent.

The step goes along an attribute's direction, or by the difference of two texts:
z_c + strength * (z_b - z_a), all posterior means (Mikolov et al. 2013,
arXiv:1301.3781, for words; Shen et al. 2020, arXiv:1905.12777, for sentences).
"""

from collections.abc import Sequence

from torch import Tensor

from textvae.errors import ShapeError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import PreferredTokens, decode_latents
from textvae.inference.encode import check_not_blank, posterior, tokenize_and_truncate
from textvae.inference.refine import refine_means
from textvae.inference.settings import DecodingSettings


def edit(
    bundle: Bundle,
    texts: Sequence[str],
    direction: Tensor,
    strength: float,
    options: DecodingSettings,
    batch_size: int = 512,
    progress: bool = False,
    refine: int = 0,
    keep: float = 0.0,
) -> list[str]:
    """Return each text decoded from its posterior mean plus `strength` times `direction`.

    Where the latents are on a sphere, the sum is projected onto it.
    Strength 0 gives the reconstruction; a negative strength steps the other way.
    Decoding is greedy unless the options say otherwise.

    Args:
        direction: (latent,).
        refine: gradient steps that refine each mean before the step along the direction.
        keep: nats by which the tokens of each text are preferred in its edit.

    Raises:
        DataError: a text is blank.
        ShapeError: the direction is that of another model.
    """
    if not texts:
        return []
    check_not_blank(*texts)
    latent = bundle.model.config.latent_dim
    if direction.shape != (latent,):
        raise ShapeError(
            f"the direction has the shape {tuple(direction.shape)}, and this model needs "
            f"({latent},): use an attribute that was fitted to this model."
        )
    mean = posterior(bundle, texts, progress=progress).mean
    mean = refine_means(
        bundle, texts, mean, refine, bundle.fixed_label_ids(len(texts)), progress=progress
    )
    z = bundle.model.prior.project(mean + strength * direction)
    preferred = PreferredTokens(tokenize_and_truncate(bundle, texts), keep) if keep else None
    return decode_latents(
        bundle,
        z,
        options,
        samples_by_default=False,
        batch_size=batch_size,
        progress=progress,
        preferred=preferred,
    )


def analogy(
    bundle: Bundle,
    a: str,
    b: str,
    c: str,
    strength: float,
    options: DecodingSettings,
    refine: int = 0,
    keep: float = 0.0,
) -> str:
    """Return the text that is to `c` as `b` is to `a`.

    Decoding is greedy unless the options say otherwise.

    Raises:
        DataError: a text is blank.
    """
    check_not_blank(a, b, c)
    z_a, z_b = posterior(bundle, [a, b]).mean
    return edit(bundle, [c], z_b - z_a, strength, options, refine=refine, keep=keep)[0]
