"""The decoding settings of an action, as a page and the API give them."""

from typing import Literal, get_args

from textvae.explorer.limits import require_choice, require_count, require_number
from textvae.inference.settings import DEFAULT_TEMPERATURE, draw_seed
from textvae.uses.options import DecodingOptions

Strategy = Literal["usual", "greedy", "sampling", "beams"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

MAX_TOKENS = 512
MAX_BEAMS = 20
MIN_TEMPERATURE = 0.05
MAX_TEMPERATURE = 3.0
MAX_SEED = 2**31 - 1


def build_decoding(
    decoding: str = "usual",
    temperature: float = DEFAULT_TEMPERATURE,
    top_p: float = 1.0,
    beams: int = 4,
    max_tokens: int | None = None,
    seed: int | None = None,
) -> DecodingOptions:
    """Return checked decoding options, always with a seed.

    Args:
        decoding: `usual` samples new sentences, and is greedy where a sentence is changed.
        max_tokens: None, or 0 as an empty field of a page has it, for the model's own limit.
        seed: None for a new one.

    Raises:
        ConfigError: a value is out of bounds, whether or not the strategy uses it.
    """
    options: DecodingOptions = {"seed": draw_seed()}
    if seed is not None:
        options["seed"] = require_count(seed, "seed", MAX_SEED, at_least=0)
    strategy = require_choice(decoding, "decoding", STRATEGIES)
    # A page always sends all dials, so those that the strategy does not use are checked and ignored.
    checked_temperature = require_number(
        temperature, "temperature", MIN_TEMPERATURE, MAX_TEMPERATURE
    )
    checked_top_p = require_number(top_p, "top_p", 0.01, 1.0)
    checked_beams = require_count(beams, "beams", MAX_BEAMS, at_least=2)
    if strategy == "greedy":
        options["do_sample"] = False
    elif strategy == "sampling":
        options["do_sample"] = True
        options["temperature"] = checked_temperature
        options["top_p"] = checked_top_p
    elif strategy == "beams":
        options["do_sample"] = False
        options["num_beams"] = checked_beams
    if max_tokens:
        options["max_new_tokens"] = require_count(max_tokens, "max_tokens", MAX_TOKENS)
    return options
