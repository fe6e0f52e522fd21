"""Format the records of `evaluate`, `doctor`, `info` and `bench` as text for people."""

import re
from collections.abc import Mapping
from string import Formatter
from typing import Any

from torch import nn

from textvae.data.corpus_report import compute_shares, summarize_corpus
from textvae.errors import CheckpointError
from textvae.evaluation.doctor import format_diagnosis
from textvae.evaluation.measures.mutual_information import is_at_cap
from textvae.model.modeling import TextVAEModel
from textvae.runs.run import Run
from textvae.vae import TextVAE
from textvae.version import __version__

_CLEARLY_LESS = 0.1  # nats; a bracket is an estimate, too

# What `evaluate` prints. A line is left out if the record lacks one of its figures.
_MEASURES_TEMPLATE = """\
{sentences:,} {sentence_noun}, {words_per_sentence:.2f} words each (the end counts as one)

ELBO                   {elbo:9.2f}  nats per sentence, with the KL at weight 1: a lower bound on the log-likelihood
  reconstruction       {reconstruction:9.2f}  nats per sentence: the cost of the text, given its latent
  KL                   {kl:9.2f}  nats per sentence, carried by the latent{target}{weight}
IW-NLL                 {iw_nll:9.2f}  nats per sentence, {iw_samples} importance samples{iw_nll_error}
  looseness            {iw_looseness:9.2f}  nats too high, estimated{iw_looseness_error}
  Monte Carlo error    {iw_mc_stderr:9.2f}  nats
  effective samples    {iw_ess:9.1f}  of {iw_samples}; median {iw_ess_median:.1f}
  proposal width       {iw_width:9.2f}  times that of the posterior, fitted
  per word             {ppl_word:9.2f}  perplexity
  per token            {ppl_token:9.2f}  perplexity
  per byte             {bits_per_byte:9.2f}  bits
mutual information     {mi_full:9.2f}  nats, at most {mi_full_cap:.2f}{mi_full_note}
  in batches of 32     {mi_batch32:9.2f}  nats, at most {mi_batch32_cap:.2f}{mi_batch32_note}
  bracket              {mi_lower:9.2f}  to {mi_upper:.2f} nats, with q(z) of {aggregate_sentences:,} sentences
aggregate KL           {aggregate_kl:9.2f}  nats from the aggregate posterior to the prior{aggregate_note}
  bracket              {aggregate_kl_lower:9.2f}  to {aggregate_kl_upper:.2f} nats; from below, by a fitted density
active units           {units:>9}  at a variance of 0.01; {units_at_thresholds}
  effective number     {effective_units:9.1f}  equally informative units would be spread as these are
  beyond the best ten  {beyond_ten_share:9.1%}  of the information is in the other units
token accuracy         {token_accuracy:9.1%}  of tokens, decoding from the posterior mean
reconstruction BLEU    {bleu:9.2f}
  exact                {exact_match:9.1%}  of sentences
shuffled latents       {shuffled_latent_increase:+9.2f}  nats: how much the decoder relies on z

samples of the prior   {prior_samples:9,}  {prior_words_per_sentence:.2f} words each; decoding: {prior_decoding}
  distinct 1 to 4      {distinct_1:9.3f}  {distinct_2:.3f}  {distinct_3:.3f}  {distinct_4:.3f}
    of real text       {distinct_1_real:9.3f}  {distinct_2_real:.3f}  {distinct_3_real:.3f}  {distinct_4_real:.3f}
  self-BLEU            {self_bleu:9.2f}  of {self_bleu_samples} samples
    of real text       {self_bleu_real:9.2f}  of {self_bleu_samples} sentences
  forward perplexity   {forward_ppl:9.2f}  of samples under n-grams of training text; real text {forward_ppl_real:.2f}
  reverse perplexity   {reverse_ppl:9.2f}  of real text under n-grams of samples; training text {reverse_ppl_real:.2f}
  novel                {novel:9.1%}  are not training sentences; real text {novel_real:.1%}
  4-grams seen         {seen_4grams:9.1%}  in training; real text {seen_4grams_real:.1%}
MAUVE                  {mauve:9.3f}  on {mauve_features}

interpolations         {path_pairs:9}  paths of {path_steps} sentences each
  smoothness           {smoothness:9.3f}  {smoothness_min:.3f} to {smoothness_max:.3f}; by {word_vectors}
  n-gram perplexity    {path_ppl:9.2f}  between the ends; {path_ends_ppl:.2f} at the ends
"""

# Without them, their lines would say nothing.
_LEFT_OUT_IF_UNKNOWN = ("iw_mc_stderr", "mi_lower", "aggregate_kl_lower")

