"""The summary of a prepared corpus: its splits, and what was left out, cut, unknown or repeated.

The same lines are printed after preparation, written into the model card and shown by
`textvae info`. They come from counts.json alone, so a cached corpus has the same summary.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from textvae.data.corpus import HELD_OUT_SPLITS, format_drop_reasons
from textvae.data.row_report import format_count, shorten_list
from textvae.data.settings import DataSettings
from textvae.messages import print_note, print_warning

SPLITS = ("train", *HELD_OUT_SPLITS)

# Shares from which a line of the summary is a warning.
_MANY_LEFT_OUT = 0.5  # blank lines between sentences are common
_MANY_CUT = 0.1
_MANY_UNKNOWN = 0.1
_MANY_COPIES = 0.5
_MANY_SHARED = 0.1  # of a held-out split
_FEW_HELD_OUT = 10  # sentences

_MAX_LISTED_FILES = 3  # of a split

Counts = Mapping[str, Any]  # the content of counts.json


@dataclass(frozen=True)
class SummaryLine:
    """A line of the summary; it is a warning if much of the corpus is concerned."""

    text: str
    is_warning: bool = False


class CorpusShares(TypedDict):
    """How much of a corpus is not what a model should learn from, as shares from 0 to 1.

    Attributes:
        training_sentences: the number of training sentences.
        left_out_share: of the rows, those that cleaning left out.
        cut_share: of the sentences, those that were cut at `data.max_tokens`.
        unknown_share: of the tokens, the unknown ones, in the split that has most of them.
        copied_share: of the training sentences, those that are copies of others.
        most_copied_share: of the training sentences, the copies of the most frequent one.
        shared_share: of the held-out sentences, those that are also trained on.
    """

    training_sentences: int
    left_out_share: float
    cut_share: float
    unknown_share: float
    copied_share: float
    most_copied_share: float
    shared_share: float


def report_corpus(counts: Counts, data: DataSettings) -> None:
    """Print the summary of a corpus on standard error."""
    name = data.corpus or "the corpus"
    if "stream" in counts:
        name = f"a sample of {name}"
    first, *others = summarize_corpus(counts, data)
    for line in (SummaryLine(f"{name}: {first.text}", first.is_warning), *others):
        if line.is_warning:
            print_warning(line.text)
        else:
            print_note(line.text)


def summarize_corpus(counts: Counts, data: DataSettings) -> list[SummaryLine]:
    """Return the splits and, if there are any, what was left out, cut, unknown or repeated."""
    lines = [_describe_splits(counts, data)]
    lines += _describe_left_out_rows(counts, data)
    lines += _describe_cuts(counts, data)
    lines += _describe_unknown_tokens(counts)
    lines += _describe_copies(counts)
    lines += _describe_overlap(counts, data)
    return lines


def compute_shares(counts: Counts) -> CorpusShares:
    """Return the shares of a corpus; what an older release did not count is 0."""
    cleaned = _add_splits(counts.get("cleaned", {}))
    tokenized = counts["tokenized"]
    total = _add_splits(tokenized)
    train = tokenized["train"].get("sentences", 0)
    return {
        "training_sentences": train,
        "left_out_share": _divide(cleaned["read"] - cleaned["kept"], cleaned["read"]),
        "cut_share": _divide(total["truncated"], total["sentences"]),
        "unknown_share": max(_compute_unknown_share([tokenized[split]]) for split in SPLITS),
        "copied_share": _divide(tokenized["train"].get("copies", 0), train),
        "most_copied_share": _divide(tokenized["train"].get("most_copies", 0), train),
        "shared_share": max(_compute_shared_share(tokenized[split]) for split in HELD_OUT_SPLITS),
    }


def _describe_splits(counts: Counts, data: DataSettings) -> SummaryLine:
    """Return the number of sentences of each split, and their files if there are several."""
    tokenized = counts["tokenized"]
    files = counts.get("files", {})
    titles = {"train": "to train on", "validation": "for validation", "test": "for test"}
    parts = []
    for split, title in titles.items():
        size = tokenized[split].get("sentences", 0)
        amount = format_count(size, "sentence") if split == "train" else f"{size:,}"
        parts.append(f"{amount} {title}{_list_files(files.get(split, ()))}")
    text = f"{parts[0]}, {parts[1]} and {parts[2]}"
    if not set(SPLITS) <= counts.get("cleaned", tokenized).keys():
        text += f" (data.held_out = {data.held_out:g})"  # at least one split was held out
    smallest = min(tokenized[split].get("sentences", 0) for split in HELD_OUT_SPLITS)
    if smallest < _FEW_HELD_OUT:
        text += (
            f". Measures on {format_count(smallest, 'sentence')} are rough: add sentences, or "
            "raise data.held_out"
        )
    return SummaryLine(f"{text}.")


def _list_files(names: Sequence[str]) -> str:
    """Return the first names of files in brackets; nothing if there are no names."""
    if not names:
        return ""
    return f" (from {shorten_list(names, _MAX_LISTED_FILES)})"


def _describe_left_out_rows(counts: Counts, data: DataSettings) -> Iterator[SummaryLine]:
    """Yield how many rows cleaning left out and why, if it did."""
    cleaned = _add_splits(counts.get("cleaned", {}))
    reasons = format_drop_reasons(cleaned, data)
    if reasons:
        left_out = cleaned["read"] - cleaned["kept"]
        yield SummaryLine(
            f"{left_out:,} of {cleaned['read']:,} rows left out: {reasons}.",
            left_out >= _MANY_LEFT_OUT * cleaned["read"],
        )


def _describe_cuts(counts: Counts, data: DataSettings) -> Iterator[SummaryLine]:
    """Yield how many sentences are cut at which limit, if any are."""
    tokenized = _add_splits(counts["tokenized"])
    characters = _add_splits(counts.get("cleaned", {}))["truncated"]
    tokens = tokenized["truncated"]
    cuts = []
    if tokens:
        cuts.append(f"{_be(tokens)} cut at data.max_tokens = {data.max_tokens}")
    if characters:
        cuts.append(f"{_be(characters)} cut at data.max_characters = {data.max_characters}")
    if cuts:
        total = tokenized["sentences"]
        yield SummaryLine(
            f"of {format_count(total, 'sentence')}, {' and '.join(cuts)}; "
            "only the beginning is used.",
            max(tokens, characters) >= _MANY_CUT * total,
        )


def _describe_unknown_tokens(counts: Counts) -> Iterator[SummaryLine]:
    """Yield the share of tokens that the tokenizer does not know, if there are any."""
    tokenized = counts["tokenized"]
    train = _compute_unknown_share([tokenized["train"]])
    held_out = _compute_unknown_share([tokenized[split] for split in HELD_OUT_SPLITS])
    largest = max(train, held_out)
    if largest:
        yield SummaryLine(
            f"{train:.1%} of the training tokens and {held_out:.1%} of the held-out ones are "
            "unknown, and lost in every text: raise tokenizer.vocab_size, or use "
            "tokenizer.kind=bpe, which knows every character.",
            largest >= _MANY_UNKNOWN,
        )


def _describe_copies(counts: Counts) -> Iterator[SummaryLine]:
    """Yield how many training sentences are copies of others, if any are."""
    train = counts["tokenized"]["train"]
    copies = train.get("copies", 0)
    if copies:
        yield SummaryLine(
            f"{copies:,} of {train['sentences']:,} training sentences {_verb(copies)} copies of "
            "others; data.drop_duplicates=true leaves copies out.",
            copies >= _MANY_COPIES * train["sentences"],
        )


def _describe_overlap(counts: Counts, data: DataSettings) -> Iterator[SummaryLine]:
    """Yield how many sentences are in two splits, as can happen if the corpus was split before."""
    tokenized = counts["tokenized"]
    in_both = tokenized["validation"].get("also_held_out", 0)
    if in_both:
        yield SummaryLine(
            f"{_format_subject(in_both, 'validation')} also in the test split: measures on the "
            "test split come out too good, because the validation split selects the best "
            "checkpoint.",
            in_both >= _MANY_SHARED * tokenized["validation"]["sentences"],
        )
    alike = tokenized["train"].get("cut_alike", 0)
    if alike:
        yield SummaryLine(
            f"{_format_subject(alike, 'training')}, once cut at data.max_tokens = "
            f"{data.max_tokens}, also in the validation or test split: measures on these splits "
            "come out too good. Increase data.max_tokens.",
            alike >= _MANY_SHARED * tokenized["train"]["sentences"],
        )
    shared = tokenized["train"].get("also_held_out", 0)
    if not shared:
        return
    overlap = f"{_format_subject(shared, 'training')} also in the validation or test split"
    if data.drop_duplicates:
        yield SummaryLine(f"{overlap}, and left out of training.")
        return
    sizes = [
        f"{tokenized[split].get('also_trained_on', 0):,} of the "
        f"{tokenized[split]['sentences']:,} {split} sentences"
        for split in HELD_OUT_SPLITS
    ]
    yield SummaryLine(
        f"{overlap} ({', '.join(sizes)}): measures on these splits come out too good. "
        "data.drop_duplicates=true leaves such sentences out of training.",
        max(_compute_shared_share(tokenized[split]) for split in HELD_OUT_SPLITS) >= _MANY_SHARED,
    )


def _add_splits(counts: Mapping[str, Mapping[str, int]]) -> Counter[str]:
    """Return the sums of the counts over all splits."""
    total = Counter[str]()
    for split_counts in counts.values():
        total.update(split_counts)
    return total


def _compute_unknown_share(splits: Sequence[Mapping[str, int]]) -> float:
    """Return the share of unknown tokens in splits; the ends of sentences do not count."""
    unknown = sum(split.get("unknown", 0) for split in splits)
    tokens = sum(split.get("tokens", 0) - split.get("sentences", 0) for split in splits)
    return _divide(unknown, tokens)


def _compute_shared_share(split: Mapping[str, int]) -> float:
    """Return the share of a held-out split's sentences that are also training sentences."""
    return _divide(split.get("also_trained_on", 0), split.get("sentences", 0))


def _divide(part: int, total: int) -> float:
    """Return a share; 0 of nothing."""
    return part / total if total else 0.0


def _format_subject(count: int, split: str) -> str:
    """Return the beginning of a note, such as `3 training sentences are`."""
    return f"{format_count(count, f'{split} sentence')} {_verb(count)}"


def _be(count: int) -> str:
    """Return a count with its verb, such as `1 is`."""
    return f"{count:,} {_verb(count)}"


def _verb(count: int) -> str:
    """Return `is` or `are`."""
    return "is" if count == 1 else "are"
