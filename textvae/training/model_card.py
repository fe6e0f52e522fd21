"""The model card: the README.md of a run."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from textvae.data.corpus_report import summarize_corpus
from textvae.runs.run import Run
from textvae.runtime.files import write_text
from textvae.vae import TextVAE

# The measures that a card shows, by their key in the record of an evaluation.
MEASURE_TITLES = {
    "elbo": "ELBO, with the KL at weight 1, nats per sentence",
    "reconstruction": "reconstruction, nats per sentence",
    "kl": "KL at weight 1, nats per sentence",
    "kl_before_refit": "KL before the posterior was refitted, nats per sentence",
    "kl_weight": "weight of the KL in the loss at the end of training",
    "iw_nll": "IW-NLL, nats per sentence",
    "iw_looseness": "looseness of the IW-NLL, nats per sentence, estimated",
    "iw_samples": "importance samples per sentence",
    "iw_ess": "their effective sample size, mean",
    "iw_ess_median": "their effective sample size, median",
    "ppl_word": "perplexity per word",
    "bits_per_byte": "bits per byte",
    "mi_full": "mutual information, nats",
    "active_units": "active units, at a variance of 0.01",
    "active_units_strict": "active units, at a variance of 0.1",
    "effective_units": "effective number of units",
    "bleu": "reconstruction BLEU",
    "shuffled_latent_increase": "cost of shuffled latents, nats per sentence",
    "verdict": "verdict",
}

# Measures that only the evaluation of a run has, with its corpus.
_RUN_MEASURE_TITLES = {
    "findings": "findings",
    "model_nll": "cost of a sentence, to compare with the next row, nats",
    "trigram_nll": "cost of a sentence under a trigram model of the same tokens, nats",
}


_MEASURES_HEADING = "## Measures, on {count} sentences of the {split} split"
_TABLE_HEADING = "| measure | value |\n|---|---|"

_CARD_TEMPLATE = """---
library_name: textvae
pipeline_tag: text-generation
tags: [text-vae, variational-autoencoder]
---

# A text VAE

Trained with [textvae](https://pypi.org/project/textvae/) on `{corpus}`: {amount} of {words:.1f} words.
The encoder maps a sentence to a latent of {latent} numbers; the decoder turns a latent into a sentence.

```python
from textvae import TextVAE

vae = TextVAE.from_pretrained("{folder}")  # this folder
vae.generate(10)
```

## Corpus

{corpus_summary}

{heading}

{table_heading}
{measures}

## Sentences from the prior

{samples}

## Reconstructions

{reconstructions}

## Settings

```yaml
{settings}```
"""


def write_model_card(
    run: Run, vae: TextVAE, measures: Mapping[str, Any], split: str, folder: Path | None = None
) -> None:
    """Write README.md: data, measures, samples, reconstructions and settings.

    Args:
        run: the run, with its corpus.
        vae: the run's model.
        measures: what `evaluate` returned for this model; the weight of the KL is read from the
            run, because training knows it only at its end.
        split: the name of the split that was evaluated.
        folder: where to write; the run folder by default.
    """
    all_counts = run.read_counts()
    counts = all_counts["tokenized"]["train"]
    settings = run.read_settings()
    amount = f"{counts['sentences']:,} sentences"
    if run.is_streamed():
        amount = "a stream of sentences"  # only a sample of it was counted
    text = _CARD_TEMPLATE.format(
        corpus=settings.data.corpus or "sentences passed from Python",
        amount=amount,
        words=counts["words"] / counts["sentences"],
        corpus_summary="\n".join(
            f"- {line.text}" for line in summarize_corpus(all_counts, settings.data)
        ),
        latent=vae.latent_dim,
        folder=run.folder,
        heading=_MEASURES_HEADING.format(count=measures["sentences"], split=split),
        table_heading=_TABLE_HEADING,
        measures=_format_measure_rows({**measures, "kl_weight": run.read_kl_weight()}),
        reconstructions=_format_reconstructions(run, vae, split),
        samples="\n".join(f"- {sentence}" for sentence in vae.generate(10)),
        settings=yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False),
    )
    write_text((folder or run.folder) / "README.md", text)


def refresh_card_measures(run: Run, measures: Mapping[str, Any], split: str) -> None:
    """Replace the measures in a run's card by those of a later evaluation, and keep the rest.

    Training itself evaluates quickly, without the likelihood. A card without the section,
    or a run without a card, is left alone.
    """
    file = run.folder / "README.md"
    if not file.is_file():
        return
    heading = _MEASURES_HEADING.format(count=measures["sentences"], split=split)
    section = f"{heading}\n\n{_TABLE_HEADING}\n{_format_measure_rows(measures)}\n\n"
    text = file.read_text(encoding="utf-8")
    # A function as the replacement: a backslash in a plain one would have a meaning.
    changed = re.sub(
        r"^## Measures, on .*?(?=^## )", lambda _: section, text, count=1, flags=re.M | re.S
    )
    if changed != text:
        write_text(file, changed)


def _format_measure_rows(measures: Mapping[str, Any]) -> str:
    """Return the rows of the table of measures."""
    shown = dict(measures)
    # Most models have no such phase or findings, and then a dash would only raise a question.
    for name in ("kl_before_refit", "findings"):
        if not shown.get(name):
            shown.pop(name, None)
    rows = [
        f"| {title} | {format_measure(shown[name])} |"
        for name, title in {**MEASURE_TITLES, **_RUN_MEASURE_TITLES}.items()
        if name in shown
    ]
    # Without an empty line before it, Markdown would read a warning as a row of the table.
    warnings = [f"\n**Warning:** {warning}" for warning in measures.get("size_warnings", [])]
    return "\n".join([*rows, *warnings])


def _format_reconstructions(run: Run, vae: TextVAE, split: str) -> str:
    """Return the first sentences of a split, each with its reconstruction."""
    if not vae.latent_dim:
        return "A language model has no latent, and so no reconstructions."
    originals = run.open_split(split)[:5]
    labels = originals.get(vae.bundle.label_column)
    reconstructed = vae.reconstruct(originals["text"], labels=labels)
    pairs = zip(originals["text"], reconstructed, strict=False)
    return "\n".join(f"- {before}\n  → {after}" for before, after in pairs)


def format_measure(value: Any) -> str:
    """Return a measure as text: numbers with two decimals, a dash for None (undefined)."""
    if value is None:
        return "—"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return str(value)