_INFO_TEMPLATE = """\
{run}
  model       {parameters:,} parameters: {encoder} encoder, {latent_dim} latent dimensions, {decoder} decoder
{parts}  z reaches   the decoder by {conditioning}
  tokenizer   {tokenizer}, {vocab_size:,} tokens
  corpus      {corpus}: {train:,} / {validation:,} / {test:,} sentences, {words:.1f} words each
{corpus_notes}  trained     {steps:,} steps in {minutes:.1f} minutes
  textvae     {version}
"""


def format_evaluation(record: Mapping[str, Any]) -> str:
    """Return the record of `evaluate` as text: the measures it has, and the doctor's verdict."""
    figures = {name: _mark_undefined(value) for name, value in record.items()}
    for name in _LEFT_OUT_IF_UNKNOWN:
        if record.get(name) is None:
            figures.pop(name, None)
    if record.get("iw_width") == 1:
        del figures["iw_width"]  # z was sampled from the posterior itself, as is usual
    if record.get("iw_samples") is not None:
        figures["iw_samples"] = _format_mean_count(record["iw_samples"])
    figures |= _build_notes(record)
    if "active_units" in record:
        figures["units"] = f"{record['active_units']}/{record['latent_dim']}"
        figures["units_at_thresholds"] = _format_unit_counts(record)
    lines = [
        line.format(**figures)
        for line in _MEASURES_TEMPLATE.splitlines()
        if _find_fields(line) <= figures.keys()
    ]
    text = "\n".join(lines).strip()
    for warning in [*record.get("warnings", []), *record.get("size_warnings", [])]:
        text += f"\n\nwarning: {warning}"
    if "verdict" in record:
        text += "\n\n" + format_diagnosis(record)
    # A group whose measures were all left out leaves its blank line.
    return re.sub(r"\n{3,}", "\n\n", text)


