"""The model card: the README.md of a run, in the form of the Hugging Face Hub.

`huggingface_hub` reads and writes its metadata: license, language, data set, bases and
every measure. A card holds no local paths, and no sentences unless the settings ask for
them. Later evaluations and pushes change only the sections that they know better, so
that what an owner adds to a card stays.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from textvae.data.corpus_report import summarize_corpus
from textvae.data.row_report import print_note
from textvae.inference.bundle import Bundle
from textvae.runs.local_paths import hide_local_paths, is_repository, shorten_path
from textvae.runs.measure_definitions import CARD_MEASURES, MEASURE_DEFINITIONS, RUN_MEASURES
from textvae.runs.run import SETTINGS_FILE, Run
from textvae.runtime.files import write_text
from textvae.settings.card import CardSettings, split_languages
from textvae.settings.run import Settings
from textvae.version import __version__

HOMEPAGE = "https://pypi.org/project/textvae/"
PLACEHOLDER = "OWNER/NAME"  # of the repository, in the card of a run that was not pushed

_TASK = "text-generation"  # the nearest one that the hub knows
_UNKNOWN_DATA = "sentences passed from Python"
_SAMPLES_HEADING = "Sentences from the prior"
# The sections before which new ones are put.
_AFTER_TEXTS = ("Settings", "Citation")
_AFTER_MEASURES = (_SAMPLES_HEADING, "Reconstructions", *_AFTER_TEXTS)
_PLACEHOLDER_NOTE = (
    f"Put the folder of this card in place of `{PLACEHOLDER}`, or the name under which it was pushed "
    "to the Hugging Face Hub.\n\n"
)
_CITATION = f"""```bibtex
@software{{textvae,
  title = {{textvae: variational autoencoders of text}},
  author = {{{{The textvae authors}}}},
  version = {{{__version__}}},
  url = {{{HOMEPAGE}}}
}}
```"""


@dataclass(frozen=True)
class CardTexts:
    """Sentences that a card shows.

    Attributes:
        samples: sentences decoded from samples of the prior.
        reconstructions: sentences of the corpus, each with its reconstruction.
    """

    samples: Sequence[str]
    reconstructions: Sequence[tuple[str, str]]


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
    title = (repository or "textvae model").rpartition("/")[2]
    data = ModelCardData(
        library_name="textvae",
        tags=["text-vae", "variational-autoencoder", "textvae"],
        base_model=_list_bases(bundle) or None,
        datasets=_list_datasets(settings) or None,
        model_name=title,
    )
    sections = [
        f"# {title}",
        *filter(None, [note]),
        _introduce(bundle, run, settings),
        f"## Use\n\n{_format_use(bundle, repository)}",
        *_list_sections(bundle, run, settings),
        f"## Citation\n\n{_CITATION}",
    ]
    body = "\n\n".join(sections)
    text = f"---\n{data.to_yaml()}\n---\n\n{body}\n"
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
    data_set: str = _UNKNOWN_DATA,
    repository: str | None = None,
    texts: CardTexts | None = None,
) -> str:
    """Return a card with new measures, metadata, sentences or a new name; everything else stays.

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
        card.text = card.text.replace(_PLACEHOLDER_NOTE, "")
        card.text = re.sub(
            r'(TextVAE\.from_pretrained\()"[^"]*"',
            lambda found: f'{found[1]}"{repository}"',
            card.text,
        )
    if measures is not None:
        data.model_name = data.model_name or "textvae model"
        data.eval_results = _list_results(measures, split, data_set)
        section = _format_measures(measures, split, data_set)
        card.text = _put_section(card.text, "Measures", section, before=_AFTER_MEASURES)
    if texts is not None:
        for heading, section in _format_texts(texts).items():
            card.text = _put_section(card.text, heading, section, before=_AFTER_TEXTS)
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


def name_data_set(settings: Settings | None) -> str:
    """Return the name of the corpus without its folder."""
    if settings is None or settings.data.corpus is None:
        return _UNKNOWN_DATA
    return shorten_path(settings.data.corpus)


def format_measure(value: Any) -> str:
    """Return a measure as text: numbers with two decimals, a dash for None (undefined)."""
    if value is None:
        return "—"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return str(value)


# Metadata


def _list_bases(bundle: Bundle) -> list[str]:
    """Return the repositories of the hub that a model's pretrained parts are from."""
    config = bundle.model.config
    parts = [part or {} for part in (config.encoder_settings, config.decoder_settings)]
    names = [str(part["name"]) for part in parts if part.get("base")]
    return sorted({name for name in names if is_repository(name)})


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


# Sections


def _introduce(bundle: Bundle, run: Run | None, settings: Settings | None) -> str:
    """Return the first paragraph: what the model is, and what it was trained on."""
    latent = bundle.model.config.latent_dim
    count = bundle.model.num_parameters()
    trained = ""
    counts = run.read_counts() if run is not None else {}
    if settings is not None:
        trained = f" on `{name_data_set(settings)}`"
    if run is not None and counts:
        train = counts["tokenized"]["train"]
        amount = f"{train['sentences']:,} sentences"
        if run.is_streamed():
            amount = "a stream of sentences"  # only a sample of it was counted
        trained += f": {amount} of {train['words'] / train['sentences']:.1f} words"
    if not latent:
        kind = "A language model of text, the baseline of a variational autoencoder"
        work = "It has no latent."
    else:
        kind = "A variational autoencoder of text"
        work = (
            f"The encoder maps a sentence to a latent of {latent} numbers; the decoder turns a "
            "latent into a sentence."
        )
    return (
        f"{kind}, trained with [textvae]({HOMEPAGE}){trained}. {work} It has {count:,} parameters."
    )


