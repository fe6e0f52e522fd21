"""User-facing errors. Each message says what came, what was expected, and how to fix it.

TextVAEError
├── ConfigError       a setting is unknown, of the wrong type or out of range
├── DataError         a corpus or an input text cannot be used
├── CheckpointError   a run folder is missing, damaged, or not a run of textvae
├── OutputError       the output already exists, or cannot be written
├── ShapeError        tensors do not fit together
├── TrainingError     training cannot continue (the loss is not a number, a process died)
└── StoppedError      the first process of the launch has failed and reports the reason itself
"""


class TextVAEError(Exception):
    """Base class of all errors that textvae raises on purpose."""


class ConfigError(TextVAEError, ValueError):
    """A setting is unknown, of the wrong type, or out of range.

    It is a `ValueError` as well, so that pydantic collects those that validators
    raise instead of stopping at the first. With several arguments, each is the
    message of one wrong setting.
    """

    def __str__(self) -> str:
        """Return the message, or a line for each of several messages."""
        if len(self.args) < 2:
            return super().__str__()
        lines = [f"  {message}" for message in self.args]
        return "\n".join([f"{len(lines)} settings are wrong:", *lines])


class DataError(TextVAEError):
    """A corpus or an input text cannot be used."""


class CheckpointError(TextVAEError):
    """A run folder is missing, damaged, or not a run of textvae."""


class OutputError(TextVAEError):
    """The output already exists, or cannot be written."""


class ShapeError(TextVAEError):
    """Tensors do not fit together."""


class TrainingError(TextVAEError):
    """Training cannot continue."""


class StoppedError(TextVAEError):
    """The first process of the launch has failed and reports the reason itself."""
