"""Augmentation: new texts with the given labels, and filters that drop the wrong ones."""

import json
import shutil
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny import SENTENCES, tiny_vae
from textvae.cli.main import main
from textvae.errors import ConfigError, DataError
from textvae.uses.augment.candidates import write_candidates
from textvae.uses.augment.filters import CandidateFilter, normalize_text
from textvae.uses.settings import AugmentSettings

LABELS = ["out", "home", "out", "home", "home", "out"]

# With the default settings, an untrained model generates mostly duplicates.
LOOSE: dict[str, Any] = {"temperature": 2.0, "spread": 3.0}


def test_texts_are_new_and_labelled_and_at_most_n_each(vae):
    """No two texts are alike and none is an input text; labels keep their type."""
    labels = [7 if label == "out" else "home" for label in LABELS]
    records = vae.augment(SENTENCES, labels, n=3, **LOOSE)
    assert records
    texts = [normalize_text(record["text"]) for record in records]
    assert len(set(texts)) == len(texts)
    assert not set(texts) & {normalize_text(text) for text in SENTENCES}
    origins = [record["sources"][0] for record in records]
    assert origins == sorted(origins)
    assert max(origins.count(origin) for origin in origins) <= 3
    for record in records:
        assert {labels[source] for source in record["sources"]} == {record["label"]}
        assert len(record["sources"]) == (2 if record["method"] == "interpolation" else 1)


def test_augmentation_depends_on_its_own_seed_alone(lstm):
    """Global random numbers neither change it nor are changed by it."""
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    records = lstm.augment(SENTENCES, LABELS, n=2, **LOOSE)
    assert torch.equal(torch.rand(1), expected)
    assert records == lstm.augment(SENTENCES, LABELS, n=2, **LOOSE)
    assert records != lstm.augment(SENTENCES, LABELS, n=2, seed=1, **LOOSE)


def test_without_spread_a_candidate_is_the_reconstruction(lstm):
    """With a spread of 0, every sample is the posterior mean of its text."""
    settings = AugmentSettings(spread=0, interpolated=0, temperature=1e-3)
    origins = [2, 0, 4]
    q = lstm.posterior(SENTENCES)
    candidates = write_candidates(lstm.bundle, q, LABELS, origins, settings, 0)
    expected = lstm.reconstruct([SENTENCES[origin] for origin in origins])
    assert [candidate.text for candidate in candidates] == expected


def test_a_conditional_model_uses_the_class_of_each_text():
    """Candidates are decoded and scored under their label; unknown labels are refused."""
    vae = tiny_vae(labels={"out": 2, "home": 1})
    settings = AugmentSettings(spread=0, interpolated=0, temperature=1e-3)
    origins = [2, 0, 4]
    q = vae.posterior(SENTENCES)
    candidates = write_candidates(vae.bundle, q, LABELS, origins, settings, 0)
    expected = vae.reconstruct(
        [SENTENCES[origin] for origin in origins], labels=[LABELS[origin] for origin in origins]
    )
    assert [candidate.text for candidate in candidates] == expected
    candidate_filter = CandidateFilter(vae.bundle, SENTENCES, LABELS, settings)
    other_labels = LABELS[::-1]
    costs = candidate_filter.nats_per_token(SENTENCES, LABELS)
    other_costs = candidate_filter.nats_per_token(SENTENCES, other_labels)
    # The cost of a text changes exactly where its label does.
    for index, label in enumerate(LABELS):
        assert (costs[index] == other_costs[index]) == (label == other_labels[index])
    assert vae.augment(SENTENCES, LABELS, n=1, **LOOSE)
    with pytest.raises(ConfigError, match="have labels of their own"):
        vae.with_label("out").augment(SENTENCES, LABELS, n=1)
    with pytest.raises(ConfigError, match="label = 'away' is unknown"):
        vae.augment(SENTENCES, ["away", *LABELS[1:]], n=1)


