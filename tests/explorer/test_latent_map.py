"""The map of a run: what is computed, saved and found again."""

import os
import shutil

import pytest
import torch

from tests.tiny_run import LABELLED, SENTENCES
from textvae.errors import CheckpointError, DataError
from textvae.explorer.latent_map import Sentences, compute_map
from textvae.explorer.map_cache import list_map_folders, load_map, name_map, save_map
from textvae.explorer.reference import choose_sentences
from textvae.explorer.shared_run import SharedRun
from textvae.vae import TextVAE


def test_every_sentence_has_all_that_a_point_shows(explored):
    latent_map = explored.require_map()
    assert len(latent_map) == 60
    for column in (latent_map.places, latent_map.log_likelihood, latent_map.clusters):
        assert len(column) == len(latent_map.sentences.texts) == 60
        assert torch.isfinite(column.float()).all()
    assert (latent_map.log_likelihood < 0).all()
    assert latent_map.kl.shape == latent_map.spread.shape == (4,)


def test_clusters_are_numbered_by_size(explored):
    sizes = explored.require_map().clusters.bincount()
    assert sizes.tolist() == sorted(sizes.tolist(), reverse=True)


def test_progress_grows_to_the_end(tiny_run):
    shares = []
    vae = TextVAE.from_pretrained(tiny_run)
    compute_map(vae, Sentences(SENTENCES[:20]), report=lambda share, _: shares.append(share))
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 1


def test_a_saved_map_is_found_again(explored, explored_folder):
    """A second explorer of the same run loads it, and computes nothing."""
    latent_map = explored.require_map()
    assert list((explored_folder / "fitted" / "map").iterdir())
    with explored.model() as vae:
        sentences, held_out = choose_sentences(explored_folder, 60, None)
        name = name_map(sentences, held_out, "pca")
        folders = list_map_folders(explored_folder, vae.bundle, name)
        loaded = load_map(folders, vae.bundle, sentences)
    assert loaded is not None
    for name in ("z", "places", "log_likelihood", "clusters", "normal"):
        assert torch.equal(getattr(loaded, name), getattr(latent_map, name))
    place = torch.tensor([[0.3, -0.2]])
    expected = latent_map.projection.to_latents(place)
    assert torch.equal(loaded.projection.to_latents(place), expected)


def test_other_sentences_or_arrangements_have_another_map():
    one = Sentences(["a b", "c"])
    names = [
        name_map(one, None, "pca"),
        name_map(one, None, "umap"),
        name_map(Sentences(["a", "b c"]), None, "pca"),
        name_map(Sentences(["a b", "c"], ["x", "y"]), None, "pca"),
        name_map(one, Sentences(["d"]), "pca"),
    ]
    assert len(set(names)) == len(names)


def test_a_map_of_a_read_only_run_goes_into_the_cache(explored, tmp_path):
    latent_map = explored.require_map()
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    folders = [blocked / "map", tmp_path / "cache" / "map"]
    with explored.model() as vae:
        assert save_map(folders, vae.bundle, latent_map) == folders[1]
        assert load_map(folders, vae.bundle, latent_map.sentences) is not None


def test_a_damaged_map_is_computed_again(explored, tmp_path):
    latent_map = explored.require_map()
    with explored.model() as vae:
        save_map([tmp_path / "map"], vae.bundle, latent_map)
        (tmp_path / "map" / "tensors.safetensors").write_bytes(b"damaged")
        assert load_map([tmp_path / "map"], vae.bundle, latent_map.sentences) is None


def test_too_few_sentences_make_no_map(tiny_run):
    with pytest.raises(DataError, match="too few for a map; give 8 or more"):
        compute_map(TextVAE.from_pretrained(tiny_run), Sentences(["a", "b"]))


def test_a_model_without_a_corpus_says_how_to_give_sentences(tiny_run, tmp_path):
    copy = tmp_path / "copy"
    TextVAE.from_pretrained(tiny_run).save_pretrained(copy)
    run = SharedRun(copy)
    run.wait_for_map()
    assert "texts=" in run.status.what
    with pytest.raises(DataError, match="there is no map"):
        run.require_map()


def test_a_conditional_model_has_a_map_with_labels(labelled_run):
    vae = TextVAE.from_pretrained(labelled_run)
    texts, labels = zip(*LABELLED[:24], strict=True)
    latent_map = compute_map(vae, Sentences(list(texts), list(labels)))
    assert latent_map.sentences.labels == list(labels)


def test_a_run_in_training_becomes_a_model_when_it_has_finished(tiny_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    hidden = folder / "model.safetensors"
    hidden.rename(folder / "later")
    run = SharedRun(folder, points=20)
    assert not run.has_weights()
    with pytest.raises(CheckpointError), run.model():
        pass
    (folder / "later").rename(hidden)
    run.wait_for_map()
    assert len(run.require_map()) == 20


def test_a_run_that_is_trained_again_or_removed_is_noticed(tiny_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    run = SharedRun(folder)
    run.load_if_finished()
    assert run.describe_change() is None
    os.utime(folder / "model.safetensors", ns=(0, 0))
    assert "trained again" in str(run.describe_change())
    shutil.rmtree(folder)
    assert "has been removed" in str(run.describe_change())
    with run.model() as vae:
        assert vae.generate(1, seed=0)
