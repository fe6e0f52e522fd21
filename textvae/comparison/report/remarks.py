"""Remarks on the measures of a comparison: what is doubtful about them, and what must not be compared."""

from collections.abc import Iterator, Sequence

from textvae.comparison.report.table import TableRow, have_same_test


def describe_measures(rows: Sequence[TableRow]) -> Iterator[str]:
    """Yield a remark on each doubtful measure, and on each corpus whose rows had different tests.

    The warnings of a row are those of its first run that has any: its seeds differ little.
    """
    for row in rows:
        for record in row.finished_records:
            warnings = [*record.get("warnings", []), *record.get("size_warnings", [])]
            if warnings:
                yield from (f"{row.name}: {warning}" for warning in warnings)
                break
    for corpus in dict.fromkeys(row.corpus for row in rows):
        of_corpus = [row for row in rows if row.corpus == corpus]
        if not have_same_test(of_corpus):
            yield (
                f"{corpus}: the rows were not measured on the same words, since their numbers of "
                "sentences, of words or of unknown tokens differ; likelihoods and BLEU cannot be "
                "compared, and no value is bold"
            )
