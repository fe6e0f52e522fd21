"""Presets: settings by name, for `textvae train --preset NAME`."""

from importlib.resources import files
from typing import Any

import yaml

from textvae.schema import choose

# What each preset is for; its settings are in the YAML file of its name.
PRESETS = {
    "faithful": "recover every word of a sentence from its latent",
    "generate": "sample good sentences, from a latent that holds only their gist",
    "pretrained": "start from a published sentence encoder and a small language model",
}


def read_preset(name: str) -> dict[str, Any]:
    """Return the settings of a preset, as nested mappings.

    Raises:
        ConfigError: there is no preset of this name.
    """
    choose(PRESETS, name, "preset")
    text = files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    settings: dict[str, Any] = yaml.safe_load(text)
    return settings
