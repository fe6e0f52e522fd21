"""The model: encoder, posterior, prior, conditioning and decoder, wired.

A `PreTrainedModel`: it is saved, loaded and pushed like any other, and text
comes out of transformers' own `generate()`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, Cache, GenerationMixin, PreTrainedModel
from transformers.utils import ModelOutput

from textvae.errors import ConfigError
from textvae.model.compatibility import check_prior
from textvae.model.conditioning import CONDITIONINGS, Signals
from textvae.model.conditioning.label_embedding import LabelEmbedding
from textvae.model.configuration import TextVAEConfig
from textvae.model.decoders import DECODERS
from textvae.model.decoders.base import CACHE_NAME
from textvae.model.encoders import ENCODERS
from textvae.model.kernels.fused_nll import nll_without_grad, token_nll
from textvae.model.language_model import NoEncoder, NoPosterior
from textvae.model.posteriors import POSTERIORS, DiagonalGaussian, Distribution
from textvae.model.priors import PRIORS, Prior
from textvae.model.priors.standard_normal import StandardNormal
from textvae.runtime.device import is_bf16_fast
from textvae.schema import choose, validate_settings

IGNORED_LABEL = -100  # the label of a place that is not predicted


@dataclass
class TextVAEOutput(ModelOutput):
    """What one pass gives; in nats, summed over a sentence's tokens.

    Shapes:
        loss: scalar, the negative ELBO averaged over sentences
        reconstruction: scalar, the reconstruction averaged over sentences (it carries the gradient)
        sentence_reconstruction: (batch,), each sentence's own (it does not)
        token_reconstruction: (batch, length), each token's own (nor does it); 0 under padding
        kl: (batch, latent), per dimension, or (batch, 1); None where the posterior has no density
        latent, mean, logvar: (batch, latent); logvar is None where the posterior is no Gaussian
        posterior, prior: those the KL is between, where z was drawn
        logits: (batch, length, vocab), only without labels
    """

    loss: Tensor | None = None
    reconstruction: Tensor | None = None
    sentence_reconstruction: Tensor | None = None
    token_reconstruction: Tensor | None = None
    kl: Tensor | None = None
    latent: Tensor | None = None
    mean: Tensor | None = None
    logvar: Tensor | None = None
    posterior: Distribution | None = None
    prior: Prior | None = None
    logits: Tensor | None = None
    cache: Cache | None = None

    @property
    def past_key_values(self) -> Cache | None:
        """The cache, by the name it has in transformers before 5.24."""
        return self.cache


class TextVAEModel(PreTrainedModel, GenerationMixin):
    """A variational autoencoder of sentences."""

    config: TextVAEConfig
    config_class = TextVAEConfig
    base_model_prefix = "textvae"
    main_input_name = "input_ids"
    _supports_sdpa = True

    def __init__(self, config: TextVAEConfig) -> None:
        super().__init__(config)
        latent, heard = config.latent_dim, config.conditioning or []
        hearing = latent + (config.label_dim if config.labels else 0)
        encoder, encoder_settings = _look_up_part(
            ENCODERS, config.encoder_settings, "model.encoder"
        )
        decoder, decoder_settings = _look_up_part(
            DECODERS, config.decoder_settings, "model.decoder"
        )
        posterior, posterior_settings = _look_up_part(
            POSTERIORS, config.posterior_settings, "model.posterior"
        )
        prior, prior_settings = _look_up_part(PRIORS, config.prior_settings, "model.prior")
        check_prior(posterior_settings.kind, prior_settings.kind)
        if latent:
            self.encoder = encoder(encoder_settings, config.encoder_vocab_size)
            self.posterior = posterior(
                posterior_settings, self.encoder.hidden, latent, self.encoder.is_bidirectional
            )
        else:
            self.encoder, self.posterior = NoEncoder(), NoPosterior()
        self.prior = (
            prior(prior_settings, latent)
            if latent
            else StandardNormal(StandardNormal.Settings(), latent)
        )
        self.prior.bind_posterior(self.posterior, config.label_counts or ())
        self.decoder = decoder(decoder_settings, config.vocab_size, hearing, heard)
        self.conditioning = nn.ModuleDict(
            {
                name: CONDITIONINGS[name](hearing, self.decoder.signal_shapes[name])
                for name in self.check_conditioning(heard)
            }
        )
        if config.labels:
            self.label_embedding = LabelEmbedding(config.labels, config.label_dim)
        self.auxiliary = nn.ModuleDict()  # techniques' own weights, while it trains
        self.post_init()

    def check_conditioning(self, heard: list[str]) -> list[str]:
        """Return the conditionings, or refuse one that the decoder cannot hear."""
        for name in heard:
            choose(CONDITIONINGS, name, "model.conditioning")
            if name not in self.decoder.signal_shapes:
                kind = (self.config.decoder_settings or {}).get("kind")
                hears = ", ".join(self.decoder.signal_shapes)
                raise ConfigError(
                    f"model.conditioning = {name!r} cannot reach a {kind!r} decoder: it hears {hears}."
                )
        if not heard and self.config.latent_dim:
            raise ConfigError("model.conditioning is empty: the decoder would never hear z.")
        return heard

    def _init_weights(self, module: nn.Module) -> None:
        """Keep what each part's constructor set."""

    def get_input_embeddings(self) -> nn.Module:
        """Return the decoder's embedding."""
        embedding: nn.Module = self.decoder.embed
        return embedding

    def encode(self, encoder_input_ids: Tensor, encoder_attention_mask: Tensor) -> Distribution:
        """Return q(z | x); ids and mask are (batch, length), padded on the right."""
        states = self.encoder(encoder_input_ids, encoder_attention_mask)
        distribution: Distribution = self.posterior(states, encoder_attention_mask)
        return distribution

    def compute_signals(self, latent: Tensor, label_ids: Tensor | None = None) -> Signals:
        """Return what the decoder hears of z, (batch, latent), and of a conditional model's labels, (batch,)."""
        if self.config.labels:
            latent = self.label_embedding.beside(latent, label_ids)
        return {name: conditioning(latent) for name, conditioning in self.conditioning.items()}

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        latent: Tensor | None = None,
        encoder_input_ids: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        return_dict: bool | None = None,
        draw: "_LatentSampler | None" = None,
        label_ids: Tensor | None = None,
        cache: Cache | None = None,
    ) -> TextVAEOutput:
        """Encode (unless z is given), decode, and with labels measure.

        Args:
            input_ids: (batch, length), what the decoder reads, start token first.
            attention_mask: (batch, cached + length), non-zero on real tokens.
            labels: (batch, length), the token that follows each input; -100 is not predicted.
            latent: (batch, latent); without it z is drawn from q(z | encoder_input_ids).
            encoder_input_ids, encoder_attention_mask: (batch, encoder length), padded on the right.
            cache, past_key_values: what the decoder keeps of the tokens before `input_ids`, by either name.
            draw: how z is drawn from q in training; plainly, without.
            label_ids: (batch,), what a conditional model's sentences are; not to be mixed up with `labels`.

        Raises:
            ConfigError: the model is conditional and there are no `label_ids`.
            ValueError: neither `latent` nor `encoder_input_ids` is given.
        """
        output, prior = TextVAEOutput(), self.prior.conditional_on(label_ids)
        if latent is None:
            if encoder_input_ids is None or encoder_attention_mask is None:
                raise ValueError(
                    "give `latent`, or `encoder_input_ids` with their mask to draw it from."
                )
            posterior = self.encode(encoder_input_ids, encoder_attention_mask)
            posterior, latent = draw(self, posterior) if draw else (posterior, posterior.sample())
            output.kl = prior.kl(posterior, latent) if posterior.has_density else None
            output.posterior, output.prior, output.mean = posterior, prior, posterior.mean
            output.logvar = posterior.logvar if isinstance(posterior, DiagonalGaussian) else None
        cache = past_key_values if cache is None else cache
        if use_cache and cache is None:
            cache = self.decoder.new_cache()
        if attention_mask is None:  # `generate` leaves out one that is all ones
            read = 0 if cache is None else self.decoder.count_cached_tokens(cache)
            attention_mask = input_ids.new_ones(len(input_ids), read + input_ids.shape[1])
        states = self.decoder(
            input_ids, attention_mask, self.compute_signals(latent, label_ids), cache
        )
        output.latent, output.cache = latent, cache
        if labels is None:
            output.logits = nn.functional.linear(
                states, self.decoder.output_weight, self.decoder.output_bias
            )
            return output
        output.reconstruction, output.token_reconstruction = self.nll(states, labels)
        output.sentence_reconstruction = output.token_reconstruction.sum(1)
        output.loss = (
            output.reconstruction
            if output.kl is None
            else output.reconstruction + output.kl.sum(1).mean()
        )
        return output

    def nll(self, states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction: the mean over sentences, and each token's own (without gradient)."""
        real = labels != IGNORED_LABEL
        weight, bias = self.decoder.output_weight, self.decoder.output_bias
        mean, nll = token_nll(states[real], weight, bias, labels[real], 1 / len(labels))
        return mean, torch.zeros(labels.shape, device=nll.device).masked_scatter(real, nll)

    @torch.no_grad()
    def sentence_nll(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        latent: Tensor,
        label_ids: Tensor | None = None,
    ) -> Tensor:
        """Return -log p(x | z) of each sentence in nats, (batch,), as fast as it can be had.

        Where the processor multiplies bf16, the normaliser of each token is made of such products; all else is in
        single precision. No wrapper of the model is entered: it may be called within a pass.
        """
        states = self.decoder(input_ids, attention_mask, self.compute_signals(latent, label_ids))
        real = labels != IGNORED_LABEL
        is_exact = not self.config.latent_dim  # a language model's
        narrow = torch.bfloat16 if is_bf16_fast(states.device) and not is_exact else states.dtype
        nll = nll_without_grad(
            states[real], self.decoder.output_weight, self.decoder.output_bias, labels[real], narrow
        )
        return torch.zeros(labels.shape, device=nll.device).masked_scatter(real, nll).sum(1)

    def _prepare_cache_for_generation(
        self, generation_config: Any, model_kwargs: dict[str, Any], *args: Any
    ) -> None:
        """Let the decoder make its own cache; transformers knows only key-value ones."""
        if model_kwargs.get(CACHE_NAME) is None:
            model_kwargs[CACHE_NAME] = self.decoder.new_cache()

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        past_key_values: Cache | None = None,
        attention_mask: Tensor | None = None,
        latent: Tensor | None = None,
        label_ids: Tensor | None = None,
        cache: Cache | None = None,
        **ignored: Any,
    ) -> dict[str, Any]:
        """Give `forward` the tokens its cache has not seen; `generate` adds one at a time."""
        cache = past_key_values if cache is None else cache
        is_started = cache is not None and cache.get_seq_length() > 0
        return {
            "input_ids": input_ids[:, -1:] if is_started else input_ids,
            "attention_mask": attention_mask,
            "latent": latent,
            "label_ids": label_ids,
            "cache": cache,
            "use_cache": True,
        }


_LatentSampler = Callable[[TextVAEModel, Distribution], tuple[Distribution, Tensor]]


def _look_up_part(
    table: dict[str, Any], given: dict[str, Any] | None, path: str
) -> tuple[Any, Any]:
    """Return a part's class and its checked settings from a config's entry."""
    if not given:
        raise ConfigError(f"the config has no {path}: it is not one that textvae wrote.")
    chosen = choose(table, str(given.get("kind")), f"{path}.kind")
    return chosen, validate_settings(chosen.Settings, given, path)


AutoModel.register(TextVAEConfig, TextVAEModel)
