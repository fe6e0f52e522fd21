"""Complete: continue a prefix.

A latent that fits the prefix is found first: many are sampled from the prior and
from the encoder and weighted by how likely each makes the prefix (importance
resampling). Each completion continues from one latent, sampled by these weights.
"""

from textvae.data.tokenization import decode_batch, encode_batch, fold_white_space
from textvae.errors import DataError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import decode_latents
from textvae.inference.generate import sample_prior
from textvae.inference.memory import check_texts_fit
from textvae.inference.settings import DecodingSettings
from textvae.uses.latent_proposals import propose_latents


def complete(bundle: Bundle, prefix: str, count: int, options: DecodingSettings) -> list[str]:
    """Return `count` sentences that begin with `prefix`.

    Tokens are sampled unless the options say otherwise. An empty prefix is allowed.

    Raises:
        DataError: the prefix is as long as the longest sentence the model can generate.
    """
    check_texts_fit("complete.n", count, bundle.model.config.latent_dim)
    prefix = fold_white_space(bundle.tokenizer, prefix)
    ids = encode_batch(bundle.tokenizer, [prefix])[0]
    if len(ids) >= bundle.max_length:
        raise DataError(
            f"the prefix has {len(ids)} tokens and leaves no place for the end token: this model "
            f"generates at most {bundle.max_length} tokens, the end token included; shorten it."
        )
    z = (
        propose_latents(bundle, prefix, count, options.seed)
        if ids
        else sample_prior(bundle, count, options.seed)
    )
    texts = decode_latents(bundle, z, options, samples_by_default=True, prefixes=[ids] * count)
    # The decoded prefix differs from the user's where a word is unknown to the tokenizer.
    decoded_prefix = decode_batch(bundle.tokenizer, [ids])[0]
    return [prefix + _cut_prefix(text, decoded_prefix) for text in texts]


def _cut_prefix(text: str, prefix: str) -> str:
    """Return what follows the prefix in a text that begins with it, except for spaces.

    Word pieces are joined to short forms as soon as these are complete: "dog '" and an "s"
    become "dog's".
    """
    if text.startswith(prefix):
        return text[len(prefix) :]
    position = 0
    for character in "".join(prefix.split()):
        while text[position : position + 1].isspace():
            position += 1
        if text[position : position + 1] != character:
            return text
        position += 1
    return text[position:]
