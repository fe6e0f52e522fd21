"""What users can do, without a page: results, bounds and messages."""

import json

import numpy as np
import pytest

from tests.tiny import tiny_vae
from tests.tiny_run import SENTENCES
from textvae.errors import CheckpointError, ConfigError, DataError, TextVAEError
from textvae.explorer.actions.compare_actions import CompareActions
from textvae.explorer.actions.dials import STRATEGIES, build_decoding
from textvae.explorer.actions.inside_actions import InsideActions
from textvae.explorer.actions.map_actions import MapActions, pack_map
from textvae.explorer.actions.training_actions import TrainingActions, thin_out
from textvae.explorer.actions.walk_actions import WalkActions
from textvae.explorer.actions.write_actions import WriteActions
from textvae.explorer.inside import END_TOKEN
from textvae.explorer.latent_map import Sentences
from textvae.explorer.shared_run import NO_LABEL, SharedRun
from textvae.explorer.walk import WALK_PATHS
from textvae.explorer.write import LENGTH
from textvae.vae import TextVAE

A, B = SENTENCES[0], SENTENCES[-1]

BAD_SENTENCES = ["", "  \n\t ", None, 3, "a" * 2_001, "\ud800"]


def every_action_on_a_sentence(run):
    """Return the actions that take a sentence."""
    write, inside = WriteActions(run), InsideActions(run)
    return [
        write.complete,
        write.fill_blanks,
        write.reconstruct,
        write.vary,
        write.edit,
        inside.traverse,
        inside.nearest,
        inside.surprisal,
        inside.anomaly,
        MapActions(run).locate,
        MapActions(run).search,
        lambda text: WalkActions(run).walk(text, B),
        lambda text: WalkActions(run).walk(A, text),
        CompareActions(run, run).compare,
    ]


@pytest.mark.parametrize("text", BAD_SENTENCES, ids=range(len(BAD_SENTENCES)))
def test_every_action_says_what_is_wrong_with_a_bad_sentence(explored, text):
    for action in every_action_on_a_sentence(explored):
        with pytest.raises(TextVAEError, match=r"empty|at most|expected|remove it"):
            action(text)


@pytest.mark.parametrize("text", ["<b> ___", "少 ___", "ö ___"])
def test_every_action_takes_markup_and_other_scripts(explored, text):
    for action in every_action_on_a_sentence(explored):
        assert action(text) is not None


@pytest.mark.parametrize("path", ["linear", "spherical", "density"])
def test_a_walk_begins_and_ends_at_its_sentences(explored, path):
    places = WalkActions(explored).walk(A, B, path, 5)
    assert len(places) == 5
    locate = MapActions(explored).locate
    for place, text in ((places[0], A), (places[-1], B)):
        expected = locate(text)
        assert [place["x"], place["y"]] == pytest.approx([expected["x"], expected["y"]], abs=1e-3)


def test_a_latent_of_one_dimension_has_a_map_and_all_paths():
    """The map is a line: the second coordinate of every place is 0."""
    run = SharedRun(tiny_vae(latent=1), Sentences(SENTENCES))
    run.wait_for_map()
    assert not run.require_map().places[:, 1].any()
    for path in WALK_PATHS:
        places = WalkActions(run).walk(A, B, path, 3)
        assert [place["y"] for place in places] == [0, 0, 0]


def test_a_place_of_the_map_is_decoded(explored):
    place = MapActions(explored).decode_at(0.1, -0.2)
    assert (place["x"], place["y"]) == (0.1, -0.2)
    assert isinstance(place["text"], str)
    with pytest.raises(ConfigError, match="expected a number"):
        MapActions(explored).decode_at(float("nan"), 0)


def test_the_search_ignores_case_and_is_bounded(explored):
    hits = MapActions(explored).search("THE DOG", 3)
    assert len(hits) == 3
    assert all("the dog" in hit["text"] for hit in hits)


