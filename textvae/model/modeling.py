"""The model: encoder, posterior, prior, conditioning and decoder, connected.

It is a `PreTrainedModel`: transformers saves, loads and publishes it like any
other, and its own `generate()` decodes text.
"""

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import AutoModel, Cache, GenerationMixin, PreTrainedModel
from transformers.utils import ModelOutput

from textvae.errors import ConfigError, ShapeError
from textvae.model.architectures import CACHE_NAME
from textvae.model.compatibility import check_prior
from textvae.model.conditioning import CONDITIONINGS, Signals
from textvae.model.conditioning.label_embedding import LabelEmbedding
from textvae.model.configuration import TextVAEConfig
from textvae.model.decoders import DECODERS
from textvae.model.encoders import ENCODERS
from textvae.model.kernels.fused_nll import cap_logits, nll_without_grad, token_nll
from textvae.model.language_model import NoEncoder, NoPosterior
from textvae.model.posteriors import POSTERIORS, DiagonalGaussian, Distribution
from textvae.model.priors import PRIORS, Prior
from textvae.model.priors.standard_normal import StandardNormal
from textvae.runtime.device import is_bf16_fast
from textvae.schema import choose, validate_settings

_NO_LATENT = (
    "there is no z to decode from: pass latent=, such as model.prior.sample(n) for n new "
    "sentences; or, for sentences of your own, encoder_input_ids= and encoder_attention_mask=, "
    "each sentence with its end token and padded on the right. TextVAE.from_pretrained does "
    "this for you."
)

IGNORED_LABEL = -100  # marks a position that is not predicted, as everywhere in transformers


