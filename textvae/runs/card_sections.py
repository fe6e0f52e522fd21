"""The sections of a model card: what each of them says, and how it is put into a card."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from textvae.data.corpus_report import summarize_corpus
from textvae.inference.bundle import Bundle
from textvae.runs.local_paths import hide_local_paths, shorten_path
from textvae.runs.measure_definitions import CARD_MEASURES, MEASURE_DEFINITIONS, RUN_MEASURES
from textvae.runs.run import Run
from textvae.settings.run import Settings
from textvae.version import __version__

HOMEPAGE = "https://pypi.org/project/textvae/"
PLACEHOLDER = "OWNER/NAME"  # of the repository, in the card of a run that was not pushed
UNKNOWN_DATA = "sentences passed from Python"

PLACEHOLDER_NOTE = (
    f"Put the folder of this card in place of `{PLACEHOLDER}`, or the name under which it was pushed "
    "to the Hugging Face Hub.\n\n"
)
_SAMPLES_HEADING = "Sentences from the prior"
# The sections before which new ones are put.
_AFTER_TEXTS = ("Settings", "Citation")
_AFTER_MEASURES = (_SAMPLES_HEADING, "Reconstructions", *_AFTER_TEXTS)
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


def format_body(
    bundle: Bundle,
    run: Run | None,
    settings: Settings | None,
    *,
    title: str,
    repository: str | None,
    note: str,
) -> str:
    """Return a card without measures and sentences, below its metadata.

    Args:
        run: the run, of which the card shows whatever records it has; None for a model alone.
        settings: those of the run, or None.
        title: the name of the model.
        repository: the name of its repository on the hub, if it has one.
        note: a paragraph to begin with, or "".
    """
    sections = [
        f"# {title}",
        *filter(None, [note]),
        _introduce(bundle, run, settings),
        f"## Use\n\n{_format_use(bundle, repository)}",
        *_list_sections(bundle, run, settings),
        f"## Citation\n\n{_CITATION}",
    ]
    return "\n\n".join(sections) + "\n"


def put_measures(text: str, measures: Mapping[str, Any], split: str, data_set: str) -> str:
    """Return a card with the measures of an evaluation in place of earlier ones."""
    section = _format_measures(measures, split, data_set)
    return _put_section(text, "Measures", section, before=_AFTER_MEASURES)


def put_texts(text: str, texts: CardTexts) -> str:
    """Return a card with sentences in place of earlier ones."""
    for heading, section in _format_texts(texts).items():
        text = _put_section(text, heading, section, before=_AFTER_TEXTS)
    return text


def name_data_set(settings: Settings | None) -> str:
    """Return the name of the corpus without its folder."""
    if settings is None or settings.data.corpus is None:
        return UNKNOWN_DATA
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
    note = "" if repository else PLACEHOLDER_NOTE
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
        processes = environment["processes"]
        shared = f", {processes} processes" if processes > 1 else ""
        facts.append(f"hardware: {environment['machine']}{shared}")
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
            cells = [title, _format_with_limits(name, measures), definition]
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
    for warning in [*measures.get("warnings", []), *measures.get("size_warnings", [])]:
        lines += ["", f"**Warning:** {warning}"]
    return "\n".join(lines) + "\n\n"


def _format_with_limits(name: str, measures: Mapping[str, Any]) -> str:
    """Return a measure as text, with its error or its upper limit if it must not be read alone."""
    text = format_measure(measures[name])
    if name == "iw_nll" and measures.get("iw_nll_stderr"):
        return f"{text} ± {measures['iw_nll_stderr']:.2f}"
    if name == "mi_full" and measures[name] is not None and "mi_full_cap" in measures:
        text += f" of at most {measures['mi_full_cap']:.2f}"
        if measures.get("mi_upper") is not None:
            text += f"; bracket {measures['mi_lower']:.2f} to {measures['mi_upper']:.2f}"
    return text


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