def test_the_packed_map_is_json_with_a_byte_per_point_and_color(explored):
    from base64 import b64decode

    latent_map = explored.require_map()
    packed = json.loads(json.dumps(pack_map(latent_map)))
    x = np.frombuffer(b64decode(packed["x"]), dtype="<f4")
    assert np.allclose(x, latent_map.places[:, 0])
    assert [color["name"] for color in packed["colors"]] == ["length", "log-likelihood", "cluster"]
    assert all(len(b64decode(color["packed"])) == len(latent_map) for color in packed["colors"])


def test_the_same_seed_writes_the_same_texts(explored):
    write = WriteActions(explored)
    written = write.sample(3)
    assert write.sample(3, seed=written["seed"]) == written
    varied = write.vary(A, 3, 2.0)
    assert write.vary(A, 3, 2.0, seed=varied["seed"]) == varied


def test_no_spread_and_no_strength_give_the_reconstruction(explored):
    write = WriteActions(explored)
    (expected,) = write.reconstruct(A)["texts"]
    assert write.vary(A, 2, 0.0)["texts"] == [expected] * 2
    assert write.edit(A, LENGTH, 0.0)["texts"] == [expected]


def test_completions_begin_with_the_beginning(explored):
    texts = WriteActions(explored).complete("a man", 3)["texts"]
    assert all(text.startswith("a man") for text in texts)


def test_blanks_are_filled(explored):
    filled = WriteActions(explored).fill_blanks("a man ___ a bike.", 2, seed=1)
    assert all("___" not in fill["text"] for fill in filled["fills"])


def test_what_an_action_writes_is_bounded(explored):
    for action in (WriteActions(explored).sample, lambda n: WriteActions(explored).complete(A, n)):
        with pytest.raises(ConfigError, match="expected a number from 1 to 10"):
            action(11)
    with pytest.raises(DataError, match="got 11 sentences; expected at most 10"):
        CompareActions(explored, explored).compare("\n".join(SENTENCES[:11]))
    with pytest.raises(ConfigError, match="steps"):
        WalkActions(explored).walk(A, B, "linear", 26)


def test_an_unknown_attribute_is_refused_with_the_known_ones(explored):
    assert WriteActions(explored).attributes() == [LENGTH]
    with pytest.raises(CheckpointError, match="no attribute was fitted"):
        WriteActions(explored).edit(A, "mood", 1.0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"decoding": "greedy"}, {"do_sample": False}),
        ({"decoding": "beams", "beams": 3}, {"do_sample": False, "num_beams": 3}),
        (
            {"decoding": "sampling", "temperature": 0.5, "top_p": 0.9, "max_tokens": 4.0},
            {"do_sample": True, "temperature": 0.5, "top_p": 0.9, "max_new_tokens": 4},
        ),
        ({"max_tokens": 0}, {}),
    ],
)
def test_dials_become_decoding_options(options, expected):
    assert build_decoding(seed=1, **options) == {"seed": 1, **expected}


@pytest.mark.parametrize(
    "options",
    [{"decoding": "hot"}, {"decoding": "beams", "beams": 99}, {"seed": -1}, {"seed": 1.5}],
)
def test_dials_out_of_bounds_are_refused(options):
    with pytest.raises(ConfigError, match=r"choose from|expected"):
        build_decoding(**options)


@pytest.mark.parametrize("decoding", STRATEGIES)
@pytest.mark.parametrize("dial", [{"temperature": -7.0}, {"top_p": 1.5}, {"beams": 999}], ids=str)
def test_a_dial_out_of_bounds_is_refused_even_if_it_is_not_used(decoding, dial):
    (name,) = dial
    with pytest.raises(ConfigError, match=f"{name} = .*: expected a number from"):
        build_decoding(decoding, **dial)


def test_a_dial_within_bounds_that_is_not_used_is_accepted():
    """A page always sends all dials."""
    options = build_decoding("greedy", temperature=0.5, top_p=0.9, beams=3, seed=1)
    assert options == {"seed": 1, "do_sample": False}


def test_surprisal_sums_to_the_reconstruction_term(explored):
    surprisal = InsideActions(explored).surprisal(A)
    assert sum(token["nats"] for token in surprisal["tokens"]) == pytest.approx(
        surprisal["reconstruction"], rel=1e-4
    )
    assert surprisal["tokens"][-1]["text"] == END_TOKEN