@dataclass
class TextVAEOutput(ModelOutput):
    """The result of one forward pass. Losses are in nats, summed over the tokens of a sentence.

    Shapes:
        loss: scalar, the negative ELBO averaged over sentences
        reconstruction: scalar, -log p(x | z) averaged over sentences; it carries the gradient
        sentence_reconstruction: (batch,), one value per sentence, no gradient
        token_reconstruction: (batch, length), one value per token, no gradient; 0 under padding
        kl: (batch, latent), per dimension, or (batch, 1); None if the posterior has no density
        latent, mean, logvar: (batch, latent); logvar is None unless the posterior is a Gaussian
        posterior, prior: q(z | x) and p(z), if z was sampled in this pass
        pooled: (batch, width), the encoder's states that q(z | x) was computed from, likewise
        logits: (batch, length, vocab), only in a pass without labels
        cache: the decoder's state after these tokens, if the caller asked for one
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
    pooled: Tensor | None = None
    logits: Tensor | None = None
    cache: Cache | None = None

    @property
    def past_key_values(self) -> Cache | None:
        """The cache, under the name that transformers used before 5.24."""
        return self.cache


class TextVAEModel(PreTrainedModel, GenerationMixin):
    """A variational autoencoder of sentences."""

    config: TextVAEConfig
    config_class = TextVAEConfig
    base_model_prefix = "textvae"
    main_input_name = "input_ids"
    # transformers checks this flag on the outer model too, not only on encoder and decoder.
    _supports_sdpa = True

    def __init__(self, config: TextVAEConfig) -> None:
        super().__init__(config)
        latent = config.latent_dim
        channels = config.conditioning or []
        signal_size = latent
        if config.labels:
            signal_size += config.label_dim
        # The settings of all parts are checked before the first part is built, since
        # building a large one takes a while.
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
        # The order below is part of the model: it decides which random numbers
        # initialize which weights, so a seed gives the same model only in this order.
        if latent:
            self.encoder = encoder(encoder_settings, config.encoder_vocab_size)
            self.posterior = posterior(
                posterior_settings, self.encoder.hidden, latent, self.encoder.is_bidirectional
            )
            self.prior = prior(prior_settings, latent)
        else:  # a language model: z has no dimensions
            self.encoder = NoEncoder()
            self.posterior = NoPosterior()
            self.prior = StandardNormal(StandardNormal.Settings(), latent)
        self.prior.bind_posterior(self.posterior, config.label_counts or ())
        self.decoder = decoder(decoder_settings, config.vocab_size, signal_size, channels)
        self.check_conditioning(channels)
        self.conditioning = nn.ModuleDict()
        for name in channels:
            shape = self.decoder.signal_shapes[name]
            self.conditioning[name] = CONDITIONINGS[name](signal_size, shape)
        if config.labels:
            self.label_embedding = LabelEmbedding(config.labels, config.label_dim)
        # What is loaded from the bases is missing in the model's own file.
        self._keys_to_ignore_on_load_missing = [
            f"^{re.escape(name)}$" for name in self.list_base_weights()
        ]
        # Techniques such as the adversarial one keep their networks here during
        # training, so that the optimizer and DDP find them.
        self.auxiliary = nn.ModuleDict()
        self.post_init()

    @classmethod
    def from_pretrained(cls, *args: Any, output_loading_info: bool = False, **options: Any) -> Any:
        """Load a model as transformers does, and the weights of its bases from these.

        Raises:
            ConfigError: a base is missing, or has other weights than it had.
        """
        model, report = super().from_pretrained(*args, output_loading_info=True, **options)
        for part in (model.encoder, model.decoder):
            part.load_base_weights()
            part.freeze()
        return (model, report) if output_loading_info else model

    def save_pretrained(
        self,
        save_directory: Any,
        *args: Any,
        state_dict: dict[str, Tensor] | None = None,
        merge: bool = False,
        **options: Any,
    ) -> None:
        """Save the model, without the weights that its bases have.

        Args:
            merge: save these too, with all adapters merged, so that the folder needs nothing else.
            state_dict: the weights to save instead of the model's own.
        """
        model: Self = self.copy_without_bases() if merge else self
        weights = model.state_dict() if state_dict is None else state_dict
        in_bases = set(model.list_base_weights())
        weights = {name: value for name, value in weights.items() if name not in in_bases}
        super(TextVAEModel, model).save_pretrained(
            save_directory, *args, state_dict=weights, **options
        )

    def list_base_weights(self) -> list[str]:
        """Return the names of the weights that the model loads from its bases."""
        names = [f"encoder.{name}" for name in self.encoder.list_base_weights()]
        return names + [f"decoder.{name}" for name in self.decoder.list_base_weights()]

    def copy_without_bases(self) -> Self:
        """Return a copy that needs no bases, with all adapters merged."""
        merged = copy.deepcopy(self)
        for part, settings in (
            (merged.encoder, merged.config.encoder_settings),
            (merged.decoder, merged.config.decoder_settings),
        ):
            assert settings is not None, "the parts were built from their settings"
            settings.update(part.merge_base())
        return merged

    def set_label_counts(self, counts: Sequence[int]) -> None:
        """Change how many training sentences each label has, as a new corpus may."""
        self.config.label_counts = list(counts)
        self.prior.set_label_counts(counts)

    def check_conditioning(self, channels: list[str]) -> list[str]:
        """Return the names of the conditionings after checking that the decoder supports them.

        Raises:
            ConfigError: a name is unknown, the decoder does not support it, or the list is empty
                although the model has a latent.
        """
        for name in channels:
            choose(CONDITIONINGS, name, "model.conditioning")
            if name not in self.decoder.signal_shapes:
                kind = (self.config.decoder_settings or {}).get("kind")
                supported = ", ".join(self.decoder.signal_shapes)
                raise ConfigError(
                    f"model.conditioning = {name!r} does not work with a {kind!r} decoder: "
                    f"choose from {supported}."
                )
        if not channels and self.config.latent_dim:
            raise ConfigError(
                "model.conditioning is empty, so the decoder would never use z: "
                "name at least one conditioning."
            )
        return channels

    def _init_weights(self, module: nn.Module) -> None:
        """Keep the weights that each part's constructor has set.

        `post_init` calls this for every module. The method of the base class
        would initialize the weights a second time, all in the same way.
        """

    def get_input_embeddings(self) -> nn.Module:
        """Return the decoder's embedding."""
        embedding: nn.Module = self.decoder.embed
        return embedding

    def encode(self, encoder_input_ids: Tensor, encoder_attention_mask: Tensor) -> Distribution:
        """Return q(z | x); ids and mask are (batch, length), padded on the right."""
        return self.infer_posterior(
            self.encoder(encoder_input_ids, encoder_attention_mask), encoder_attention_mask
        )

    def infer_posterior(self, states: Tensor, mask: Tensor) -> Distribution:
        """Return q(z | x) from the encoder's states, (batch, length, hidden).

        An encoder may return one state per sentence; the rest of the mask is then ignored.
        """
        return self._pool_and_infer(states, mask)[0]

    def _pool_and_infer(self, states: Tensor, mask: Tensor) -> tuple[Distribution, Tensor]:
        """Return q(z | x) and the pooled states, (batch, width); see `infer_posterior`."""
        pair: tuple[Distribution, Tensor] = self.posterior.infer(states, mask[:, : states.shape[1]])
        return pair

    def compute_signals(self, latent: Tensor, label_ids: Tensor | None = None) -> Signals:
        """Return the signals that condition the decoder on z, and in a conditional model on labels.

        Shapes:
            latent: (batch, latent); label_ids: (batch,)
            returns one (batch, *shape) per conditioning, by its name
        """
        if self.config.labels:
            latent = self.label_embedding.append_label(latent, label_ids)
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
        sample_latent: "_LatentSampler | None" = None,
        label_ids: Tensor | None = None,
        cache: Cache | None = None,
        encoder_states: Tensor | None = None,
        decoder_states: Tensor | None = None,
        noise_seeds: Tensor | None = None,
    ) -> TextVAEOutput:
        """Encode (unless z is passed in), decode, and compute the loss if there are labels.

        Args:
            input_ids: (batch, length), the decoder's input, start token first.
            attention_mask: (batch, cached + length), non-zero on real tokens.
            labels: (batch, length), the token that follows each input; -100 is not predicted.
            latent: (batch, latent); if None, z is sampled from q(z | encoder_input_ids).
            encoder_input_ids, encoder_attention_mask: (batch, encoder length), padded on the right.
            cache, past_key_values: the decoder's state after the tokens before `input_ids`; two
                names for the same argument, since transformers renamed it.
            use_cache: whether to return a cache if none was passed.
            return_dict: ignored; `generate` passes it.
            sample_latent: how to sample z from q during training; plain sampling if None.
            label_ids: (batch,), the label of each sentence in a conditional model; not to be
                confused with `labels`.
            encoder_states: (batch, encoder length, size), the states of the encoder that training
                does not change, if they were computed before.
            decoder_states: (batch, length, hidden), the states of the frozen layers below the
                entry of z, if they were computed before.
            noise_seeds: (batch,), a seed for each sentence's sample of z; by default, all samples
                come from torch's global random numbers.

        Raises:
            ConfigError: the model is conditional and `label_ids` is None.
            ValueError: neither `latent` nor `encoder_input_ids` with its mask was passed.
        """
        output = TextVAEOutput()
        prior = self.prior.conditional_on(label_ids)
        if latent is None:
            if encoder_states is None:
                encoder_states = self._encode_states(encoder_input_ids, encoder_attention_mask)
                assert encoder_attention_mask is not None, "it was needed to encode"
            else:
                if encoder_attention_mask is None:
                    encoder_attention_mask = encoder_states.new_ones(encoder_states.shape[:2])
                encoder_states = self.encoder.continue_from(encoder_states, encoder_attention_mask)
            posterior, output.pooled = self._pool_and_infer(encoder_states, encoder_attention_mask)
            latent = self._fill_posterior(output, prior, posterior, sample_latent, noise_seeds)
        output.latent = latent
        if cache is None:
            cache = past_key_values
        if use_cache and cache is None:
            cache = self.decoder.new_cache()
        output.cache = cache
        if attention_mask is None:
            attention_mask = self._make_full_mask(input_ids, cache)
        signals = self.compute_signals(latent, label_ids)
        if decoder_states is None:
            states = self.decoder(input_ids, attention_mask, signals, cache)
        else:
            states = self.decoder.continue_from(decoder_states, attention_mask, signals)
        if labels is None:
            logits = nn.functional.linear(
                states, self.decoder.output_weight, self.decoder.output_bias
            )
            output.logits = cap_logits(logits, self.decoder.logit_cap)
        else:
            self._fill_loss(output, states, labels)
        return output

    def _encode_states(self, ids: Tensor | None, mask: Tensor | None) -> Tensor:
        """Return the encoder's states.

        Raises:
            ValueError: there are no ids or no mask.
        """
        if ids is None or mask is None:
            raise ValueError(_NO_LATENT)
        states: Tensor = self.encoder(ids, mask)
        return states

    def _fill_posterior(
        self,
        output: TextVAEOutput,
        prior: Prior,
        posterior: Distribution,
        sample_latent: "_LatentSampler | None",
        noise_seeds: Tensor | None,
    ) -> Tensor:
        """Sample z, (batch, latent), and write posterior, prior and KL to the output."""
        if sample_latent is not None:
            # A technique may also replace q, as semi-amortized inference does.
            posterior, latent = sample_latent(self, posterior)
        elif noise_seeds is not None:
            latent = posterior.sample_with_seeds(noise_seeds.tolist())[0]
        else:
            latent = posterior.sample()
        if posterior.has_density:
            output.kl = prior.kl(posterior, latent)
        output.posterior = posterior
        output.prior = prior
        output.mean = posterior.mean
        if isinstance(posterior, DiagonalGaussian):
            output.logvar = posterior.logvar
        return latent

    def _make_full_mask(self, input_ids: Tensor, cache: Cache | None) -> Tensor:
        """Return the mask without padding, (batch, cached + length), that `generate` leaves out."""
        length = input_ids.shape[1]
        if cache is not None:
            length += self.decoder.count_cached_tokens(cache)
        return input_ids.new_ones(len(input_ids), length)

    def _fill_loss(self, output: TextVAEOutput, states: Tensor, labels: Tensor) -> None:
        """Write reconstruction and loss to the output: -ELBO = E[-log p(x | z)] + KL(q || p)."""
        output.reconstruction, output.token_reconstruction = self.reconstruction_nll(states, labels)
        output.sentence_reconstruction = output.token_reconstruction.sum(1)
        output.loss = output.reconstruction
        if output.kl is not None:  # None: z was passed in, or q has no density
            output.loss = output.reconstruction + output.kl.sum(1).mean()

    def reconstruction_nll(self, states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return -log p(x | z) in nats: the mean over sentences, and per token without gradient.

        Shapes:
            states: (batch, length, size); labels: (batch, length)
            returns: scalar and (batch, length), 0 where a label is -100
        """
        is_real = labels != IGNORED_LABEL
        weight = self.decoder.output_weight
        bias = self.decoder.output_bias
        # The scale makes the sum over tokens a mean over sentences, whatever the padding.
        scale = 1 / len(labels)
        if labels.device.type != "cpu":
            # Taking out the padding would make the CPU wait for a GPU in every step.
            mean, nll = token_nll(
                states.flatten(0, 1),
                weight,
                bias,
                labels.clamp(min=0).flatten(),
                scale,
                cap=self.decoder.logit_cap,
                is_counted=is_real.flatten(),
            )
            return mean, nll.view(labels.shape)
        # Padding is taken out before the projection to the vocabulary, by far the
        # largest product of the model.
        mean, nll = token_nll(
            states[is_real], weight, bias, labels[is_real], scale, cap=self.decoder.logit_cap
        )
        per_token = torch.zeros(labels.shape, device=nll.device).masked_scatter(is_real, nll)
        return mean, per_token

    @torch.no_grad()
    def sentence_nll(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        latent: Tensor,
        label_ids: Tensor | None = None,
        decoder_states: Tensor | None = None,
    ) -> Tensor:
        """Return -log p(x | z) of each sentence in nats, (batch,), without gradient.

        Where the hardware multiplies bf16 fast, the normalizer of each token is computed in bf16
        and everything else in single precision.
        """
        # The likelihood of a language model is exact, without sampling noise, and
        # should not lose digits to bf16.
        is_language_model = not self.config.latent_dim
        scores_dtype = None
        if is_bf16_fast(latent.device) and not is_language_model:
            scores_dtype = torch.bfloat16
        per_token = self.nll_per_token(
            input_ids, attention_mask, labels, latent, label_ids, decoder_states, scores_dtype
        )
        return per_token.sum(1)

    @torch.no_grad()
    def nll_per_token(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        latent: Tensor,
        label_ids: Tensor | None = None,
        decoder_states: Tensor | None = None,
        scores_dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Return -log p(x | z) of each token in nats, (batch, length), without gradient.

        It is 0 under padding. It calls the decoder directly, not through `forward`, so that it may
        be called within a pass of a wrapper such as DDP.

        Args:
            scores_dtype: number type of the normalizers; by default that of the model.
        """
        signals = self.compute_signals(latent, label_ids)
        if decoder_states is None:
            states = self.decoder(input_ids, attention_mask, signals)
        else:
            states = self.decoder.continue_from(decoder_states, attention_mask, signals)
        is_real = labels != IGNORED_LABEL
        nll = nll_without_grad(
            states[is_real],
            self.decoder.output_weight,
            self.decoder.output_bias,
            labels[is_real],
            scores_dtype or states.dtype,
            cap=self.decoder.logit_cap,
        )
        per_token: Tensor = torch.zeros(labels.shape, device=nll.device).masked_scatter(
            is_real, nll
        )
        return per_token

    def generate(
        self,
        inputs: Tensor | None = None,
        *args: Any,
        latent: Any = None,
        encoder_input_ids: Any = None,
        encoder_attention_mask: Any = None,
        **options: Any,
    ) -> Any:
        """Decode text as transformers does, from z or from sentences to encode.

        Args:
            inputs: (batch, length), the start token and the beginning of each text, padded on the
                left with its `attention_mask`; by default the start token alone.
            latent: (batch, latent), such as `model.prior.sample(batch)`.
            encoder_input_ids, encoder_attention_mask: (batch, encoder length), sentences with their
                end tokens, padded on the right; z is then the mean of q(z | x).
            args, options: those of transformers' `generate`, and `label_ids`, (batch,), of a
                conditional model.

        Raises:
            ShapeError: z has another size than the model's, or another batch than the inputs.
            ValueError: there is neither a z nor a sentence with its mask.
        """
        prompts = options.get("input_ids", inputs)
        if latent is None and encoder_input_ids is None and not self.config.latent_dim:
            count = 1 if prompts is None else len(prompts)
            latent = torch.zeros(count, 0, device=self.device)  # a language model has no z
        if latent is None:
            if encoder_input_ids is None or encoder_attention_mask is None:
                raise ValueError(_NO_LATENT)
            with torch.no_grad():
                latent = self.encode(encoder_input_ids, encoder_attention_mask).mean
        if latent.dim() != 2 or latent.shape[1] != self.config.latent_dim:
            raise ShapeError(
                f"latent has the shape {tuple(latent.shape)}; expected (batch, "
                f"{self.config.latent_dim}), the latent size of this model."
            )
        if prompts is not None and len(prompts) != len(latent):
            raise ShapeError(
                f"there are {len(prompts)} rows of input_ids for {len(latent)} latents: pass as many "
                "of both, such as input_ids.expand(len(latent), -1)."
            )
        return super().generate(inputs, *args, latent=latent, **options)

    def _prepare_cache_for_generation(
        self, generation_config: Any, model_kwargs: dict[str, Any], *args: Any
    ) -> None:
        """Let the decoder make its own cache; transformers would make a key-value cache."""
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
        """Return the arguments of `forward` for the next step of `generate`."""
        if cache is None:
            cache = past_key_values
        # `generate` passes all tokens so far; after the first step only the last
        # one is new to the cache.
        is_started = cache is not None and cache.get_seq_length() > 0
        return {
            "input_ids": input_ids[:, -1:] if is_started else input_ids,
            "attention_mask": attention_mask,
            "latent": latent,
            "label_ids": label_ids,
            "cache": cache,
            "use_cache": True,
        }


# From the model and q(z | x) to the q that the KL is computed for, and z, (batch, latent). It is
# an argument of `forward`, not a step of the caller, because DDP averages the gradients only of
# what is computed within the forward pass of the model that it wraps.
_LatentSampler = Callable[[TextVAEModel, Distribution], tuple[Distribution, Tensor]]


def _look_up_part(
    table: dict[str, Any], entry: dict[str, Any] | None, path: str
) -> tuple[Any, Any]:
    """Return the class and the validated settings of a part from its entry in the config.

    Raises:
        ConfigError: the config has no such entry, or its kind or settings are invalid.
    """
    if not entry:
        raise ConfigError(
            f"the config has no {path}: textvae did not write it. Load a folder that "
            "`textvae train` or `save_pretrained` wrote."
        )
    part_class = choose(table, str(entry.get("kind")), f"{path}.kind")
    return part_class, validate_settings(part_class.Settings, entry, path)


AutoModel.register(TextVAEConfig, TextVAEModel)
