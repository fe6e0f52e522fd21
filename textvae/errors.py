"""Every error a user can cause, each saying what came, what was wanted and the mend.

TextVAEError
├── ConfigError       a setting is unknown, of the wrong type or out of range
├── DataError         a corpus or an input text cannot be used
├── CheckpointError   a run folder is missing, damaged, or not one of ours
├── OutputError       something stands where we should write, or the disk is full
├── ShapeError        tensors do not fit together
├── TrainingError     training cannot go on (a loss that is not a number, a process that died)
└── StoppedError      the first process of a run has failed, and says why itself
"""


class TextVAEError(Exception):
    """The root: catch it to catch all of ours."""


class ConfigError(TextVAEError):
    """A setting is unknown, of the wrong type, or out of range."""


class DataError(TextVAEError):
    """A corpus or an input text cannot be used."""


class CheckpointError(TextVAEError):
    """A run folder is missing, damaged, or not one of ours."""


class OutputError(TextVAEError):
    """Something stands where we should write, or the disk is full."""


class ShapeError(TextVAEError):
    """Tensors do not fit together."""


class TrainingError(TextVAEError):
    """Training cannot go on."""


class StoppedError(TextVAEError):
    """The first process of a run has failed, and says why itself."""
