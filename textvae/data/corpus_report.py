"""Notes about a prepared corpus: rows left out, sentences cut, and sentences in two splits."""

from collections import Counter
from collections.abc import Mapping

from textvae.data.corpus import DataSettings, format_drop_reasons
from textvae.data.row_report import print_note


def report_left_out_rows(
    counts: Mapping[str, Mapping[str, Mapping[str, int]]], data: DataSettings
) -> None:
    """Print how many rows cleaning left out, and why, and how many sentences were cut."""
    name = data.corpus or "the corpus"
    cleaned = Counter[str]()
    for split_counts in counts["cleaned"].values():
        cleaned.update(split_counts)
    reasons = format_drop_reasons(cleaned)
    if reasons:
        left_out = cleaned["read"] - cleaned["kept"]
        print_note(f"{name}: {left_out:,} of {cleaned['read']:,} rows left out ({reasons}).")
    tokenized = counts["tokenized"].values()
    cut = sum(split_counts.get("truncated", 0) for split_counts in tokenized)
    if not cut:
        return
    total = sum(split_counts.get("sentences", 0) for split_counts in tokenized)
    noun = "sentence" if total == 1 else "sentences"
    verb = "is" if cut == 1 else "are"
    print_note(
        f"{name}: {cut:,} of {total:,} {noun} {verb} cut at data.max_tokens = {data.max_tokens}."
    )


def report_overlap(counts: Mapping[str, Mapping[str, int]], data: DataSettings) -> None:
    """Print how many sentences are in two splits, as can happen if the corpus was split before."""
    in_both = counts["validation"].get("also_held_out", 0)
    if in_both:
        print_note(
            f"{_format_subject(in_both, 'validation')} also in the test split: measures on the "
            "test split come out too good, because the validation split selects the best "
            "checkpoint."
        )
    alike = counts["train"].get("cut_alike", 0)
    if alike:
        print_note(
            f"{_format_subject(alike, 'training')}, once cut at data.max_tokens = "
            f"{data.max_tokens}, also in the validation or test split: measures on these splits "
            "come out too good. Increase data.max_tokens."
        )
    shared = counts["train"].get("also_held_out", 0)
    if not shared:
        return
    overlap = f"{_format_subject(shared, 'training')} also in the validation or test split"
    if data.drop_duplicates:
        print_note(f"{overlap}, and left out of training.")
    else:
        print_note(
            f"{overlap}: measures on these splits come out too good. "
            "data.drop_duplicates=true leaves such sentences out."
        )


def _format_subject(count: int, split: str) -> str:
    """Return the beginning of a note, such as `3 training sentences are`."""
    if count > 1:
        return f"{count:,} {split} sentences are"
    return f"{count:,} {split} sentence is"
