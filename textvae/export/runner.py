"""Run an exported text VAE: texts to latents and latents to texts, without torch.

This file needs onnxruntime, tokenizers and numpy, and nothing else: a copy of it lies in every
exported folder. In Python:

    from textvae_runner import Runner
    vae = Runner("exported")
    vae.generate(3, seed=0)

and on the command line:

    python exported/textvae_runner.py generate -n 3 --seed 0

The same seed gives the same texts, but not those of textvae: torch has other random numbers.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

FORMAT = 1  # of the file textvae.json

_ROWS_PER_PASS = 64  # texts that are encoded, decoded or scored at once
_DRAWS_PER_SOURCE = (
    256  # latents from the encoder that a prefix is completed with, and from the prior
)
# As in textvae: beyond these, logits divided by the temperature overflow or all become the same.
_MIN_TEMPERATURE = 1e-6
_MAX_TEMPERATURE = 1e6
# These have an effect only if tokens are sampled.
_SAMPLING_OPTIONS = ("temperature", "top_k", "top_p")
_NUMBER_KINDS = "fiu"  # NumPy's letters for numbers, without complex ones and truth values

Floats = NDArray[np.floating[Any]]
Ids = NDArray[np.int64]


class RunnerError(ValueError):
    """The folder or an argument is wrong; the message says what was expected."""


class Decoding(TypedDict, total=False):
    """How texts are decoded; what is left out has the default of the exported model.

    Attributes:
        do_sample: whether to sample tokens instead of taking the most likely one; by default this
            depends on the method and on whether an option below is there.
        temperature: of the samples, from 1e-6 to 1e6; lower is closer to greedy.
        top_k: sample from this many of the most likely tokens; 0 means all.
        top_p: sample from the most likely tokens whose probabilities sum to this.
        max_new_tokens: most tokens of a text.
        seed: of the random numbers, 0 or more; None draws a new one.
    """

    do_sample: bool
    temperature: float
    top_k: int
    top_p: float
    max_new_tokens: int
    seed: int | None


class Runner:
    """An exported text VAE.

    Args:
        folder: what `textvae export` wrote; by default the folder of this file.
        threads: processor threads; one is fastest for small models.

    Raises:
        RunnerError: the folder holds no export, or one in another format; or `threads` is not a
            whole number.
    """

    def __init__(self, folder: str | Path | None = None, *, threads: int = 1) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        _check_count(threads, "threads", 0)  # 0: all of them
        path = Path(__file__).parent if folder is None else Path(folder)
        self.record = _read_record(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Weights that are stored in 8 bits become floating-point numbers once, when they are
        # loaded; otherwise they would be converted in every step.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        providers = ["CPUExecutionProvider"]
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(path / name, options, providers=providers)
            for name in ("encoder.onnx", "decoder.onnx")
        )
        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.encode_special_tokens = True  # `<eos>` in a text is text
        self._encoder_tokenizer = None
        if self.record["has_encoder_tokenizer"]:
            self._encoder_tokenizer = Tokenizer.from_file(str(path / "encoder_tokenizer.json"))
            self._encoder_tokenizer.encode_special_tokens = True
        special = self.record["special_tokens"]
        self._eos: int = special["eos"]
        self._unknown: int | None = special["unk"]
        self._hidden_ids = {special["pad"], special["bos"]}
        self._prior = _Prior(self.record["prior"], self.latent_dim)

    @property
    def latent_dim(self) -> int:
        """The size of z."""
        return int(self.record["latent"])

    def encode(self, texts: str | Sequence[str]) -> Floats:
        """Return the posterior means, (n, latent); NaN for blank texts.

        Raises:
            RunnerError: `texts` is neither a text nor a list of texts.
        """
        listed = _list_texts(texts)
        means = np.full((len(listed), self.latent_dim), np.nan, dtype=np.float32)
        rows = [row for row, text in enumerate(listed) if text.strip()]
        for start in range(0, len(rows), _ROWS_PER_PASS):
            part = rows[start : start + _ROWS_PER_PASS]
            means[part] = self._infer([listed[row] for row in part])["mean"]
        return means

    def decode(self, z: Any, **decoding: Unpack[Decoding]) -> list[str]:
        """Decode a text from each z, (n, latent) or (latent,); greedy by default.

        Raises:
            RunnerError: z is not an array of numbers, has another size, or a number in it is not
                finite.
        """
        latents = _convert_latents(z)
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise RunnerError(
                f"z has the shape {np.shape(z)}; expected (n, {self.latent_dim}), the latent size "
                "of this model."
            )
        if not np.isfinite(latents).all():
            raise RunnerError("z holds numbers that are not finite; leave these rows out.")
        return self._decode(latents, [], _Choice(self.record, decoding, samples_by_default=False))

    def reconstruct(
        self, texts: str | Sequence[str], **decoding: Unpack[Decoding]
    ) -> list[str | None]:
        """Decode each text from its posterior mean; greedy by default; None for blank texts."""
        z = self.encode(texts)
        rows = np.flatnonzero(~np.isnan(z).any(axis=1))
        decoded: list[str | None] = [None] * len(z)
        for row, text in zip(rows, self.decode(z[rows], **decoding), strict=True):
            decoded[row] = text
        return decoded

    def generate(self, n: int = 10, **decoding: Unpack[Decoding]) -> list[str]:
        """Decode `n` texts from samples of the prior; tokens are sampled by default."""
        choice = _Choice(self.record, decoding, samples_by_default=True)
        return self._decode(self._prior.sample(_check_count(n, "n"), choice.random), [], choice)

    def complete(self, prefix: str, n: int = 5, **decoding: Unpack[Decoding]) -> list[str]:
        """Continue a prefix `n` times; tokens are sampled by default.

        Latents that fit the prefix are sampled from the encoder and the prior, and weighted by how
        likely each makes the prefix.

        Raises:
            RunnerError: the prefix is not a text, or is longer than any text of this model.
        """
        _check_text(prefix, "prefix")
        _check_count(n, "n")
        choice = _Choice(self.record, decoding, samples_by_default=True)
        prefix = self._fold_white_space(prefix)
        ids = self._tokenize(prefix)
        if len(ids) >= self.record["max_tokens"]:
            raise RunnerError(
                f"the prefix has {len(ids)} tokens; expected fewer than "
                f"{self.record['max_tokens']}: shorten it."
            )
        if not ids:
            return self._decode(self._prior.sample(n, choice.random), [], choice)
        z, log_weights = self._propose(prefix, ids, choice.random)
        rows = choice.random.choice(len(z), n, p=_softmax(log_weights))
        known = self._join(ids)  # differs from the prefix where a word is unknown
        texts = self._decode(z[rows], ids, choice)
        return [prefix + _cut_prefix(text, known) for text in texts]

    def interpolate(
        self, first: str, second: str, *, steps: int = 7, **decoding: Unpack[Decoding]
    ) -> list[str]:
        """Decode texts on the straight line from `first` to `second`; greedy by default.

        Raises:
            RunnerError: `first` or `second` is not a text, or is blank; or there are fewer than
                two steps.
        """
        _check_text(first, "first")
        _check_text(second, "second")
        if not first.strip() or not second.strip():
            raise RunnerError("expected a text, got a blank one; write at least one word.")
        fractions = np.linspace(0, 1, _check_count(steps, "steps", 2), dtype=np.float32)[:, None]
        ends = self.encode([first, second])
        z = (1 - fractions) * ends[0] + fractions * ends[1]
        return self.decode(self._prior.project(z), **decoding)

    # Between texts and ids

    def _fold_white_space(self, text: str) -> str:
        """Return a text with single spaces between its words, unless its white space is kept."""
        return text if self.record["keeps_white_space"] else " ".join(text.split())

    def _tokenize(self, text: str) -> list[int]:
        """Return the ids of a text, without start and end."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        # A tokenizer of words finds `<eos>` if a text has it as a word: it is then unknown.
        special = {*self._hidden_ids, self._eos}
        if self._unknown is None:
            return [token for token in ids if token not in special]
        return [self._unknown if token in special else token for token in ids]

    def _join(self, ids: Iterable[int]) -> str:
        """Return the text of ids, up to the end token."""
        kept = []
        for token in ids:
            if token == self._eos:
                break
            if token not in self._hidden_ids:
                kept.append(int(token))
        text: str = self._tokenizer.decode(kept, skip_special_tokens=False)
        for spaced, joined in self.record["clean_up"]:
            text = text.replace(spaced, joined)
        return text if self.record["keeps_white_space"] else text.strip()

    # The two networks

    def _infer(self, texts: Sequence[str]) -> dict[str, Floats]:
        """Return the outputs of the encoder, (n, latent) each."""
        folded = map(self._fold_white_space, texts)
        sentences = [self._tokenize(text)[: self.record["max_tokens"] - 1] for text in folded]
        if self._encoder_tokenizer is not None:
            # It reads what the decoder's tokens spell, as in training.
            encodings = self._encoder_tokenizer.encode_batch([self._join(ids) for ids in sentences])
            ids = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
            mask = np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64)
        else:
            width = max(map(len, sentences)) + 1
            ids = np.full((len(sentences), width), self.record["special_tokens"]["pad"])
            mask = np.zeros((len(sentences), width), dtype=np.int64)
            for row, sentence in enumerate(sentences):
                ids[row, : len(sentence) + 1] = [*sentence, self._eos]
                mask[row, : len(sentence) + 1] = 1
        feed = {"input_ids": ids, "attention_mask": mask}
        names = [output.name for output in self._encoder.get_outputs()]
        return dict(zip(names, self._encoder.run(names, feed), strict=True))

    def _step(
        self, ids: Ids, z: Floats, states: dict[str, Floats]
    ) -> tuple[Floats, dict[str, Floats]]:
        """Read ids, (rows, length); return logits, (rows, length, vocab), and the new states."""
        names = ["logits", *(f"next.{name}" for name in states)]
        logits, *values = self._decoder.run(names, {"input_ids": ids, "z": z, **states})
        return logits, dict(zip(states, values, strict=True))

    def _begin(self, rows: int, prefix: Sequence[int]) -> tuple[Ids, dict[str, Floats]]:
        """Return the ids that begin each text, (rows, length), and the states before them."""
        ids = np.tile(np.array([*self.record["start"], *prefix], dtype=np.int64), (rows, 1))
        states = {}
        for name, shape in self.record["states"].items():
            sizes = [{"batch": rows, "past": 0}.get(size, size) for size in shape]
            states[name] = np.zeros(sizes, dtype=np.float32)
        return ids, states

    def _decode(self, z: Floats, prefix: Sequence[int], choice: "_Choice") -> list[str]:
        """Decode a text from each z, (n, latent); all begin with the ids of a prefix."""
        texts = []
        for start in range(0, len(z), _ROWS_PER_PASS):
            part = np.ascontiguousarray(z[start : start + _ROWS_PER_PASS])
            texts += [
                self._join([*prefix, *row]) for row in self._decode_rows(part, prefix, choice)
            ]
        return texts

    def _decode_rows(self, z: Floats, prefix: Sequence[int], choice: "_Choice") -> list[list[int]]:
        """Return the ids of each row after the prefix; rows that have ended leave the batch."""
        sequences: list[list[int]] = [[] for _ in z]
        active = np.arange(len(z))
        ids, states = self._begin(len(z), prefix)
        most = choice.max_new_tokens
        if self.record["max_positions"] is not None:
            most = min(most, self.record["max_positions"] - len(prefix))
        for _ in range(most):
            logits, states = self._step(ids, z, states)
            tokens = choice.choose(logits[:, -1])
            for row, token in zip(active, tokens, strict=True):
                sequences[row].append(int(token))
            kept = np.flatnonzero(tokens != self._eos)
            if not len(kept):
                break
            active, z, ids = active[kept], z[kept], tokens[kept, None]
            states = {
                name: value.take(kept, axis=self.record["states"][name].index("batch"))
                for name, value in states.items()
            }
        return sequences

    # Latents that fit a prefix

    def _propose(
        self, prefix: str, ids: list[int], random: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Return latents, (n, latent), and the logarithms of their importance weights, (n,)."""
        z = self._prior.sample(_DRAWS_PER_SOURCE, random)
        q = self._infer([prefix])
        if "logvar" not in q:  # without a density of q, all come from the prior
            return z, self._score_prefix(ids, z)
        noise = random.standard_normal((_DRAWS_PER_SOURCE, self.latent_dim), dtype=np.float32)
        z = np.concatenate([q["mean"] + np.exp(0.5 * q["logvar"]) * noise, z])
        prior = self._prior.log_prob(z)
        # log p(z) - log((p(z) + q(z)) / 2): half of the latents come from each.
        mixture = np.logaddexp(prior, _log_normal(z, q["mean"], q["logvar"])) - math.log(2)
        return z, self._score_prefix(ids, z) + prior - mixture

    def _score_prefix(self, ids: list[int], z: Floats) -> Floats:
        """Return log p(prefix | z) in nats, (n,)."""
        scores = []
        for start in range(0, len(z), _ROWS_PER_PASS):
            part = z[start : start + _ROWS_PER_PASS]
            read, states = self._begin(len(part), ids[:-1])
            logits = self._step(read, part, states)[0][:, -len(ids) :]
            chosen = logits[:, np.arange(len(ids)), ids]
            scores.append((chosen - _logsumexp(logits)).sum(1))
        return np.concatenate(scores)


class _Choice:
    """Chooses the next token of each row, greedily or by sampling."""

    def __init__(
        self, record: dict[str, Any], decoding: Decoding, *, samples_by_default: bool
    ) -> None:
        unknown = sorted(set(decoding) - set(Decoding.__annotations__))
        if unknown:
            known = ", ".join(sorted(Decoding.__annotations__))
            raise RunnerError(f"decoding has no option {unknown[0]!r}; expected some of {known}.")
        options = {**record["decoding"], "max_new_tokens": record["max_tokens"], **decoding}
        self.temperature = _check_number(
            options["temperature"],
            "temperature",
            (_MIN_TEMPERATURE, _MAX_TEMPERATURE),
            f"from {_MIN_TEMPERATURE:g} to {_MAX_TEMPERATURE:g}",
        )
        self.top_k = _check_count(options["top_k"], "top_k", 0)
        # The lower bound is the smallest number above 0.
        self.top_p = _check_number(
            options["top_p"], "top_p", (math.ulp(0.0), 1.0), "above 0 and up to 1"
        )
        self.max_new_tokens = _check_count(options["max_new_tokens"], "max_new_tokens")
        self.do_sample = _choose_sampling(decoding, samples_by_default)
        seed = decoding.get("seed")
        self.random = np.random.default_rng(None if seed is None else _check_count(seed, "seed", 0))

    def choose(self, logits: Floats) -> Ids:
        """Return a token per row, (rows,), from logits, (rows, vocab)."""
        if not self.do_sample:
            best: Ids = logits.argmax(1)
            return best
        probabilities = _softmax(self._restrict(logits / np.float32(self.temperature)))
        cumulative = probabilities.cumsum(1)
        # The last sum differs from 1 by rounding; scaling keeps every number within the sums.
        position = self.random.random((len(logits), 1)) * cumulative[:, -1:]
        tokens: Ids = (cumulative <= position).sum(1)
        return tokens

    def _restrict(self, logits: Floats) -> Floats:
        """Return the logits with -inf for tokens that top_k or top_p leaves out."""
        if 0 < self.top_k < logits.shape[1]:
            least = np.partition(logits, -self.top_k, axis=1)[:, -self.top_k, None]
            logits = np.where(logits < least, -np.inf, logits)
        if self.top_p < 1:
            order = np.argsort(-logits, axis=1, kind="stable")
            probabilities = _softmax(np.take_along_axis(logits, order, 1))
            before = probabilities.cumsum(1) - probabilities
            is_out = np.zeros(logits.shape, dtype=bool)
            np.put_along_axis(is_out, order, before >= self.top_p, 1)
            logits = np.where(is_out, -np.inf, logits)
        return logits


class _Prior:
    """p(z): the standard normal, a mixture of Gaussians, or the uniform one on a sphere."""

    def __init__(self, record: dict[str, Any], latent: int) -> None:
        self.is_spherical = record["kind"] == "uniform_sphere"
        self.latent = latent
        self.weights = np.array(record.get("weights", [1.0]))
        self.means = np.array(record.get("means", [[0.0] * latent]), dtype=np.float32)
        self.logvars = np.array(record.get("logvars", [[0.0] * latent]), dtype=np.float32)

    def sample(self, count: int, random: np.random.Generator) -> Floats:
        """Return samples, (count, latent)."""
        noise = random.standard_normal((count, self.latent), dtype=np.float32)
        if self.is_spherical:
            return self.project(noise)
        rows = np.zeros(count, dtype=np.int64)
        if len(self.weights) > 1:
            rows = random.choice(len(self.weights), count, p=self.weights / self.weights.sum())
        samples: Floats = self.means[rows] + np.exp(0.5 * self.logvars[rows]) * noise
        return samples.astype(np.float32)

    def log_prob(self, z: Floats) -> Floats:
        """Return log p(z) in nats, (n,), up to a constant on the sphere."""
        if self.is_spherical:
            return np.zeros(len(z), dtype=np.float32)
        per_component = _log_normal(z[:, None], self.means, self.logvars)
        return _logsumexp(per_component + np.log(self.weights / self.weights.sum()))

    def project(self, z: Floats) -> Floats:
        """Return z, moved to the sphere if the latents are on one."""
        if not self.is_spherical:
            return z
        norms: Floats = np.linalg.norm(z, axis=1, keepdims=True)
        return z / np.maximum(norms, 1e-12) * math.sqrt(self.latent)


def _read_record(folder: Path) -> dict[str, Any]:
    """Return the content of textvae.json.

    Raises:
        RunnerError: it is missing, damaged, or of another format.
    """
    file = folder / "textvae.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunnerError(
            f"{file}: cannot be read ({error}); expected a folder that `textvae export` wrote."
        ) from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise RunnerError(
            f"{file}: is not of format {FORMAT}, which this runner reads; use the "
            "textvae_runner.py of the same folder."
        )
    return record


def _check_count(value: object, name: str, least: int = 1) -> int:
    """Return a number of things that must be at least `least`.

    Raises:
        RunnerError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise RunnerError(f"{name} = {value!r}: expected a whole number, {least} or more.")
    return int(value)


def _check_number(value: Any, name: str, bounds: tuple[float, float], expected: str) -> float:
    """Return a number that must be in a range.

    Args:
        bounds: the lowest and the highest number that is allowed.
        expected: the range in words, for the message.

    Raises:
        RunnerError: it is not.
    """
    low, high = bounds
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        raise RunnerError(f"{name} = {value!r}: expected a number {expected}.")
    return float(value)


def _choose_sampling(decoding: Decoding, samples_by_default: bool) -> bool:
    """Return whether tokens are sampled.

    Raises:
        RunnerError: `do_sample` is not a truth value, or it is False, and another option asks for
            sampling.
    """
    asking: dict[str, Any] = {
        name: value for name, value in decoding.items() if name in _SAMPLING_OPTIONS
    }
    do_sample: object = decoding.get("do_sample", bool(asking) or samples_by_default)
    if not isinstance(do_sample, bool | np.bool_):
        raise RunnerError(
            f"do_sample = {do_sample!r}: expected True or False; leave it out for the default."
        )
    if asking and not do_sample:
        name, value = next(iter(asking.items()))
        raise RunnerError(
            f"{name} = {value!r} has no effect with do_sample = False: it samples tokens. "
            "Leave one of the two out."
        )
    return bool(do_sample)


def _list_texts(texts: object) -> list[str]:
    """Return texts as a list; a single text becomes a list of one.

    Raises:
        RunnerError: `texts` is something else, or something in it is not a text.
    """
    if isinstance(texts, str):
        return [_check_text(texts, "texts")]
    if isinstance(texts, bytes) or not isinstance(texts, Iterable):
        raise RunnerError(f"texts = {texts!r}: expected a text or a list of texts.")
    return [_check_text(text, f"texts[{row}]") for row, text in enumerate(texts)]


def _check_text(text: object, name: str) -> str:
    """Return what must be a text.

    Raises:
        RunnerError: it is something else, or cannot be encoded as UTF-8.
    """
    if not isinstance(text, str):
        raise RunnerError(f"{name} = {text!r}: expected a text.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RunnerError(
            f"{name} contains {text[error.start]!r}, half of a surrogate pair, which is not a "
            "character; remove it."
        ) from None
    return text


def _convert_latents(z: object) -> Floats:
    """Return latents as an array, (n, latent) if they have the right shape.

    Raises:
        RunnerError: they are not numbers.
    """
    try:
        array = np.asarray(z)
        if array.dtype.kind not in _NUMBER_KINDS:
            raise TypeError
        # Numbers that are too large become infinite, and the caller refuses those.
        with np.errstate(over="ignore"):
            latents: Floats = np.atleast_2d(array.astype(np.float32))
    except (TypeError, ValueError):
        raise RunnerError(
            f"z is a {type(z).__name__} that is not an array of numbers; expected one row of "
            "numbers for each text."
        ) from None
    return latents


def _log_normal(z: Floats, mean: Floats, logvar: Floats) -> Floats:
    """Return log N(z; mean, exp(logvar)) in nats, summed over the last axis."""
    squared = (z - mean) ** 2 * np.exp(-logvar)
    total: Floats = -0.5 * (squared + logvar + math.log(2 * math.pi)).sum(-1)
    return total


def _logsumexp(values: Floats) -> Floats:
    """Return log sum exp over the last axis."""
    largest = values.max(-1, keepdims=True)
    result: Floats = (np.log(np.exp(values - largest).sum(-1, keepdims=True)) + largest)[..., 0]
    return result


def _softmax(values: Floats) -> NDArray[np.float64]:
    """Return probabilities over the last axis, in double precision."""
    exponentials = np.exp(values.astype(np.float64) - values.max(-1, keepdims=True))
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum(-1, keepdims=True)
    return probabilities


def _cut_prefix(text: str, prefix: str) -> str:
    """Return what follows the prefix in a text that begins with it, except for spaces."""
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


def _main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    parser = argparse.ArgumentParser(description="Use an exported text VAE.")
    parser.add_argument("verb", choices=["generate", "reconstruct", "complete", "interpolate"])
    parser.add_argument("texts", nargs="*", help="the texts that the verb reads")
    parser.add_argument("-n", type=int, help="number of texts, or of steps of interpolate")
    parser.add_argument("--folder", help="exported folder (default: that of this file)")
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--top-k", type=int)
    parser.add_argument("--top-p", type=float)
    parser.add_argument("--seed", type=int)
    # Intermixed: options may also be between the verb and its texts.
    options = vars(parser.parse_intermixed_args(arguments))
    verb, texts, number = options.pop("verb"), options.pop("texts"), options.pop("n")
    expected = {"generate": 0, "complete": 1, "interpolate": 2}.get(verb)
    if expected is not None and len(texts) != expected:
        parser.error(f"{verb} takes {expected} texts; got {len(texts)}.")
    if number is not None and verb == "reconstruct":
        parser.error(
            "reconstruct writes one text for each text, so -n has no effect: leave it out."
        )
    folder = options.pop("folder")
    decoding: Any = {name: value for name, value in options.items() if value is not None}
    if number is not None:
        decoding["steps" if verb == "interpolate" else "n"] = number
    try:
        runner = Runner(folder)
        inputs = [texts] if verb == "reconstruct" else texts
        results: Sequence[str | None] = getattr(runner, verb)(*inputs, **decoding)
    except RunnerError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)  # noqa: T201 - the output of a command
        return 2
    for text in results:
        print(text or "")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(_main())
