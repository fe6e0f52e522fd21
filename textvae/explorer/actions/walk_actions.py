"""The action of the panel Walk."""

from dataclasses import dataclass
from typing import cast

from textvae.explorer.limits import require_choice, require_count, require_sentence
from textvae.explorer.shared_run import SharedRun
from textvae.explorer.walk import MAX_STEPS, WALK_PATHS, Place, WalkPath, walk


@dataclass(frozen=True)
class WalkActions:
    """The action of the panel Walk."""

    run: SharedRun

    def walk(
        self,
        first: str,
        second: str,
        path: str = "linear",
        steps: int = 9,
        label: str | None = None,
    ) -> list[Place]:
        """Decode the places on a path from one sentence to another: linear, spherical or density."""
        start = require_sentence(first, "sentence A")
        end = require_sentence(second, "sentence B")
        chosen = cast(WalkPath, require_choice(path, "path", WALK_PATHS))
        count = require_count(steps, "steps", MAX_STEPS, at_least=2)
        density = self.run.require_density() if chosen == "density" else None
        with self.run.model(label) as vae:
            return walk(
                vae,
                start,
                end,
                path=chosen,
                steps=count,
                latent_map=self.run.latent_map,
                density=density,
            )
