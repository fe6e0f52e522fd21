"""The model card: the README.md of a run, in the form of the Hugging Face Hub.

`huggingface_hub` reads and writes its metadata: license, language, data set, bases and
every measure. A card holds no local paths, and no sentences unless the settings ask for
them. Later evaluations and pushes change only the sections that they know better, so
that what an owner adds to a card stays.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from textvae.inference.bundle import Bundle
from textvae.messages import print_note
from textvae.runs.card_sections import (
    PLACEHOLDER_NOTE,
    UNKNOWN_DATA,
    CardTexts,
    format_body,
    name_data_set,
    put_measures,
    put_texts,
)
from textvae.runs.local_paths import is_repository
from textvae.runs.measure_definitions import MEASURE_DEFINITIONS
from textvae.runs.run import SETTINGS_FILE, Run
from textvae.runtime.files import write_text
from textvae.settings.card import CardSettings, split_languages
from textvae.settings.run import Settings

_TASK = "text-generation"  # the nearest one that the hub knows
_TITLE = "textvae model"  # of a model without a name


def build_card(
    bundle: Bundle,
    run: Run | None,
    *,
    options: CardSettings | None = None,
    measures: Mapping[str, Any] | None = None,
    split: str = "test",
    repository: str | None = None,
    texts: CardTexts | None = None,
    note: str = "",
) -> str:
    """Return the card of a model.

    Args:
        run: the run, of which the card shows whatever records it has; None for a model alone.
        options: the settings of the card; by default those of the run.
        measures: the record of an evaluation; without it, the card has no measures.
        split: the name of the split that was evaluated.
        repository: the name of its repository on the hub, if it has one.
        texts: the sentences to show, if any.
        note: a paragraph to begin with.
    """
    settings = read_run_settings(run)
    if options is None:
        options = settings.card if settings else CardSettings()
    title = (repository or _TITLE).rpartition("/")[2]
    data = ModelCardData(
        library_name="textvae",
        tags=["text-vae", "variational-autoencoder", "textvae"],
        base_model=_list_bases(bundle) or None,
        datasets=_list_datasets(settings) or None,
        model_name=title,
    )
    body = format_body(bundle, run, settings, title=title, repository=repository, note=note)
    text = f"---\n{data.to_yaml()}\n---\n\n{body}"
    return update_card(
        text,
        options=options,
        measures=measures,
        split=split,
        data_set=name_data_set(settings),
        texts=texts,
    )


def update_card(
    text: str,
    *,
    options: CardSettings | None = None,
    measures: Mapping[str, Any] | None = None,
    split: str = "test",
    data_set: str = UNKNOWN_DATA,
    repository: str | None = None,
    texts: CardTexts | None = None,
) -> str:
    """Return a card with new measures, metadata, sentences or a new name; everything else stays.

    Args:
        data_set: the name of the evaluated data set, for a card without measures.

    Raises:
        ValueError: the metadata of the card is damaged.
    """
    card = ModelCard(text, ignore_metadata_errors=True)
    data: Any = card.data  # the hub's annotation is that of any kind of card
    if options is not None and options.license is not None:
        data.license = options.license
    if options is not None and options.language is not None:
        codes = split_languages(options.language)
        data.language = codes[0] if len(codes) == 1 else codes
    if repository is not None:
        data.model_name = repository.rpartition("/")[2]
        card.text = card.text.replace(PLACEHOLDER_NOTE, "")
        card.text = card.text.replace(f"# {_TITLE}\n", f"# {data.model_name}\n", 1)
        card.text = re.sub(
            r'(TextVAE\.from_pretrained\()"[^"]*"',
            lambda found: f'{found[1]}"{repository}"',
            card.text,
        )
    if measures is not None:
        data.model_name = data.model_name or _TITLE
        if data.eval_results:
            # Whether a name is that of a folder can only be told where the model was trained.
            data_set = data.eval_results[0].dataset_name
        data.eval_results = _list_results(measures, split, data_set)
        card.text = put_measures(card.text, measures, split, data_set)
    if texts is not None:
        card.text = put_texts(card.text, texts)
    return str(card)


def refresh_card(run: Run, measures: Mapping[str, Any], split: str) -> None:
    """Put the measures of an evaluation into a run's card, and keep the rest of it.

    A run without a card is left alone. A failure only prints a note, so that the measures
    can still be shown: they may have taken hours.
    """
    file = run.folder / "README.md"
    if not file.is_file():
        return
    try:
        text = file.read_text(encoding="utf-8")
        data_set = name_data_set(read_run_settings(run))
        write_text(file, update_card(text, measures=measures, split=split, data_set=data_set))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        print_note(f"{file} was not updated: {reason}")


def read_run_settings(run: Run | None) -> Settings | None:
    """Return the settings of a run; None for a model that has none."""
    if run is None or not (run.folder / SETTINGS_FILE).is_file():
        return None
    return run.read_settings()


# Metadata


def _list_bases(bundle: Bundle) -> list[str]:
    """Return the repositories of the hub that a model's pretrained parts are from."""
    config = bundle.model.config
    parts = [part or {} for part in (config.encoder_settings, config.decoder_settings)]
    # Only a base of the hub has a commit; one in a folder may have the name of a repository.
    with_commit = [part for part in parts if (part.get("base") or {}).get("revision")]
    return sorted({str(part["name"]) for part in with_commit})


def _list_datasets(settings: Settings | None) -> list[str]:
    """Return the data set of the hub that a model was trained on, or nothing."""
    name = name_data_set(settings)
    return [name] if is_repository(name) else []


def _list_results(measures: Mapping[str, Any], split: str, data_set: str) -> list[EvalResult]:
    """Return every measure that is a number, with its definition."""
    results = []
    for name, definition in MEASURE_DEFINITIONS.items():
        value = measures.get(name)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            continue
        results.append(
            EvalResult(
                task_type=_TASK,
                task_name="Variational autoencoding of text",
                dataset_type=data_set,
                dataset_name=data_set,
                dataset_split=split,
                metric_type=name,
                metric_value=value,
                metric_name=definition.title,
                metric_args={"definition": definition.definition},
            )
        )
    return results
