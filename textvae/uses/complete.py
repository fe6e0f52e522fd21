"""Complete: continue a prefix.

A latent that fits the prefix is found first: many are drawn from the prior,
weighed by how likely each makes the prefix (importance resampling), and each
completion continues from one drawn by these weights.
"""

import torch
from torch import Tensor

from textvae.bundle import Bundle
from textvae.errors import DataError
from textvae.seeds import derived
from textvae.tokenization import decode_batch, encode_batch
from textvae.uses.decoding import Decoding, write
from textvae.uses.generate import prior_draws

PROPOSALS = 512  # latents drawn from the prior
PROPOSED = 2  # sets the draws among them apart from the prior's and the tokens'


def complete(bundle: Bundle, prefix: str, count: int, options: Decoding) -> list[str]:
    """Return `count` sentences that begin with `prefix`; tokens are sampled unless options say otherwise.

    Raises:
        DataError: the prefix leaves no room to continue.
    """
    prefix = " ".join(prefix.split())
    ids = encode_batch(bundle.tokenizer, [prefix])[0]
    if len(ids) >= bundle.longest:
        raise DataError(f"the prefix has {len(ids)} tokens; this model writes at most {bundle.longest}.")
    z = fitting_latents(bundle, ids, count, options.seed)
    texts = write(bundle, z, options, samples=True, prefixes=[ids] * count)
    head = decode_batch(bundle.tokenizer, [ids])[0]  # differs from the prefix where a word is unknown
    return [prefix + text.removeprefix(head) for text in texts]


def fitting_latents(bundle: Bundle, prefix: list[int], count: int, seed: int) -> Tensor:
    """Draw `count` latents from (an estimate of) p(z | prefix), (count, latent)."""
    z = prior_draws(bundle, PROPOSALS, seed)
    if not prefix:
        return z[:count] if count <= PROPOSALS else prior_draws(bundle, count, seed)
    inputs = torch.tensor([[bundle.tokenizer.bos_token_id, *prefix[:-1]]]).expand(PROPOSALS, -1).to(bundle.device)
    labels = torch.tensor([prefix]).expand(PROPOSALS, -1).to(bundle.device)
    with torch.inference_mode():
        output = bundle.model(input_ids=inputs, labels=labels, latent=z.to(bundle.device))
    assert output.sentence_reconstruction is not None
    weights = torch.softmax(-output.sentence_reconstruction.double().cpu(), dim=0)
    random = torch.Generator().manual_seed(derived(seed, PROPOSED))
    return z[torch.multinomial(weights, count, replacement=True, generator=random)]
