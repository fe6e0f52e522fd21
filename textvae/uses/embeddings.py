"""Turn sentence embeddings back into sentences.

A model whose encoder is a frozen sentence encoder (`model.encoder.states = sentence`)
has learned to decode that encoder's embeddings. So vectors that were computed elsewhere,
by sentence-transformers or from a database, can be decoded too.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from textvae.errors import ConfigError, DataError, ShapeError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import batch_by_length, decode_latents
from textvae.inference.generate_arguments import drop_sampling
from textvae.inference.settings import DecodingSettings
from textvae.model.encoders.pretrained import PretrainedEncoder

_BATCH_SIZE = 256


def embed(bundle: Bundle, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the sentence embeddings of texts, (n, size), as the encoder's base computes them.

    Raises:
        ConfigError: the encoder returns no sentence embeddings.
    """
    encoder = _require_sentence_encoder(bundle)
    tokenizer = bundle.encoder_tokenizer
    assert tokenizer is not None, "a sentence encoder has its own tokens"
    rows = torch.empty(len(texts), encoder.hidden)
    with torch.inference_mode():
        for indices in batch_by_length([len(text) for text in texts], _BATCH_SIZE):
            # The whole text is embedded, even if the decoder would write only its beginning.
            ids, mask = tokenizer.encode([texts[index] for index in indices])
            states = encoder(ids.to(bundle.device), mask.to(bundle.device))
            rows[indices] = encoder.unscale(states[:, 0]).float().cpu()
    return rows.numpy()


def encode_embeddings(bundle: Bundle, embeddings: ArrayLike) -> NDArray[np.float32]:
    """Return the posterior mean z of each sentence embedding, (n, latent).

    Args:
        embeddings: (n, size), as sentence-transformers computes them.

    Raises:
        ConfigError: the encoder returns no sentence embeddings.
        ShapeError: the embeddings have another size than the encoder's.
        DataError: a number is not finite.
    """
    encoder = _require_sentence_encoder(bundle)
    vectors = _convert_embeddings(embeddings, encoder.hidden).to(bundle.device)
    with torch.inference_mode():
        states = encoder.scale(vectors).unsqueeze(1)
        mask = torch.ones(states.shape[:2], device=states.device)
        mean: NDArray[np.float32] = bundle.model.infer_posterior(states, mask).mean.cpu().numpy()
    return mean


def decode_embeddings(
    bundle: Bundle, embeddings: ArrayLike, candidates: int, options: DecodingSettings
) -> list[str]:
    """Return a sentence for each embedding, in the order of the rows.

    With several candidates, one text is decoded greedily and the others are sampled. All are
    embedded again, and the one whose embedding has the largest cosine with the given one is
    returned.

    Args:
        embeddings: (n, size), as sentence-transformers computes them.
        candidates: number of texts to choose from; 1 decodes greedily.
        options: how the candidates are sampled.

    Raises:
        ConfigError, ShapeError, DataError: as `encode_embeddings` does.
    """
    z = torch.from_numpy(encode_embeddings(bundle, embeddings))
    greedy = drop_sampling(options)
    texts = [decode_latents(bundle, z, greedy, samples_by_default=False)]
    if candidates > 1:
        repeated = z.repeat(candidates - 1, 1)
        sampled = decode_latents(bundle, repeated, options, samples_by_default=True)
        texts += [sampled[start : start + len(z)] for start in range(0, len(sampled), len(z))]
    if len(texts) == 1:
        return texts[0]
    given = _normalize(_convert_embeddings(embeddings, -1))
    cosines = torch.stack(
        [(given * _normalize(torch.from_numpy(embed(bundle, row)))).sum(1) for row in texts]
    )
    best = cosines.argmax(0).tolist()
    return [texts[candidate][row] for row, candidate in enumerate(best)]


def _require_sentence_encoder(bundle: Bundle) -> PretrainedEncoder:
    """Return the encoder.

    Raises:
        ConfigError: it returns no sentence embeddings.
    """
    encoder = bundle.model.encoder
    if not isinstance(encoder, PretrainedEncoder) or not encoder.has_sentence_state:
        raise ConfigError(
            "this model has no sentence embeddings to decode: train one with "
            "model.encoder.kind=pretrained and model.encoder.states=sentence, as in "
            "configs/decode_embedder.yaml."
        )
    return encoder


def _convert_embeddings(embeddings: ArrayLike, size: int) -> Tensor:
    """Return embeddings as a tensor, (n, size).

    Args:
        size: the expected size; -1 for any.

    Raises:
        ShapeError: they are not of this shape.
        DataError: a number is not finite.
    """
    vectors = torch.as_tensor(np.asarray(embeddings, dtype=np.float32))
    if vectors.ndim != 2 or (size != -1 and vectors.shape[1] != size):
        raise ShapeError(
            f"the embeddings have the shape {tuple(vectors.shape)}; expected (n, {size}), the size "
            "of the encoder's sentence embeddings."
        )
    if not torch.isfinite(vectors).all():
        raise DataError("the embeddings hold numbers that are not finite; leave these rows out.")
    return vectors


def _normalize(vectors: Tensor) -> Tensor:
    """Return vectors of length 1, (n, size)."""
    return nn.functional.normalize(vectors, dim=-1)