def test_the_nearest_sentence_of_a_sentence_on_the_map_is_itself(explored):
    text = explored.require_map().sentences.texts[3]
    nearest = InsideActions(explored).nearest(text, 4)
    assert nearest[0]["similarity"] == pytest.approx(1, abs=1e-4)
    assert [one["similarity"] for one in nearest] == sorted(
        (one["similarity"] for one in nearest), reverse=True
    )


def test_dimensions_come_with_the_highest_kl_first(explored):
    dimensions = InsideActions(explored).dimensions()
    nats = [row["kl"] or 0.0 for row in dimensions]
    assert nats == sorted(nats, reverse=True)
    assert {row["dimension"] for row in dimensions} == set(range(4))


def test_a_traversal_passes_the_reconstruction(explored):
    places = InsideActions(explored).traverse(A, 1, 3)
    assert places[1]["text"] == WriteActions(explored).reconstruct(A)["texts"][0]
    with pytest.raises(ConfigError, match="expected 0 to 3"):
        InsideActions(explored).traverse(A, 4)


def test_a_held_out_sentence_is_not_unusual_and_noise_is(explored):
    anomaly = InsideActions(explored).anomaly
    assert anomaly("zq xw 99 zq xw")["p_value"] <= min(0.2, anomaly(B)["p_value"])


def test_the_verdict_comes_with_reasons(explored):
    verdict = InsideActions(explored).verdict()
    assert verdict["verdict"] in ("healthy", "weak", "collapsed")
    assert verdict["measures"]["latent_dim"] == 4


def test_two_runs_answer_the_same_sentences(explored, labelled_run):
    other = SharedRun(labelled_run)
    rows = CompareActions(explored, other).compare(f"{A}\n\n{B}")
    assert [row["text"] for row in rows] == [A, B]
    samples = CompareActions(explored, other).compare_samples(2, 1)
    assert [len(column) for column in samples] == [2, 2]
    with pytest.raises(ConfigError, match="--compare RUN2"):
        CompareActions(explored, None).compare(A)


def test_progress_of_a_run_has_curves_of_bounded_length(explored):
    progress = TrainingActions(explored).progress()
    assert progress["state"] == "finished"
    assert progress["curves"]["loss"]
    curve = [(step, 1.0) for step in range(1_000)]
    thin = thin_out(curve)
    assert len(thin) <= 301
    assert (thin[0], thin[-1]) == (curve[0], curve[-1])


def test_an_action_before_the_map_is_ready_says_how_far_it_is(explored_folder):
    waiting = SharedRun(explored_folder)
    with pytest.raises(DataError, match=r"not ready yet \(0%"):
        InsideActions(waiting).nearest(A)


def test_a_label_that_the_model_does_not_know_is_refused(labelled_run):
    run = SharedRun(labelled_run)
    assert WriteActions(run).sample(1, seed=0, label="two")["texts"]
    with pytest.raises(TextVAEError, match="three"):
        WriteActions(run).sample(1, label="three")


def test_a_label_for_a_model_without_labels_is_refused(explored):
    with pytest.raises(ConfigError, match="label is for a model with labels"):
        WriteActions(explored).sample(1, label="nonsense")


@pytest.mark.parametrize("label", [None, "", NO_LABEL], ids=str)
def test_a_page_without_a_choice_of_labels_can_write(explored, label):
    written = WriteActions(explored).sample(2, seed=1)
    assert WriteActions(explored).sample(2, seed=1, label=label) == written


def test_a_view_of_a_label_is_what_the_page_writes_with(labelled_run):
    """The map has the sentences of all labels all the same."""
    vae = TextVAE.from_pretrained(labelled_run, device="cpu")
    for label in vae.labels:
        run = SharedRun(vae.with_label(label), points=20, limit=10)
        assert run.chosen_label == label
        with run.model() as shown:
            assert shown.bundle.fixed_label == label
        run.wait_for_map()
        assert run.latent_map is not None, run.status
