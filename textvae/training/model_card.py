"""The model card: a README.md that a run writes about itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from textvae.runs.run import Run
from textvae.runtime.files import write_text
from textvae.vae import TextVAE

MEASURE_TITLES = {
    "elbo": "ELBO, nats a sentence",
    "reconstruction": "reconstruction, nats a sentence",
    "kl": "KL, nats a sentence",
    "iw_nll": "IW-NLL, nats a sentence",
    "ppl_word": "perplexity per word",
    "bits_per_byte": "bits per byte",
    "mi_full": "mutual information, nats",
    "active_units": "active units",
    "bleu": "reconstruction BLEU",
    "shuffled_latent_increase": "cost of another sentence's latent, nats",
    "verdict": "verdict",
}


_CARD_TEMPLATE = """---
library_name: textvae
pipeline_tag: text-generation
tags: [text-vae, variational-autoencoder]
---

# A text VAE

Trained with [textvae](https://pypi.org/project/textvae/) on `{corpus}`: {amount} of {words:.1f} words.{overlap}
A sentence is mapped to {latent} numbers, and numbers are written out as a sentence.

```python
from textvae import TextVAE

vae = TextVAE.from_pretrained("{folder}")  # this folder
vae.generate(10)
```

## Measures, on {count} sentences of the {split} split

| measure | value |
|---|---|
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
    """Write README.md: data, measures, samples, settings.

    Args:
        measures: a record of `evaluate`.
        split: the split it was measured on.
        folder: where to write; the run itself by default.
    """
    counts = run.read_counts()["tokenized"]["train"]
    settings = run.read_settings()
    originals = run.open_split(split)[:5]
    labels = originals.get(vae.bundle.label_column)
    rewritten = vae.reconstruct(originals["text"], labels=labels) if vae.latent_dim else []
    pairs = zip(originals["text"], rewritten, strict=False)
    text = _CARD_TEMPLATE.format(
        corpus=settings.data.corpus or "sentences given from Python",
        amount="a stream of sentences"
        if run.is_streamed()
        else f"{counts['sentences']:,} sentences",
        words=counts["words"] / counts["sentences"],
        overlap=_overlap_of(run),
        latent=vae.latent_dim,
        folder=run.folder,
        count=measures["sentences"],
        split=split,
        measures="\n".join(
            f"| {title} | {format_measure(measures[name])} |"
            for name, title in MEASURE_TITLES.items()
            if name in measures
        ),
        samples="\n".join(f"- {sentence}" for sentence in vae.generate(10)),
        reconstructions="\n".join(f"- {before}\n  → {after}" for before, after in pairs)
        or "A language model has none.",
        settings=yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False),
    )
    write_text((folder or run.folder) / "README.md", text)


def _overlap_of(run: Run) -> str:
    """Return a sentence on training sentences that are also held out, where there are some."""
    shared = run.read_counts()["tokenized"]["train"].get("also_held_out", 0)
    if not shared or run.read_settings().data.drop_duplicates or run.is_streamed():
        return ""
    return f"\n{shared:,} of them {'are' if shared > 1 else 'is'} also in the validation or test split."


def format_measure(value: Any) -> str:
    """Return a value as the card shows it; a figure that is not defined, as a dash."""
    if value is None:
        return "—"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