def test_a_text_classified_as_another_class_is_dropped(lstm):
    """The class is that of the class mean with the highest cosine to the encoder's states."""
    candidate_filter = CandidateFilter(lstm.bundle, SENTENCES, LABELS, AugmentSettings())
    states = lstm.features(SENTENCES)
    labels = np.array(LABELS)
    means = {name: states[labels == name].mean(0) for name in ("home", "out")}
    cosine = {name: states @ mean / np.linalg.norm(mean) for name, mean in means.items()}
    expected = np.where(cosine["home"] > cosine["out"], "home", "out").tolist()
    assert candidate_filter.classify(SENTENCES) == expected
    candidate_filter.seen.clear()
    candidate_filter.max_nats_per_token = {"home": np.inf, "out": np.inf}
    assert candidate_filter.accept(SENTENCES, expected) == list(range(len(SENTENCES)))
    assert candidate_filter.accept(SENTENCES, expected) == []  # they are no longer new
    candidate_filter.seen.clear()
    wrong = ["out" if name == "home" else "home" for name in expected]
    assert candidate_filter.accept(SENTENCES, wrong) == []


def test_the_quantile_decides_which_costs_are_plausible(lstm):
    """About this share of a class's own texts is plausible, and all of them at 1."""
    labels = np.array(LABELS)
    candidate_filter = CandidateFilter(lstm.bundle, SENTENCES, LABELS, AugmentSettings())
    costs = np.array(candidate_filter.nats_per_token(SENTENCES, LABELS))
    for quantile, expected in ((1.0, 3), (0.5, 2)):
        settings = AugmentSettings(quantile=quantile)
        limits = CandidateFilter(lstm.bundle, SENTENCES, LABELS, settings).max_nats_per_token
        for name in ("home", "out"):
            own_costs = costs[labels == name]
            assert (own_costs <= limits[name] + 1e-6).sum() == expected


def test_candidates_of_a_class_with_one_text_are_samples(lstm):
    """Such a class has no second text to interpolate with."""
    names = ["lone", *LABELS[1:]]
    origins = [0] * 5 + [1] * 5
    settings = AugmentSettings(interpolated=1)
    q = lstm.posterior(SENTENCES)
    candidates = write_candidates(lstm.bundle, q, names, origins, settings, 0)
    methods = [candidate.method for candidate in candidates]
    assert methods == ["sample"] * 5 + ["interpolation"] * 5


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        ([], [], "there are no texts"),
        (SENTENCES, LABELS[:5], "6 texts and 5 labels"),
        (SENTENCES, ["one"] * 6, "every label is 'one'"),
        (SENTENCES, [None, *LABELS[1:]], "has no label"),
        (SENTENCES, [*LABELS[:5], float("nan")], "has no label"),
        (SENTENCES, [" ", *LABELS[1:]], "has no label"),
    ],
)
def test_wrong_labels_are_refused(lstm, texts, labels, message):
    """The message says what came and how to fix it."""
    with pytest.raises(DataError, match=message):
        lstm.augment(texts, labels)


def test_wrong_settings_are_refused(lstm):
    """The message names the setting, or the nearest one that exists."""
    with pytest.raises(ConfigError, match=r"augment\.n = 0 does not fit"):
        lstm.augment(SENTENCES, LABELS, n=0)
    with pytest.raises(
        ConfigError, match=r"augment\.spred is not a setting: did you mean 'spread'"
    ):
        lstm.augment(SENTENCES, LABELS, spred=2)
    with pytest.raises(
        ConfigError, match=r"temperature = 0\.9 has no effect with do_sample = False"
    ):
        lstm.augment(SENTENCES, LABELS, do_sample=False, temperature=0.9)


def test_the_command_reads_a_table(tiny_run, tmp_path, capsys):
    """It prints one JSON object per text; wrong input ends with code 2."""
    shutil.copytree(tiny_run, tmp_path / "run")
    table = tmp_path / "some.csv"
    rows = ("a man rides a wave.,sea", "two boys like a wave.,sea", "the dog sees his hat.,land")
    table.write_text("\n".join(("text,kind", *rows)) + "\n")
    command = ["augment", str(tmp_path / "run"), str(table), "-n", "2", "--temperature", "2"]
    command += ["--device", "cpu", "--json"]
    assert main([*command, "--label-column", "kind"]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert json.loads(line)["label"] in ("sea", "land")
    assert main(command) == 2
    assert "there is no column 'label'; the columns are text, kind" in capsys.readouterr().err
