"""Check the JSON records of a run before anything is computed from them.

A record that was cut short, edited or copied from elsewhere would otherwise fail with an error
of Python's, perhaps at the end of a long evaluation.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from textvae.errors import CheckpointError
from textvae.runtime.files import read_json

COUNTS_FILE = "corpus/counts.json"
_LOG_FILE = "training.json"
_MEASURES_FILE = "measures.json"
SUMMARY_FILE = "model_summary.json"

_Number = float | None

_Point = Annotated[list[float], Field(min_length=2, max_length=2)]
_Pair = Annotated[list[str], Field(min_length=2, max_length=2)]


class _Record(BaseModel):
    """A record of which the fields are checked, without conversions; other entries may be anything."""

    model_config = ConfigDict(extra="allow", strict=True, protected_namespaces=())


class _SplitCounts(_Record):
    """What was counted in a split."""

    sentences: int = Field(ge=0)
    words: int = Field(ge=0)
    tokens: int = Field(ge=0)


class _TrainCounts(_SplitCounts):
    """What was counted in the training split, which averages are over."""

    sentences: int = Field(gt=0)


class _TokenizedCounts(_Record):
    """What was counted in each split."""

    train: _TrainCounts
    validation: _SplitCounts
    test: _SplitCounts


class _Counts(_Record):
    """`corpus/counts.json`."""

    tokenized: _TokenizedCounts


class _Logged(_Record):
    """The values that were logged at one step."""

    __pydantic_extra__: dict[str, _Number]
    step: int = Field(ge=0)


class _ReadCounts(_Record):
    """What a stream has counted."""

    __pydantic_extra__: dict[str, int]


class _Stream(_Record):
    """What a stream has read; it is empty before the first checkpoint."""

    counts: _ReadCounts = _ReadCounts()


class _Schedule(_Record):
    """The state of a run's schedule, as `TrainingSchedule.state_dict` returns it."""

    step: int = Field(ge=0)
    seconds: float = Field(ge=0)
    used: float = Field(ge=0)
    preparation: float = Field(ge=0)
    cooldown: list[int] | None
    start: int | None
    refit_start: int | None
    encoder_steps: int = Field(ge=0)
    restart: int | None
    epochs: float = Field(ge=0)
    bounds: list[float | None]


class _Meter(_Record):
    """The sums of losses since the last log."""

    sums: list[float] | None
    seconds: float
    paused_seconds: dict[str, float] = {}


class _State(_Record):
    """What is needed to train a finished run longer."""

    plan: _Schedule
    techniques: dict[str, Any]
    stream: dict[str, Any] | None
    meter: _Meter
    best_selection: _Number


class _Log(_Record):
    """`training.json`."""

    seconds: float = 0.0
    steps: int = Field(0, ge=0)
    best_step: int | None = None
    kept_step: int | None = None
    kept_learning_rate: _Number = None
    kl_before_refit: _Number = None
    stream: _Stream = _Stream()
    history: list[_Logged] = []
    state: _State | None = None


class _Measures(_Record):
    """`measures.json`: what reports, tables of comparisons and warnings about sizes read of it."""

    sentences: int | None = None
    latent_dim: int | None = None
    iw_samples: _Number = None  # not whole if the number was adapted to each sentence
    iw_nll: _Number = None
    iw_nll_stderr: _Number = None
    iw_looseness: _Number = None
    iw_ess_median: _Number = None
    ppl_word: _Number = None
    elbo: _Number = None
    reconstruction: _Number = None
    kl: _Number = None
    kl_weight: _Number = None
    mi_full: _Number = None
    mi_full_cap: _Number = None
    mi_batch32: _Number = None
    mi_batch32_cap: _Number = None
    active_units: _Number = None
    active_units_strict: _Number = None
    effective_units: _Number = None
    bleu: _Number = None
    prior_samples: int = 0
    self_bleu_samples: int = 0
    path_pairs: int = 0
    verdict: str = ""
    findings: list[str] = []
    advice: list[str] = []


class _Summary(_Record):
    """`model_summary.json`; for a language model, it has samples alone."""

    samples: list[str]
    kl_by_dimension: list[float] | None = None
    points: list[_Point] | None = None
    explained: list[float] | None = None
    umap: list[_Point] | None = None
    words: list[int] | None = None
    label_column: str | None = None
    labels: list[Any] | None = None
    reconstructions: list[_Pair] | None = None
    interpolation: list[str] | None = None


_RECORDS: dict[str, type[_Record]] = {
    COUNTS_FILE: _Counts,
    _LOG_FILE: _Log,
    _MEASURES_FILE: _Measures,
    SUMMARY_FILE: _Summary,
}

# How to get a whole record again.
_REMEDIES = {
    COUNTS_FILE: "Copy the whole run again.",
    _LOG_FILE: "Copy the whole run again, or remove the file: only the log of the training is lost.",
    _MEASURES_FILE: "Remove it, and measure again: textvae evaluate.",
    SUMMARY_FILE: "Remove it; textvae report writes it again.",
}


def read_record(folder: Path, name: str) -> dict[str, Any]:
    """Return the content of a record in a run folder; empty if the file does not exist.

    Args:
        name: the path of the file in the folder.

    Raises:
        CheckpointError: the file is damaged, or holds something else.
    """
    file = folder / name
    if not file.exists():
        return {}
    try:
        content = read_json(file)
    except ValueError as error:
        raise _damage_error(file, name, str(error)) from error
    if not isinstance(content, dict):
        raise _damage_error(file, name, f"expected a mapping, got {type(content).__name__}")
    checked = _RECORDS.get(name)
    if checked is not None and content:
        try:
            checked.model_validate(content)
        except ValidationError as error:
            raise _damage_error(file, name, _describe_first_error(error)) from error
    return content


def _describe_first_error(error: ValidationError) -> str:
    """Return the first of pydantic's errors as text: which entry is wrong, and why."""
    first = error.errors(include_url=False, include_input=False)[0]
    entry = ".".join(str(part) for part in first["loc"])
    reason = f"{entry}: {first['msg']}" if entry else str(first["msg"])
    return reason[:200]


def _damage_error(file: Path, name: str, reason: str) -> CheckpointError:
    """Return the error of a damaged record."""
    remedy = _REMEDIES.get(name, "Copy the whole run again.")
    return CheckpointError(f"{file}: is damaged ({reason}). {remedy}")
