"""The verb `docs`: every page has a name and a title, and a wrong name is answered."""

import json

import pytest

from tests.pages import ROOT
from textvae.cli.docs import list_pages
from textvae.cli.main import main


def test_every_page_is_listed_with_its_title(capsys):
    """Pages that are generated from the code are not among them."""
    assert main(["docs", "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["page"] for record in records] == list(list_pages())
    assert {"measures", "uses/infill", "benchmarks/speed"} <= {record["page"] for record in records}
    assert all(record["title"] for record in records)
    assert not any(record["page"].startswith("reference") for record in records)


@pytest.mark.parametrize("name", ["uses/infill", "docs/uses/infill.md", "infill"])
def test_a_page_is_printed_as_it_is(name, capsys):
    """A name may be written as help texts and messages write it, or without its folder."""
    assert main(["docs", name]) == 0
    assert capsys.readouterr().out == (ROOT / "docs/uses/infill.md").read_text(encoding="utf-8")


def test_a_page_as_json_is_one_record(capsys):
    """The text is whole."""
    assert main(["docs", "measures", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["text"].startswith(f"# {record['title']}")


def test_an_unknown_page_is_answered_with_the_most_similar_one(capsys):
    """Nothing is printed on standard output."""
    assert main(["docs", "mesures"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "did you mean 'measures'?" in shown.err


@pytest.mark.parametrize(
    ("name", "command"), [("reference/cli.md", "--help"), ("docs/reference/settings", "settings")]
)
def test_a_generated_page_is_answered_with_the_command_that_prints_the_same(name, command, capsys):
    """Pages of the documentation link to them."""
    assert main(["docs", name]) == 2
    assert command in capsys.readouterr().err
