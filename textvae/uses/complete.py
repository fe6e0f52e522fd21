"""Complete: continue a prefix.

A latent that fits the prefix is found first: many are drawn from the prior and
from the encoder, weighed by how likely each makes the prefix (importance
resampling), and each completion continues from one drawn by these weights.
"""

from textvae.data.tokenization import decode_batch, encode_batch
from textvae.errors import DataError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import DecodingSettings, decode_latents
from textvae.inference.generate import sample_prior
from textvae.uses.latent_proposals import propose_latents


def complete(bundle: Bundle, prefix: str, count: int, options: DecodingSettings) -> list[str]:
    """Return `count` sentences that begin with `prefix`; tokens are sampled unless options say otherwise.

    Raises:
        DataError: the prefix leaves no room to continue.
    """
    prefix = " ".join(prefix.split())
    ids = encode_batch(bundle.tokenizer, [prefix])[0]
    if len(ids) >= bundle.max_length:
        raise DataError(
            f"the prefix has {len(ids)} tokens; this model writes at most {bundle.max_length}."
        )
    seed = options.seed
    z = propose_latents(bundle, [prefix], count, seed) if ids else sample_prior(bundle, count, seed)
    texts = decode_latents(bundle, z, options, samples_by_default=True, prefixes=[ids] * count)
    head = decode_batch(bundle.tokenizer, [ids])[
        0
    ]  # differs from the prefix where a word is unknown
    return [prefix + text.removeprefix(head) for text in texts]
