"""Turn sentence embeddings back into sentences.

A model whose encoder is a frozen sentence encoder (`model.encoder.states = sentence`)
has learned to decode that encoder's embeddings. So vectors that were computed elsewhere,
by sentence-transformers or from a database, can be decoded too.
"""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from textvae.errors import ConfigError, DataError, ShapeError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import batch_by_length, decode_latents
from textvae.inference.generate_arguments import drop_sampling
from textvae.inference.settings import SAMPLING_OPTIONS, DecodingSettings
from textvae.model.encoders.pretrained import PretrainedEncoder

_BATCH_SIZE = 256
_ROUND = 8  # candidates that are embedded before the next ones are searched
_FEEDBACK = 0.5  # share of the difference that is added; chosen on 500 validation captions


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

    Several candidates are embedded again, and the one whose embedding has the largest cosine
    with the given one is returned. They come in rounds of at most eight. The first round is a
    beam search. Each later round is a beam search from the given embedding moved away from that
    of the nearest text so far: what the text lacks is asked for once more. This feedback is that
    of Morris et al. 2023 (arXiv:2310.06816), without a model of its own. With `do_sample`, or an
    option of sampling such as `temperature`, all candidates but a greedy one are sampled instead.

    Args:
        embeddings: (n, size), as sentence-transformers computes them.
        candidates: number of texts to choose from; 1 decodes greedily.
        options: how the texts are decoded.

    Raises:
        ConfigError, ShapeError, DataError: as `encode_embeddings` does.
    """
    given = _convert_embeddings(embeddings, _require_sentence_encoder(bundle).hidden)
    if candidates == 1:
        return _decode_rows(bundle, given, drop_sampling(options))
    if _asks_to_sample(options):
        greedy = _decode_rows(bundle, given, drop_sampling(options))
        repeated = given.repeat_interleave(candidates - 1, dim=0)
        sampled = iter(_decode_rows(bundle, repeated, options))
        texts = [[text, *islice(sampled, candidates - 1)] for text in greedy]
        return _find_nearest(bundle, given, texts).texts
    best = _find_nearest(bundle, given, _search(bundle, given, min(candidates, _ROUND), options))
    for start in range(_ROUND, candidates, _ROUND):
        moved = given + _FEEDBACK * (given - best.embeddings)
        moved = moved * (given.norm(dim=1) / moved.norm(dim=1).clamp_min(1e-12)).unsqueeze(1)
        found = _search(bundle, moved, min(candidates - start, _ROUND), options)
        kept = [[text, *texts] for text, texts in zip(best.texts, found, strict=True)]
        best = _find_nearest(bundle, given, kept)
    return best.texts


class _Nearest(NamedTuple):
    """The nearest text to each of n embeddings, and the embeddings of these texts, (n, size)."""

    texts: list[str]
    embeddings: Tensor


def _find_nearest(bundle: Bundle, given: Tensor, candidates: Sequence[Sequence[str]]) -> _Nearest:
    """Return the candidate of each row whose embedding has the largest cosine with the given one."""
    width = len(candidates[0]) if candidates else 1
    flat = [text for texts in candidates for text in texts]
    embedded = torch.from_numpy(embed(bundle, flat)).view(len(given), width, given.shape[1])
    cosines = (_normalize(embedded) @ _normalize(given).unsqueeze(2)).squeeze(2)
    best = cosines.argmax(1)
    texts = [row[place] for row, place in zip(candidates, best.tolist(), strict=True)]
    return _Nearest(texts, embedded[torch.arange(len(given)), best])


def _asks_to_sample(options: DecodingSettings) -> bool:
    """Return whether the options say that texts are sampled."""
    if options.do_sample is not None:
        return options.do_sample
    return any(getattr(options, name) is not None for name in SAMPLING_OPTIONS)


def _search(
    bundle: Bundle, embeddings: Tensor, count: int, options: DecodingSettings
) -> list[list[str]]:
    """Return the texts of a beam search from each embedding, `count` for each."""
    beams = {"num_beams": max(count, options.num_beams or 1), "num_return_sequences": count}
    plain = drop_sampling(options).model_copy(update=beams if count > 1 else {})
    texts = iter(_decode_rows(bundle, embeddings, plain))
    return [list(islice(texts, count)) for _ in range(len(embeddings))]


def _decode_rows(bundle: Bundle, embeddings: Tensor, options: DecodingSettings) -> list[str]:
    """Return the texts that embeddings, (n, size), are decoded to."""
    z = torch.from_numpy(encode_embeddings(bundle, embeddings))
    return decode_latents(bundle, z, options, samples_by_default=False)


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
