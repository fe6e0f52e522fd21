"""The marginal p(x), as a model that can be searched: the average of p(x | z) over a few latents.

A beam search under one latent finds what that latent says. Here every latent
that may have given the sentence reads along, and the next token's probability
is the mean of theirs, each weighed by its importance weight and by what it gave
the tokens so far: the score of a beam is its importance-weighted log p(x),
every sentence being judged by the same latents.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, GenerationMixin, LogitsProcessorList, PreTrainedModel

from textvae.bundle import Bundle
from textvae.modeling import TextVAEModel, TextVAEOutput
from textvae.seeds import derived
from textvae.uses.decoding import start_tokens
from textvae.uses.encode import block_posterior
from textvae.uses.infill.keeping import KeepVisible, fills_of
from textvae.uses.infill.template import Template

REDRAWN = 5  # sets these draws apart from others of the seed


@dataclass(frozen=True)
class Found:
    """A sentence that was found: its log p(x) up to a constant, its fills, and how many tokens each has."""

    score: float
    text: str
    fills: list[str]
    lengths: tuple[int, ...]


def latents_of(bundle: Bundle, texts: Sequence[str], count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return `count` draws or a few more, (count, latent), from the mixture of q(z | x) of these texts.

    And their log weights, (count,): p(z) over the mixture.
    """
    q = block_posterior(bundle, texts, len(texts))
    with torch.random.fork_rng([]):
        torch.manual_seed(derived(seed, REDRAWN))
        z = torch.cat([q.sample() for _ in range(-(-count // len(texts)))])
    if not q.has_density:
        return z, torch.zeros(len(z))
    each = q.log_prob(z.unsqueeze(1).expand(-1, len(texts), -1))
    prior = bundle.prior.log_prob(z.to(bundle.device)).cpu()
    return z, prior - each.logsumexp(1) + math.log(len(texts))


@torch.inference_mode()
def search(
    bundle: Bundle, template: Template, lengths: Sequence[tuple[int, ...]], z: Tensor, log_weights: Tensor, beams: int
) -> list[Found]:
    """Return the likeliest sentences of each choice of lengths, `beams` each, under z of (latents, latent)."""
    rows, prefix = [template.forced(choice) for choice in lengths], template.tokens[0]
    keeping = KeepVisible(bundle, rows)
    written = Mixture(bundle).generate(
        input_ids=start_tokens(bundle, len(rows), [prefix] * len(rows))["input_ids"],
        latent=z.to(bundle.device, bundle.model.dtype).expand(len(rows), -1, -1),
        log_weights=log_weights.to(bundle.device, torch.float32).expand(len(rows), -1),
        logits_processor=LogitsProcessorList([keeping]),
        max_new_tokens=keeping.width - len(prefix),
        num_beams=beams,
        num_return_sequences=beams,
        do_sample=False,
        length_penalty=0.0,
        return_dict_in_generate=True,
        output_scores=True,
    )
    found = []
    for at, (ids, score) in enumerate(zip(written.sequences.tolist(), written.sequences_scores.tolist(), strict=True)):
        row, choice = rows[at // beams], lengths[at // beams]
        fills = fills_of(bundle, row, ids[1 : len(row) + 1])
        found.append(Found(score, template.filled(fills), fills, choice))
    return found


class MixtureCache(Cache):
    """What each latent's decoder remembers, and what it has explained.

    Attributes:
        evidence: (rows, latents), log weight + log p(tokens read | z).
        expected: (rows, latents, vocab), the probabilities of the token to be read next.
    """

    is_compileable = False

    def __init__(self, inner: Cache) -> None:
        super().__init__(layers=[])
        self.inner = inner
        self.evidence = self.expected = torch.empty(0)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return how many tokens were read."""
        return int(self.inner.get_seq_length(layer_idx))

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Let each beam continue from the beam it came from, with all its latents."""
        latents = self.evidence.shape[1]
        places = torch.arange(latents, device=beam_idx.device)
        self.inner.reorder_cache((beam_idx.unsqueeze(1) * latents + places).flatten())
        self.evidence, self.expected = self.evidence[beam_idx], self.expected[beam_idx]

    def read(self, token: Tensor) -> None:
        """Take in the token that came, (rows,)."""
        places = token.view(-1, 1, 1).expand(-1, self.expected.shape[1], 1)
        self.evidence = self.evidence + log(self.expected.gather(2, places).squeeze(2))


def log(probabilities: Tensor) -> Tensor:
    """Return finite logarithms."""
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


class Mixture(PreTrainedModel, GenerationMixin):
    """A text VAE under several latents at once, for `generate`; all rows begin alike and have the same latents."""

    config_class = TextVAEModel.config_class
    main_input_name = "input_ids"
    _supports_sdpa = True

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle.model.config)
        self.model, self.generation_config = bundle.model, bundle.model.generation_config
        self.label_ids = bundle.label_ids

    def forward(
        self,
        input_ids: Tensor,
        latent: Tensor,
        log_weights: Tensor,
        past_key_values: MixtureCache,
        return_dict: bool | None = None,
    ) -> TextVAEOutput:
        """Return the log-probabilities of the next token, (rows, 1, vocab), as `logits`.

        Args:
            input_ids: (rows, 1), or the tokens that every row begins with.
            latent: (rows, latents, latent), the same for every row.
            log_weights: (rows, latents); a constant more or less changes nothing.
        """
        cache = past_key_values
        if cache.get_seq_length():
            cache.read(input_ids[:, -1])
            cache.expected = self.read(input_ids, latent, cache)[:, :, -1]
        else:  # every row begins alike: it is read once
            expected = self.read(input_ids[:1], latent[:1], cache)
            cache.evidence, places = log_weights[:1], torch.zeros(len(input_ids), dtype=torch.long, device=self.device)
            for place in range(input_ids.shape[1] - 1):
                cache.expected = expected[:, :, place]
                cache.read(input_ids[:1, place + 1])
            cache.expected = expected[:, :, -1]
            cache.reorder_cache(places)
        mean = torch.einsum("rk,rkv->rv", cache.evidence.softmax(1), cache.expected)
        return TextVAEOutput(logits=log(mean).unsqueeze(1), past_key_values=cache)

    def read(self, input_ids: Tensor, latent: Tensor, cache: MixtureCache) -> Tensor:
        """Return what each latent expects after each token, (rows, latents, length, vocab)."""
        latents = latent.shape[1]
        every = input_ids.repeat_interleave(latents, 0)
        output = self.model(
            every,
            latent=latent.flatten(0, 1),
            label_ids=self.label_ids(len(every)),
            past_key_values=cache.inner,
            use_cache=True,
        )
        expected: Tensor = output.logits.float().softmax(-1).unflatten(0, (-1, latents))
        return expected

    def _prepare_cache_for_generation(self, generation_config: Any, model_kwargs: dict[str, Any], *args: Any) -> None:
        """Start with a cache of our own."""
        model_kwargs["past_key_values"] = MixtureCache(self.model.decoder.new_cache())

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        past_key_values: MixtureCache,
        latent: Tensor,
        log_weights: Tensor,
        **ignored: Any,
    ) -> dict[str, Any]:
        """Give `forward` the tokens its cache has not seen."""
        return {
            "input_ids": input_ids[:, -1:] if past_key_values.get_seq_length() else input_ids,
            "latent": latent,
            "log_weights": log_weights,
            "past_key_values": past_key_values,
        }
