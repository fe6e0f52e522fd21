"""Reports: records as a person reads them."""

import re
from collections.abc import Mapping
from string import Formatter
from typing import Any

from textvae.errors import CheckpointError
from textvae.runs.run import Run
from textvae.vae import TextVAE
from textvae.version import __version__

_MEASURES_TEMPLATE = """\
{sentences:,} sentences, {words_per_sentence:.2f} words each (the end counted)

ELBO                   {elbo:9.2f}  nats a sentence: a lower bound on the log-likelihood
  reconstruction       {reconstruction:9.2f}  nats to write the sentence, its latent known
  KL                   {kl:9.2f}  nats the latent carries{target}
IW-NLL                 {iw_nll:9.2f}  nats a sentence, {iw_samples} importance samples (± {iw_nll_stderr:.2f})
  per word             {ppl_word:9.2f}  perplexity
  per token            {ppl_token:9.2f}  perplexity
  per byte             {bits_per_byte:9.2f}  bits
mutual information     {mi_full:9.2f}  nats, of at most {mi_full_cap:.2f}
  in batches of 32     {mi_batch32:9.2f}  nats, of at most {mi_batch32_cap:.2f}
aggregate KL           {aggregate_kl:9.2f}  nats from the mean posterior to the prior (± {aggregate_kl_stderr:.2f})
active units           {units:>9}
token accuracy         {token_accuracy:9.1%}  of tokens, from the posterior mean
reconstruction BLEU    {bleu:9.2f}
  exact                {exact_match:9.1%}  of sentences
another's latent       {shuffled_latent_increase:9.2f}  nats worse: how much the decoder listens

samples of the prior   {prior_samples:9,}  {prior_words_per_sentence:.2f} words each; decoding: {prior_decoding}
  distinct 1 to 4      {distinct_1:9.3f}  {distinct_2:.3f}  {distinct_3:.3f}  {distinct_4:.3f}
  self-BLEU            {self_bleu:9.2f}  of {self_bleu_samples}
  forward perplexity   {forward_ppl:9.2f}  of samples, by training n-grams; real text {forward_ppl_real:.2f}
  reverse perplexity   {reverse_ppl:9.2f}  of real text, by n-grams of samples; of real text {reverse_ppl_real:.2f}
  novel                {novel:9.1%}  are no training sentence; real text {novel_real:.1%}
  4-grams seen         {seen_4grams:9.1%}  in training; real text {seen_4grams_real:.1%}
MAUVE                  {mauve:9.3f}  on {mauve_features}

interpolations         {path_pairs:9}  of {path_steps} sentences
  smoothness           {smoothness:9.3f}  {smoothness_min:.3f} to {smoothness_max:.3f}; by {word_vectors}
  n-gram perplexity    {path_ppl:9.2f}  between the ends; {path_ends_ppl:.2f} at them
"""


_INFO_TEMPLATE = """\
{run}
  model       {parameters:,} parameters: {encoder} encoder, {latent_dim} latent dimensions, {decoder} decoder
  z reaches   the decoder by {conditioning}
  tokenizer   {tokenizer}, {vocab_size:,} tokens
  corpus      {corpus}: {train:,} / {validation:,} / {test:,} sentences, {words:.1f} words each
  trained     {steps:,} steps in {minutes:.1f} minutes
  textvae     {version}
"""


def format_evaluation(record: Mapping[str, Any]) -> str:
    """Show the record of `evaluate`: the lines whose figures it has."""
    aim = f"; the target was {record['kl_target']:.2f}" if record.get("kl_target") else ""
    shown: dict[str, Any] = {
        **{name: _mark_undefined(value) for name, value in record.items()},
        "target": aim,
    }
    if "active_units" in record:
        shown["units"] = f"{record['active_units']}/{record['latent_dim']}"
    lines = [
        line.format(**shown)
        for line in _MEASURES_TEMPLATE.splitlines()
        if _template_fields(line) <= shown.keys()
    ]
    parts = ["\n".join(lines).strip(), *([format_diagnosis(record)] if "verdict" in record else [])]
    return re.sub(r"\n{3,}", "\n\n", "\n\n".join(parts))


def _template_fields(line: str) -> set[str]:
    """Return the names that a template asks for."""
    return {name for _, name, _, _ in Formatter().parse(line) if name}


def _mark_undefined(value: Any) -> Any:
    """Return a figure, or what stands for one that is None."""
    return _UndefinedFigure() if value is None else value


class _UndefinedFigure:
    """A figure that is not defined: a dash as wide as the number would be."""

    def __format__(self, form: str) -> str:
        """Return the dash; `form` is that of the number, `9.2f` for instance."""
        return format("—", f">{form.partition('.')[0]}")


def format_diagnosis(record: Mapping[str, Any]) -> str:
    """Show the doctor's verdict, what it rests on, and what to change."""
    lines = [f"verdict: {record['verdict']}", *(f"  - {text}" for text in record["findings"])]
    if not record["findings"]:
        lines.append(
            f"  the latent is used: {record['active_units']}/{record['latent_dim']} units active, "
            f"KL {_mark_undefined(record['kl']):.2f} nats, and another sentence's latent costs "
            f"{record['shuffled_latent_increase']:.2f} nats"
        )
    return "\n".join(lines + [f"  what to change: {text}" for text in record["advice"]])


def describe_run(run: Run, vae: TextVAE) -> dict[str, Any]:
    """Return what a run is, as one flat record."""
    settings, counts, history = (
        run.read_settings(),
        run.read_counts().get("tokenized"),
        run.read_json("training.json"),
    )
    read = history.get("stream", {}).get("counts", {})
    if counts is None:
        raise CheckpointError(
            f"{run.folder}: has no corpus/counts.json; info wants the run itself, not a copy."
        )
    return {
        "run": str(run.folder),
        "parameters": sum(parameter.numel() for parameter in vae.model.parameters()),
        "encoder": settings.model.encoder.kind,
        "decoder": settings.model.decoder.kind,
        "conditioning": ", ".join(settings.model.conditioning),
        "latent_dim": vae.latent_dim,
        "tokenizer": settings.tokenizer.kind,
        "vocab_size": len(vae.tokenizer),
        "corpus": settings.data.corpus or "sentences given from Python",
        **{split: counts[split]["sentences"] for split in ("train", "validation", "test")},
        **(
            {"train": read.get("kept", 0) - read.get("also_held_out", 0)}
            if run.is_streamed()
            else {}
        ),
        "words": counts["train"]["words"] / counts["train"]["sentences"],
        "steps": history.get("steps", 0),
        "minutes": history.get("seconds", 0.0) / 60,
        "kl_target": run.read_kl_target(),
        "version": __version__,
    }


def format_info(record: Mapping[str, Any]) -> str:
    """Show what a run is."""
    return _INFO_TEMPLATE.format(**record).rstrip()


def format_benchmark(record: Mapping[str, Any]) -> str:
    """Show a benchmark's record as a Markdown table."""
    rows = [
        f"| {name.replace('_', ' ')} | {_format_figure(value)} |" for name, value in record.items()
    ]
    return "\n".join(["| | |", "|---|---|", *rows])


def _format_figure(value: Any) -> str:
    """Show a number with three digits or more, and anything else as it is."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
