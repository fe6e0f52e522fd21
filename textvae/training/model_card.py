"""Write the model card of a run at the end of its training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textvae.runs.model_card import build_card
from textvae.runs.run import Run
from textvae.runtime.files import write_text
from textvae.uses.card_texts import collect_card_texts
from textvae.vae import TextVAE


def write_model_card(
    run: Run, vae: TextVAE, measures: Mapping[str, Any], split: str, folder: Path | None = None
) -> None:
    """Write README.md: data, measures and settings, and sentences if the settings ask for them.

    Args:
        run: the run, with its corpus.
        vae: the run's model.
        measures: what `evaluate` returned for this model; the weight of the KL is read from the
            run, because training knows it only at its end.
        split: the name of the split that was evaluated.
        folder: where to write; the run folder by default.
    """
    shows_texts = run.read_settings().card.samples
    text = build_card(
        vae.bundle,
        run,
        measures={**measures, "kl_weight": run.read_kl_weight()},
        split=split,
        texts=collect_card_texts(vae.bundle, run, split) if shows_texts else None,
    )
    write_text((folder or run.folder) / "README.md", text)
