"""Augmentation: new texts of the given labels, and nothing that a filter should have refused."""

import json
import shutil

import numpy as np
import pytest
import torch

from tests.tiny import SENTENCES, tiny_vae
from textvae.cli.main import main
from textvae.errors import ConfigError, DataError
from textvae.uses.augment import AugmentSettings
from textvae.uses.augment.candidates import write_candidates
from textvae.uses.augment.filters import CandidateFilter, normalize_text

LABELS = ["out", "home", "out", "home", "home", "out"]
LOOSE = {
    "temperature": 2.0,
    "spread": 3.0,
}  # a random model writes little else than duplicates without


def test_texts_are_new_and_labelled_and_at_most_n_each(vae):
    """Each has its first source's label as it was given; no two are alike, and none is a given one."""
    labels = [7 if label == "out" else "home" for label in LABELS]
    found = vae.augment(SENTENCES, labels, 3, **LOOSE)
    assert found
    texts = [normalize_text(record["text"]) for record in found]
    assert len(set(texts)) == len(texts)
    assert not set(texts) & {normalize_text(text) for text in SENTENCES}
    origins = [record["sources"][0] for record in found]
    assert origins == sorted(origins)
    assert max(origins.count(place) for place in origins) <= 3
    for record in found:
        assert {labels[place] for place in record["sources"]} == {record["label"]}
        assert len(record["sources"]) == (2 if record["method"] == "interpolation" else 1)


def test_the_seed_decides_and_the_global_numbers_are_left_alone(lstm):
    """The same for the same seed; another gives others."""
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    found = lstm.augment(SENTENCES, LABELS, 2, **LOOSE)
    assert torch.equal(torch.rand(1), expected)
    assert found == lstm.augment(SENTENCES, LABELS, 2, **LOOSE)
    assert found != lstm.augment(SENTENCES, LABELS, 2, seed=1, **LOOSE)


def test_without_spread_a_candidate_is_the_reconstruction(lstm):
    """Draws shrink onto the mean, whichever text they are of."""
    settings = AugmentSettings(spread=0, interpolated=0, temperature=1e-3)
    given = lstm.posterior(SENTENCES)
    found = write_candidates(lstm.bundle, given, LABELS, [2, 0, 4], settings, 0)
    assert [one.text for one in found] == lstm.reconstruct(
        [SENTENCES[place] for place in (2, 0, 4)]
    )


def test_a_conditional_model_is_told_each_text_s_class():
    """A candidate is the reconstruction under its label, and costs are those given the label; others are refused."""
    vae, settings = (
        tiny_vae(labels={"out": 2, "home": 1}),
        AugmentSettings(spread=0, interpolated=0, temperature=1e-3),
    )
    found = write_candidates(vae.bundle, vae.posterior(SENTENCES), LABELS, [2, 0, 4], settings, 0)
    rows = [SENTENCES[place] for place in (2, 0, 4)]
    assert [one.text for one in found] == vae.reconstruct(
        rows, labels=[LABELS[place] for place in (2, 0, 4)]
    )
    costs = CandidateFilter(vae.bundle, SENTENCES, LABELS, settings).nats_a_token(SENTENCES, LABELS)
    other = CandidateFilter(vae.bundle, SENTENCES, LABELS, settings).nats_a_token(
        SENTENCES, LABELS[::-1]
    )
    assert [one == two for one, two in zip(costs, other, strict=True)] == [
        one == two for one, two in zip(LABELS, LABELS[::-1], strict=True)
    ]
    assert vae.with_label("out").augment(SENTENCES, LABELS, 1, **LOOSE)
    with pytest.raises(ConfigError, match="label = 'away' is unknown"):
        vae.augment(SENTENCES, ["away", *LABELS[1:]], 1)


def test_what_reads_as_another_class_is_refused(lstm):
    """By the class mean of most like direction, among the encoder's states."""
    filters = CandidateFilter(lstm.bundle, SENTENCES, LABELS, AugmentSettings())
    states, held = lstm.features(SENTENCES), np.array(LABELS)
    means = {name: states[held == name].mean(0) for name in ("home", "out")}
    cosine = {name: states @ mean / np.linalg.norm(mean) for name, mean in means.items()}
    expected = np.where(cosine["home"] > cosine["out"], "home", "out").tolist()
    assert filters.read(SENTENCES) == expected
    filters.seen.clear()
    filters.limits = dict.fromkeys(filters.limits, np.inf)
    assert filters.kept(SENTENCES, expected) == list(range(len(SENTENCES)))
    assert filters.kept(SENTENCES, expected) == []  # they were seen
    filters.seen.clear()
    assert filters.kept(SENTENCES, ["out" if name == "home" else "home" for name in expected]) == []


def test_the_quantile_says_what_is_plausible(lstm):
    """At most this share of a class's own texts would pass; all of them at 1."""
    costs = np.array(
        CandidateFilter(lstm.bundle, SENTENCES, LABELS, AugmentSettings()).nats_a_token(
            SENTENCES, LABELS
        )
    )
    for quantile, passing in ((1.0, 3), (0.5, 2), (0.01, 1)):
        filters = CandidateFilter(
            lstm.bundle, SENTENCES, LABELS, AugmentSettings(quantile=quantile)
        )
        for name in ("home", "out"):
            own = costs[np.array(LABELS) == name]
            assert (own <= filters.limits[name] + 1e-6).sum() == passing or quantile == 0.01


def test_a_class_of_one_text_is_given_draws(lstm):
    """There is nothing to go towards."""
    found = write_candidates(
        lstm.bundle,
        lstm.posterior(SENTENCES),
        ["lone", *LABELS[1:]],
        [0] * 5 + [1] * 5,
        AugmentSettings(interpolated=1),
        0,
    )
    assert [one.method for one in found] == ["sample"] * 5 + ["interpolation"] * 5


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        ([], [], "there are no texts"),
        (SENTENCES, LABELS[:5], "there are 6 texts and 5 labels"),
        (SENTENCES, ["one"] * 6, "every label is 'one'"),
        (SENTENCES, [None, *LABELS[1:]], "has no label"),
        (SENTENCES, [*LABELS[:5], float("nan")], "has no label"),
        (SENTENCES, [" ", *LABELS[1:]], "has no label"),
    ],
)
def test_wrong_labels_are_refused(lstm, texts, labels, message):
    """With what came and the mend."""
    with pytest.raises(DataError, match=message):
        lstm.augment(texts, labels)


def test_wrong_settings_are_refused(lstm):
    """Under their own names."""
    with pytest.raises(ConfigError, match=r"augment\.n = 0 does not fit"):
        lstm.augment(SENTENCES, LABELS, 0)
    with pytest.raises(
        ConfigError, match=r"augment\.spred is not a setting: did you mean 'spread'"
    ):
        lstm.augment(SENTENCES, LABELS, spred=2)


def test_the_command_reads_a_table(tiny_run, tmp_path, capsys):
    """One JSON object a text; wrong input ends with code 2."""
    shutil.copytree(tiny_run, tmp_path / "run")
    table = tmp_path / "some.csv"
    table.write_text(
        "text,kind\na man rides a wave.,sea\ntwo boys like a wave.,sea\nthe dog sees his hat.,land\n"
    )
    words = [
        "augment",
        str(tmp_path / "run"),
        str(table),
        "-n",
        "2",
        "--device",
        "cpu",
        "--json",
        "--temperature",
        "2",
    ]
    assert main([*words, "--label-column", "kind"]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert json.loads(line)["label"] in ("sea", "land")
    assert main(words) == 2
    assert "there is no column 'label' of labels; there are text, kind" in capsys.readouterr().err