def _format_use(bundle: Bundle, repository: str | None) -> str:
    """Return how to install textvae, load the model and use it."""
    note = "" if repository else _PLACEHOLDER_NOTE
    lines = [
        "from textvae import TextVAE",
        "",
        f'vae = TextVAE.from_pretrained("{repository or PLACEHOLDER}")',
        "vae.generate(10)",
    ]
    if bundle.model.config.latent_dim and not bundle.model.config.labels:
        lines += ['z = vae.encode(["a sentence"])', "vae.decode(z)"]
    code = "\n".join(lines)
    return f"{note}```bash\npip install textvae\n```\n\n```python\n{code}\n```"


def _list_sections(bundle: Bundle, run: Run | None, settings: Settings | None) -> list[str]:
    """Return the sections between the use and the citation that a model has records for."""
    sections = []
    if facts := _list_facts(bundle, run, settings):
        sections.append("## Training\n\n" + "\n".join(f"- {fact}" for fact in facts))
    if settings is not None:
        published = hide_local_paths(settings.model_dump(mode="json"))
        dumped = yaml.safe_dump(published, sort_keys=False, allow_unicode=True)
        sections.append(f"## Settings\n\n```yaml\n{dumped}```")
    return sections


def _list_facts(bundle: Bundle, run: Run | None, settings: Settings | None) -> list[str]:
    """Return what is known about the training: corpus, bases, seeds, time, machine, versions."""
    facts: list[str] = []
    if run is not None and settings is not None and (counts := run.read_counts()):
        for line in summarize_corpus(hide_local_paths(counts), settings.data):
            facts.append(f"corpus: {line.text}")
    facts += [f"base: {line}" for line in _describe_bases(bundle)]
    if settings is not None:
        training, data = settings.training, settings.data
        facts.append(f"seeds: training.seed = {training.seed}, data.split_seed = {data.split_seed}")
    log = run.read_json("training.json") if run is not None else {}
    if log.get("steps"):
        facts.append(f"time: {log['steps']:,} steps in {_format_seconds(log['seconds'])}")
    environment = log.get("environment")
    if environment:
        facts.append(f"hardware: {environment['machine']}, {environment['processes']} processes")
        names = ("textvae", "torch", "transformers", "python")
        versions = ", ".join(f"{name} {environment[name]}" for name in names)
        facts.append(f"versions: {versions}")
    return facts


def _describe_bases(bundle: Bundle) -> list[str]:
    """Return a line on each pretrained part: its name, commit and license."""
    config = bundle.model.config
    lines = []
    for role, part in (("encoder", config.encoder_settings), ("decoder", config.decoder_settings)):
        base = part.get("base") if part else None
        if part is None or not base:
            continue
        notes = [f"license {base['license'] or 'unknown'}"]
        if base["revision"]:
            notes.insert(0, f"commit {base['revision']}")
        lines.append(f"the {role} starts from {shorten_path(part['name'])} ({', '.join(notes)})")
    return lines


def _format_measures(measures: Mapping[str, Any], split: str, data_set: str) -> str:
    """Return the section of measures: a table of the main ones with their definitions."""
    rows = ["| measure | value | definition |", "|---|---|---|"]
    for name in (*CARD_MEASURES, *RUN_MEASURES):
        # Most models have no such phase, and then a dash would only raise a question.
        is_absent = name not in measures or (name == "kl_before_refit" and not measures[name])
        if not is_absent:
            title, definition = MEASURE_DEFINITIONS[name]
            # A bar would end the cell.
            cells = [title, format_measure(measures[name]), definition]
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines = [
        f"## Measures, on {measures['sentences']} sentences of the {split} split",
        "",
        f"Of `{data_set}`. The metadata of this card has every measure with its definition.",
        "",
        *rows,
    ]
    if measures.get("verdict"):
        findings = measures.get("findings") or []
        reason = f": {'; '.join(findings)}" if findings else ""
        lines += ["", f"**Verdict:** {measures['verdict']}{reason}."]
    for warning in measures.get("size_warnings", []):
        lines += ["", f"**Warning:** {warning}"]
    return "\n".join(lines) + "\n\n"


def _format_texts(texts: CardTexts) -> dict[str, str]:
    """Return the sections of sentences by their headings."""
    samples = "\n".join(f"- {_in_one_line(text)}" for text in texts.samples)
    sections = {_SAMPLES_HEADING: f"## {_SAMPLES_HEADING}\n\n{samples}\n\n"}
    pairs = [
        f"- {_in_one_line(text)}\n  → {_in_one_line(reconstruction)}"
        for text, reconstruction in texts.reconstructions
    ]
    if pairs:
        listed = "\n".join(pairs)
        sections["Reconstructions"] = f"## Reconstructions\n\n{listed}\n\n"
    return sections


def _put_section(text: str, heading: str, section: str, before: Sequence[str]) -> str:
    """Return a card in which a section is replaced, or put before the first of other headings."""
    pattern = rf"^## {heading}\b.*?(?=^## |\Z)"
    # A function as the replacement: a backslash in a plain one would have a meaning.
    changed, count = re.subn(pattern, lambda _: section, text, count=1, flags=re.M | re.S)
    if count:
        return changed
    following = re.search(rf"^## ({'|'.join(before)})$", text, flags=re.M)
    if following is None:
        return f"{text.rstrip()}\n\n{section.rstrip()}\n"
    return f"{text[: following.start()]}{section}{text[following.start() :]}"


def _in_one_line(text: str) -> str:
    """Return a sentence as one item of a list, whatever characters it has."""
    return " ".join(text.split())


def _format_seconds(seconds: float) -> str:
    """Return a duration in the largest unit that makes it at least two."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"
