"""The actions of the panel Write: sample, complete, fill in, reconstruct, vary, edit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict, cast, get_args

from textvae.explorer.actions.dials import MAX_SEED, build_decoding
from textvae.explorer.limits import require_choice, require_count, require_number, require_sentence
from textvae.explorer.shared_run import SharedRun
from textvae.explorer.write import (
    LENGTH,
    MAX_SPREAD,
    MAX_STRENGTH,
    edit_along,
    list_attributes,
    vary,
)
from textvae.inference.settings import DEFAULT_TEMPERATURE, draw_seed
from textvae.uses.infill.infill import METHODS_WITH
from textvae.uses.options import DecodingOptions, InfillOptions
from textvae.uses.records import Infill
from textvae.uses.settings import InfillMethod
from textvae.vae import TextVAE

_INFILL_LATENTS = 4  # half of what `infill` takes by default, so that a page answers at once


class Written(TypedDict):
    """What an action wrote.

    Attributes:
        texts: the texts.
        seed: with it, the same action writes the same texts again.
    """

    texts: list[str]
    seed: int


class Filled(TypedDict):
    """The ways to fill the blanks of a sentence, likeliest first, and the seed."""

    fills: list[Infill]
    seed: int


@dataclass(frozen=True)
class WriteActions:
    """The actions of the panel Write.

    The decoding arguments are those of `build_decoding`; `label` is for a model that was
    trained with labels.
    """

    run: SharedRun

    def sample(
        self,
        n: int = 10,
        decoding: str = "usual",
        temperature: float = DEFAULT_TEMPERATURE,
        top_p: float = 1.0,
        beams: int = 4,
        max_tokens: int | None = None,
        seed: int | None = None,
        label: str | None = None,
    ) -> Written:
        """Write sentences from samples of the prior."""
        count = require_count(n, "n", self.run.limit)
        options = build_decoding(decoding, temperature, top_p, beams, max_tokens, seed)
        return self._write(label, options, lambda vae: vae.generate(count, **options))

    def complete(
        self,
        prefix: str,
        n: int = 5,
        decoding: str = "usual",
        temperature: float = DEFAULT_TEMPERATURE,
        top_p: float = 1.0,
        beams: int = 4,
        max_tokens: int | None = None,
        seed: int | None = None,
        label: str | None = None,
    ) -> Written:
        """Write sentences that begin with these words."""
        beginning = require_sentence(prefix, "the beginning")
        count = require_count(n, "n", self.run.limit)
        options = build_decoding(decoding, temperature, top_p, beams, max_tokens, seed)
        return self._write(label, options, lambda vae: vae.complete(beginning, count, **options))

    def fill_blanks(
        self,
        text: str,
        n: int = 5,
        method: str = "sampling",
        tokens_per_blank: int = 4,
        seed: int | None = None,
        label: str | None = None,
    ) -> Filled:
        """Fill the blanks of a sentence, each written ___, in the likeliest ways."""
        sentence = require_sentence(text)
        chosen = cast(InfillMethod, require_choice(method, "method", get_args(InfillMethod)))
        number = draw_seed() if seed is None else require_count(seed, "seed", MAX_SEED, at_least=0)
        options: InfillOptions = {
            "n": require_count(n, "n", self.run.limit),
            "method": chosen,
            "most_tokens": require_count(tokens_per_blank, "tokens_per_blank", 10),
            "seed": number,
        }
        if chosen in METHODS_WITH["latents"]:
            options["latents"] = _INFILL_LATENTS
        with self.run.model(label) as vae:
            fills = vae.infill(sentence, **options)
        return {"fills": fills, "seed": number}

    def reconstruct(
        self,
        text: str,
        decoding: str = "usual",
        temperature: float = DEFAULT_TEMPERATURE,
        top_p: float = 1.0,
        beams: int = 4,
        max_tokens: int | None = None,
        seed: int | None = None,
        label: str | None = None,
    ) -> Written:
        """Encode a sentence, and decode it again."""
        sentence = require_sentence(text)
        options = build_decoding(decoding, temperature, top_p, beams, max_tokens, seed)

        def write(vae: TextVAE) -> list[str]:
            return [written or "" for written in vae.reconstruct([sentence], **options)]

        return self._write(label, options, write)

    def vary(
        self,
        text: str,
        n: int = 5,
        spread: float = 1.0,
        decoding: str = "usual",
        temperature: float = DEFAULT_TEMPERATURE,
        top_p: float = 1.0,
        beams: int = 4,
        max_tokens: int | None = None,
        seed: int | None = None,
        label: str | None = None,
    ) -> Written:
        """Decode samples from around the latent of a sentence; spread 1 is the posterior's own."""
        sentence = require_sentence(text)
        count = require_count(n, "n", self.run.limit)
        width = require_number(spread, "spread", 0.0, MAX_SPREAD)
        options = build_decoding(decoding, temperature, top_p, beams, max_tokens, seed)
        return self._write(label, options, lambda vae: vary(vae, sentence, count, width, options))

    def edit(
        self,
        text: str,
        attribute: str = LENGTH,
        strength: float = 1.0,
        decoding: str = "usual",
        temperature: float = DEFAULT_TEMPERATURE,
        top_p: float = 1.0,
        beams: int = 4,
        max_tokens: int | None = None,
        seed: int | None = None,
        label: str | None = None,
    ) -> Written:
        """Decode a sentence after a step along an attribute; see `attributes`."""
        sentence = require_sentence(text)
        step = require_number(strength, "strength", -MAX_STRENGTH, MAX_STRENGTH)
        options = build_decoding(decoding, temperature, top_p, beams, max_tokens, seed)
        latent_map = self.run.require_map() if attribute == LENGTH else None

        def write(vae: TextVAE) -> list[str]:
            return [edit_along(vae, latent_map, sentence, attribute, step, options)]

        return self._write(label, options, write)

    def attributes(self) -> list[str]:
        """Return the names of the attributes that `edit` knows."""
        return list_attributes(self.run.folder, self.run.latent_map)

    def _write(
        self, label: str | None, options: DecodingOptions, write: Callable[[TextVAE], list[str]]
    ) -> Written:
        """Return what a function writes with the model."""
        with self.run.model(label) as vae:
            return {"texts": write(vae), "seed": options["seed"]}
