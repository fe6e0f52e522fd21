"""The example configs: files of settings that have names, for `textvae train --config NAME`.

They are in the folder `configs` of the repository, and the package contains a copy of it.
"""

from pathlib import Path

from textvae.errors import ConfigError, did_you_mean
from textvae.runtime.packaged_files import list_packaged_files
from textvae.runtime.paths import require_path
from textvae.terminal import quote_value


def find_config(config: object) -> Path:
    """Return the file of settings that a path or the name of an example stands for.

    An existing file is preferred to an example of the same name.

    Args:
        config: a path, or a name such as `quickstart` or `ptb/free_bits`.

    Raises:
        ConfigError: it is no path, or there is neither such a file nor such an example.
    """
    path = require_path(config, "config")
    if path.exists():
        return path
    if path.suffix:
        raise ConfigError(f"{path}: there is no such file; expected a YAML file of settings.")
    examples = list_examples()
    name = path.as_posix()
    if name not in examples:
        raise ConfigError(
            f"config = {quote_value(name)}: there is no such file, and no example of that name: "
            f"{did_you_mean(name, examples)}The examples are {', '.join(examples)}."
        )
    return examples[name]


def list_examples() -> dict[str, Path]:
    """Return the files of the example configs by name, sorted."""
    return list_packaged_files("configs", ".yaml")