def _build_notes(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the remarks that follow figures, by the names of their fields in the template."""
    notes = {"target": "", "weight": ""}
    is_single = record.get("sentences") == 1
    notes["sentence_noun"] = "sentence" if is_single else "sentences"
    for name in ("iw_nll", "iw_looseness"):
        error = record.get(f"{name}_stderr")
        # One sentence has no spread over sentences.
        notes[f"{name}_error"] = "" if error is None or is_single else f" (± {error:.2f})"
    target = record.get("kl_target")
    before = record.get("kl_before_refit")
    if before is not None:
        aim = f" (target {target:.2f})" if target else ""
        notes["target"] = f"; {before:.2f}{aim} before the posterior was refitted in the last phase"
    elif target:
        notes["target"] = f"; the target was {target:.2f}"
    if record.get("kl_weight") is not None:
        time = "at the end" if before is None else "until then"
        notes["weight"] = f"; its weight in the loss was {record['kl_weight']:.2f} {time}"
    for name in ("mi_full", "mi_batch32"):
        value = record.get(name)
        is_capped = value is not None and is_at_cap(value, record[f"{name}_cap"])
        notes[f"{name}_note"] = ": at its cap" if is_capped else ""
    notes["aggregate_note"] = ""
    is_at_its_cap = bool(notes["mi_full_note"])
    if not is_at_its_cap and _is_below_bracket(record):
        notes["mi_full_note"] = ": too low, from so few sentences; see the bracket"
        notes["aggregate_note"] = ": too high, see the bracket"
    elif is_at_its_cap:
        # It is then an artifact of the number of sentences, and its error would mislead.
        notes["aggregate_note"] = ": no more than KL - ln N, see the bracket"
    elif record.get("aggregate_kl_stderr") is not None and not is_single:
        notes["aggregate_note"] = f" (± {record['aggregate_kl_stderr']:.2f})"
    return notes


def _format_mean_count(count: float) -> str:
    """Return a mean number of draws, with one decimal only if it is not whole."""
    return f"{count:.0f}" if float(count).is_integer() else f"{count:.1f}"


def _is_below_bracket(record: Mapping[str, Any]) -> bool:
    """Return whether the mutual information is less than the bracket from more sentences allows."""
    value, lower = record.get("mi_full"), record.get("mi_lower")
    return value is not None and lower is not None and value < lower - _CLEARLY_LESS


def _format_unit_counts(record: Mapping[str, Any]) -> str:
    """Return the number of units at thresholds above the usual one."""
    pairs = zip(record["active_units_thresholds"], record["active_units_curve"], strict=True)
    return ", ".join(f"{count} at {threshold:g}" for threshold, count in pairs if threshold > 0.01)


def format_checkup(record: Mapping[str, Any]) -> str:
    """Return the diagnosis of `doctor`, with a warning if it rests on too few sentences."""
    warnings = [f"warning: {warning}" for warning in record.get("size_warnings", [])]
    return "\n\n".join([*warnings, format_diagnosis(record)])


def describe_run(run: Run, vae: TextVAE) -> dict[str, Any]:
    """Return a flat record of a run's model, corpus and training.

    Raises:
        CheckpointError: the folder has no record of the corpus: it is a copy of the model only.
    """
    settings = run.read_settings()
    all_counts = run.read_counts()
    counts = all_counts.get("tokenized")
    history = run.read_json("training.json")
    if counts is None:
        raise CheckpointError(
            f"{run.folder}: there is no corpus/counts.json; "
            "name the folder that training wrote, not a copy of its model."
        )
    return {
        "run": str(run.folder),
        "parameters": _count(vae.model),
        "trained_parameters": _count(vae.model, is_trained=True),
        "parts": [_describe_part(vae.model, role) for role in ("encoder", "decoder")],
        "encoder": settings.model.encoder.kind,
        "decoder": settings.model.decoder.kind,
        "conditioning": ", ".join(settings.model.conditioning),
        "latent_dim": vae.latent_dim,
        "tokenizer": settings.tokenizer.kind,
        "vocab_size": len(vae.tokenizer),
        "corpus": settings.data.corpus or "sentences passed from Python",
        "train": run.open_corpus().count_training_sentences(counts, history),
        "validation": counts["validation"]["sentences"],
        "test": counts["test"]["sentences"],
        "words": counts["train"]["words"] / counts["train"]["sentences"],
        "corpus_files": all_counts.get("files", {}),
        "corpus_summary": [line.text for line in summarize_corpus(all_counts, settings.data)],
        "also_held_out": run.open_corpus().count_overlap(counts),
        **compute_shares(all_counts),
        "steps": history.get("steps", 0),
        "minutes": history.get("seconds", 0.0) / 60,
        "kl_target": run.read_kl_target(),
        "version": __version__,
    }


def format_info(record: Mapping[str, Any]) -> str:
    """Return the record of a run as text."""
    parts = [_format_part(part) for part in record["parts"] if part["base"]]
    summary = record["corpus_summary"]
    if not record["corpus_files"]:
        summary = summary[1:]  # the line before has the sizes of the splits already
    notes = [f"              {line}\n" for line in summary]
    texts = {"parts": "".join(parts), "corpus_notes": "".join(notes)}
    return _INFO_TEMPLATE.format(**{**record, **texts}).rstrip()


def _describe_part(model: TextVAEModel, role: str) -> dict[str, Any]:
    """Return what an encoder or a decoder starts from, and how much of it was trained."""
    settings = getattr(model.config, f"{role}_settings") or {}
    base = settings.get("base") or {}
    part = getattr(model, role)
    return {
        "role": role,
        "base": settings.get("name") if base else None,
        "revision": base.get("revision"),
        "license": base.get("license"),
        "needs_base": bool(part.list_base_weights()),
        "parameters": _count(part),
        "trained_parameters": _count(part, is_trained=True),
    }


def _format_part(part: Mapping[str, Any]) -> str:
    """Return the line of a part that starts from a base."""
    share = part["trained_parameters"] / max(1, part["parameters"])
    need = "needed to load it" if part["needs_base"] else "not needed to load it"
    return (
        f"  {part['role']}     {part['base']} (license {part['license'] or 'not stated'}; {need}): "
        f"{part['parameters']:,} parameters, {share:.1%} trained\n"
    )


def _count(module: nn.Module, *, is_trained: bool = False) -> int:
    """Return the number of a module's parameters, or only of those that training changes."""
    return sum(
        value.numel() for value in module.parameters() if value.requires_grad or not is_trained
    )


def format_benchmark(record: Mapping[str, Any]) -> str:
    """Return the record of a benchmark as a Markdown table."""
    lines = ["| | |", "|---|---|"]
    for name, value in record.items():
        lines.append(f"| {name.replace('_', ' ')} | {_format_figure(value)} |")
    return "\n".join(lines)


def _find_fields(line: str) -> set[str]:
    """Return the names of the fields in a format string."""
    return {name for _, name, _, _ in Formatter().parse(line) if name}


def _mark_undefined(value: Any) -> Any:
    """Return a figure, or one that is printed as a dash if it is None."""
    return _UndefinedFigure() if value is None else value


class _UndefinedFigure:
    """A figure that is not defined: it is printed as a dash, as wide as the number would be."""

    def __format__(self, form: str) -> str:
        """Return the dash; `form` is the format of the number, such as `9.2f` or `9,`."""
        width = form.strip("+,").partition(".")[0]
        return format("—", f">{width}")


def _format_figure(value: Any) -> str:
    """Return a number with at least three significant digits; return anything else as text."""
    if not isinstance(value, float):
        return str(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
