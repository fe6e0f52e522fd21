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

from textvae.data.vectors import require_vectors
from textvae.errors import ConfigError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import batch_by_length, decode_latents
from textvae.inference.generate_arguments import drop_sampling
from textvae.inference.memory import check_texts_fit
from textvae.inference.settings import SAMPLING_OPTIONS, DecodingSettings
from textvae.model.encoders.pretrained import PretrainedEncoder

_BATCH_SIZE = 256
_ROUND = 8  # candidates that are embedded before the next ones are searched
_ADVICE = (
    "train one with model.encoder.kind=pretrained, model.encoder.states=sentence and "
    "model.encoder.train=none, as in configs/decode_embedder.yaml"
)
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
        embeddings: (n, size) or (size,), as sentence-transformers computes them.

    Raises:
        ConfigError: the encoder returns no sentence embeddings.
        ShapeError: the embeddings have another size than the encoder's.
        DataError: they are not an array of numbers, or one of them is not finite.
    """
    encoder = _require_sentence_encoder(bundle)
    vectors = _require_embeddings(embeddings, encoder).to(bundle.device)
    with torch.inference_mode():
        states = encoder.scale(vectors).unsqueeze(1)
        mask = torch.ones(states.shape[:2], device=states.device)
        mean: NDArray[np.float32] = bundle.model.infer_posterior(states, mask).mean.cpu().numpy()
    return mean


def decode_embeddings(
    bundle: Bundle, embeddings: ArrayLike, candidates: int, options: DecodingSettings
) -> list[str]:
    """Return a sentence for each embedding, in the order of the rows.

    One candidate is decoded as `TextVAE.decode` decodes z: greedily, unless the options ask for a
    sample or a beam search.

    Several candidates are embedded again, and the one whose embedding has the largest cosine
    with the given one is returned. They come in rounds of at most eight. The first round is a
    beam search. Each later round is a beam search from the given embedding moved away from that
    of the nearest text so far: what the text lacks is asked for once more. This feedback is that
    of Morris et al. 2023 (arXiv:2310.06816), without a model of its own. With `do_sample`, or an
    option of sampling such as `temperature`, all candidates but a greedy one are sampled instead.

    Args:
        embeddings: (n, size) or (size,), as sentence-transformers computes them.
        candidates: number of texts to choose from.
        options: how the texts are decoded.

    Raises:
        ConfigError: the encoder returns no sentence embeddings, options contradict each other, or
            so many candidates do not fit into memory.
        ShapeError, DataError: as `encode_embeddings` does.
    """
    encoder = _require_sentence_encoder(bundle)
    given = _require_embeddings(embeddings, encoder)
    if candidates == 1:
        return _decode_rows(bundle, given, options)
    if _asks_to_sample(options):
        # Samples are all in memory at the same time, but only one round of a search is.
        setting = "decode_embeddings.candidates"
        check_texts_fit(setting, candidates, encoder.hidden, len(given))
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
    """Return the texts of a beam search from each embedding, `count` for each.

    Raises:
        ConfigError: options contradict each other, such as a temperature without sampling.
    """
    # The last round may need a single text. It is searched too, with two beams, because the
    # options may have some that need beams, such as `length_penalty`.
    beams = max(count, options.num_beams or 1, 2)
    update = {"num_beams": beams, "num_return_sequences": count}
    texts = iter(_decode_rows(bundle, embeddings, options.model_copy(update=update)))
    return [list(islice(texts, count)) for _ in range(len(embeddings))]


def _decode_rows(bundle: Bundle, embeddings: Tensor, options: DecodingSettings) -> list[str]:
    """Return the texts that embeddings, (n, size), are decoded to."""
    z = torch.from_numpy(encode_embeddings(bundle, embeddings))
    return decode_latents(bundle, z, options, samples_by_default=False)


def _require_sentence_encoder(bundle: Bundle) -> PretrainedEncoder:
    """Return the encoder.

    Raises:
        ConfigError: it returns no sentence embeddings, or not those of its base.
    """
    encoder = bundle.model.encoder
    if not isinstance(encoder, PretrainedEncoder) or not encoder.has_sentence_state:
        raise ConfigError(f"this model has no sentence embeddings to decode: {_ADVICE}.")
    if not encoder.has_fixed_states:
        raise ConfigError(
            "this model's sentence encoder was trained (or merged by an earlier version), so its "
            f"embeddings may not be those of {encoder.settings.name}: {_ADVICE}."
        )
    return encoder


def _require_embeddings(embeddings: ArrayLike, encoder: PretrainedEncoder) -> Tensor:
    """Return embeddings as a tensor, (n, size).

    Raises:
        ShapeError: they do not have the size of the encoder's.
        DataError: they are not an array of numbers, or one of them is not finite.
    """
    meaning = "the size of the encoder's sentence embeddings"
    return require_vectors(embeddings, "embeddings", encoder.hidden, meaning)


def _normalize(vectors: Tensor) -> Tensor:
    """Return vectors of length 1, (n, size)."""
    return nn.functional.normalize(vectors, dim=-1)
