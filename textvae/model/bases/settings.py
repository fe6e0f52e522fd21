"""The settings that pretrained encoders and decoders share, and the record of their base."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field
from transformers import AutoConfig, PreTrainedConfig

from textvae.errors import ConfigError
from textvae.model.bases.lora import LoraSettings, Trained
from textvae.model.bases.pooling import Pooling
from textvae.model.kernels.dropout import Dropout
from textvae.schema import PartSettings, StrictSettings

# Adapters start from zero and take large steps; pretrained weights should move little.
_LEARNING_RATES = {"all": 5e-5, "lora": 5e-4, "none": 0.0}

# The root mean square of a base's states in front of new layers. Adam's steps are equally large for
# all weights, and hundreds of inputs of unit size would make each step of their sum too large.
STATE_SCALE = 0.1

# A rate of dropout; `auto` stands for one that depends on the corpus.
DropoutRate = Annotated[float, Field(ge=0, lt=1)] | Literal["auto"]

# A small corpus is learned by heart without much dropout, and a larger one is learned too slowly
# with it. docs/pretrained.md has the measurements at both ends.
_FEW_SENTENCES, _MANY_SENTENCES = 5_000, 28_000
_MOST_DROPOUT, _LEAST_DROPOUT = 0.4, 0.2


def choose_dropout(sentences: int) -> float:
    """Return the rate of dropout next to a frozen language model.

    It falls with the logarithm of the number of training sentences, from 0.4 at 5,000 and fewer
    to 0.2 at 28,000 and more.
    """
    sentences = min(max(sentences, _FEW_SENTENCES), _MANY_SENTENCES)
    share = math.log(sentences / _FEW_SENTENCES) / math.log(_MANY_SENTENCES / _FEW_SENTENCES)
    return round(_MOST_DROPOUT + share * (_LEAST_DROPOUT - _MOST_DROPOUT), 2)


def make_dropout(rate: DropoutRate) -> Dropout:
    """Return the layer; a part that is built before the corpus is read has no number yet."""
    return Dropout(0.0 if rate == "auto" else rate)


class BaseRecord(StrictSettings):
    """What a model remembers of a pretrained part, so that it can be built without its files.

    Attributes:
        config: the base's own config, as transformers writes it.
        revision: the commit on the hub that the weights are from; None for a folder.
        license: as its model card names it.
        fingerprint: of its weights; a base of the same name with other weights is refused.
        is_needed: whether the model lacks weights that only the base has.
        logit_scale: factor of the states before the projection to the vocabulary.
        logit_cap: bound of the logits, cap * tanh(logits / cap), or None.
        has_bias: whether the projection has a bias outside of its layer, as BART's has.
        is_tied: whether the projection has the weights of the embedding.
        pooling: how a sentence encoder pools its states; None for any other base.
        has_own_vocabulary: whether a decoder's embeddings differ from those of its base, because
            its vocabulary was trimmed or got new tokens.
        new_tokens: how many of these tokens the base lacks; the model keeps frozen embeddings of
            these alone. None in models of earlier releases, which keep all embeddings.
        state_scale: root mean square of the base's states in front of the new layers that read
            them. 1 in models of earlier releases.
    """

    config: dict[str, Any]
    revision: str | None = None
    license: str | None = None
    fingerprint: str | None = None
    is_needed: bool = True
    logit_scale: float = 1.0
    logit_cap: float | None = None
    has_bias: bool = False
    is_tied: bool = True
    pooling: Pooling | None = None
    has_own_vocabulary: bool = False
    new_tokens: int | None = None
    state_scale: float = 1.0

    def build_config(self) -> PreTrainedConfig:
        """Return the base's own config as an object of transformers."""
        fields = dict(self.config)
        return AutoConfig.for_model(fields.pop("model_type"), **fields)


class BaseSettings(PartSettings):
    """Which pretrained model a part starts from."""

    name: str
    revision: str | None = Field(None, description="a commit, tag or branch on the hub")
    base: BaseRecord | None = Field(
        None, description="filled in when the model is built; not to be set"
    )

    def require_base(self, setting: str) -> BaseRecord:
        """Return the record of the base.

        Raises:
            ConfigError: the model was built without one.
        """
        if self.base is None:
            raise ConfigError(
                f"{setting} has no record of its base {self.name!r}: build the model with "
                "`build_model`, or load it from a run."
            )
        return self.base


class PretrainedSettings(BaseSettings):
    """Which model a part is, and what of it is trained."""

    train: Trained = "lora"
    lora: LoraSettings = LoraSettings()
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="of the pretrained weights and adapters; default: by what is trained",
    )
    gradient_checkpointing: bool = Field(
        False, description="compute states again instead of storing them: slower, less memory"
    )

    def choose_learning_rate(self) -> float:
        """Return the rate of the pretrained weights or of their adapters."""
        return self.learning_rate or _LEARNING_RATES[self.train]
