"""Runs with pretrained parts, from training to every use: tiny bases, a few steps each."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

import textvae
from tests.model.pretrained.families import save_decoder, save_encoder
from tests.tiny_run import LABELLED, SENTENCES, table, train_tiny
from textvae.cli.main import main
from textvae.data.frozen_states import (
    DECODER_STATES,
    ENCODER_STATES,
    EVALUATED,
    join_states,
    locate_states,
    write_states,
)
from textvae.errors import CheckpointError, ConfigError
from textvae.inference.checkpoint import load_bundle
from textvae.model.bases.settings import choose_dropout
from textvae.model.modeling import TextVAEModel
from textvae.objective.elbo import Objective
from textvae.runs.run import Run
from textvae.training import fit as fitting
from textvae.training import frozen_states
from textvae.training.schedule import TrainingSchedule
from textvae.training.trainer import VAETrainer

# The settings of encoder and decoder that make the kinds of runs.
RUNS: dict[str, dict[str, dict[str, Any]]] = {
    "adapters": {"encoder": {"train": "lora"}, "decoder": {"train": "lora"}},
    "entry": {"encoder": {}, "decoder": {"entry": 0.5}},
    "frozen encoder": {
        "encoder": {"train": "none", "states": "sentence"},
        "decoder": {"train": "none"},
    },
    "all": {"encoder": {}, "decoder": {"train": "all"}},
    "side": {
        "encoder": {"train": "none", "lstm": 8, "dropout": "auto"},
        "decoder": {"kind": "side_tuned", "inputs": 8, "hidden": 8, "dropout": "auto"},
    },
}
CACHED = {
    "entry": {DECODER_STATES},
    "frozen encoder": {ENCODER_STATES},
    "side": {ENCODER_STATES, DECODER_STATES},
}
WAITING_SECONDS = 0.3


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sentence encoder and a language model; no test may change it."""
    folder = tmp_path_factory.mktemp("bases")
    save_encoder("bert", folder / "bert")
    save_decoder("llama", folder / "llama")
    return folder


def train(bases: Path, output: Path, kind: str = "adapters", **changes: Any) -> textvae.TextVAE:
    """Train a run of the table for six steps; `changes` are settings by section."""
    parts = RUNS[kind]
    model: dict[str, Any] = {
        "latent_dim": 4,
        "encoder": {"kind": "pretrained", "name": str(bases / "bert"), **parts["encoder"]},
        "decoder": {"kind": "pretrained", "name": str(bases / "llama"), **parts["decoder"]},
        "conditioning": ["every_step" if kind == "side" else "memory"],
    }
    training = {
        "steps": 6,
        "batch_tokens": 128,
        "warmup_steps": 1,
        "evaluations": 3,
        "trackers": [],
        "logging_steps": 2,
    }
    return textvae.train(
        changes.pop("corpus", SENTENCES),
        output=output,
        device="cpu",
        data={"held_out": 0.1, "max_tokens": 40, **changes.pop("data", {})},
        model=model,
        training={**training, **changes.pop("training", {})},
        **changes,
    )


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Return the weights in a run's folder."""
    tensors: dict[str, torch.Tensor] = load_file(run / "model.safetensors")
    return tensors


@pytest.fixture(scope="module")
def trained(bases: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function that trains a run of the table once and returns its folder."""
    runs: dict[str, Path] = {}

    def once(kind: str) -> Path:
        if kind not in runs:
            runs[kind] = tmp_path_factory.mktemp("runs") / "run"
            train(bases, runs[kind], kind)
        return runs[kind]

    return once


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_loads_with_one_call_and_gives_the_texts_of_the_trained_model(trained, kind):
    """It needs nothing but its folder and its bases."""
    run = trained(kind)
    vae = textvae.TextVAE.from_pretrained(run, device="cpu")
    assert vae.encode(SENTENCES).shape == (len(SENTENCES), 4)
    assert len(vae.generate(3, seed=1, max_new_tokens=5)) == 3
    again = textvae.TextVAE.from_pretrained(run, device="cpu")
    np.testing.assert_array_equal(vae.encode(SENTENCES[:5]), again.encode(SENTENCES[:5]))


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_has_only_the_weights_that_were_trained(trained, kind):
    """Frozen weights come from the base, except the embeddings of tokens that it lacks."""
    model = load_bundle(trained(kind), "cpu").model
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    rows = {name for name, _ in model.named_buffers() if "decoder.language_model.rows." in name}
    assert bool(rows) == (kind != "all")
    saved = weights(trained(kind)).keys()
    assert saved == rows | ({name for name, _ in model.named_parameters()} - frozen)
    assert any("lora_" in name for name in saved) == any(
        part.get("train", "lora" if role == "decoder" else "all") == "lora"
        for role, part in RUNS[kind].items()
        if "kind" not in part  # a side-tuned decoder has no adapters
    )


def test_training_changes_only_what_is_trained(bases, trained):
    """Adapters move away from zero, and the layers that they are added to stay those of the base."""
    saved = weights(trained("adapters"))
    moved = [name for name in saved if "lora_B" in name and saved[name].abs().max() > 0]
    assert {name.split(".")[0] for name in moved} == {"encoder", "decoder"}
    model = load_bundle(trained("adapters"), "cpu").model
    base = load_file(bases / "llama" / "model.safetensors")
    name = "layers.1.mlp.up_proj"
    now = model.state_dict()[f"decoder.language_model.upper.{name}.base_layer.weight"]
    assert torch.equal(now, base[f"model.{name}.weight"])


@pytest.mark.parametrize("base", ["bert", "llama"])
def test_a_run_without_its_base_says_which_one_it_needs(trained, tmp_path, base, capsys):
    """A moved folder is one error, and so is it on the command line."""
    run = copy_with_bases(trained("adapters"), tmp_path)
    textvae.TextVAE.from_pretrained(run, device="cpu")
    (tmp_path / base).rename(tmp_path / "moved")
    with pytest.raises(CheckpointError, match="was trained from this base") as refusal:
        textvae.TextVAE.from_pretrained(run, device="cpu")
    assert str(tmp_path / base) in str(refusal.value)
    capsys.readouterr()
    assert main(["generate", str(run)]) == 2
    assert capsys.readouterr().err == f"textvae generate: {refusal.value}\n"


def test_a_run_whose_base_has_changed_is_refused(trained, tmp_path):
    """Adapters are worth nothing on other weights."""
    run = copy_with_bases(trained("adapters"), tmp_path)
    torch.manual_seed(3)
    config = AutoConfig.from_pretrained(tmp_path / "llama")
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "llama")
    with pytest.raises(CheckpointError, match="have changed since this model was trained"):
        textvae.TextVAE.from_pretrained(run, device="cpu")


def copy_with_bases(run: Path, folder: Path) -> Path:
    """Return a copy of a run, whose bases are copied next to it."""
    copy = shutil.copytree(run, folder / "run")
    config = json.loads((copy / "config.json").read_text())
    for role in ("encoder_settings", "decoder_settings"):
        base = Path(config[role]["name"])
        shutil.copytree(base, folder / base.name)
        config[role]["name"] = str(folder / base.name)
    (copy / "config.json").write_text(json.dumps(config))
    return copy


class InterruptedTrainer(VAETrainer):
    """Stops after the third of six steps; the first checkpoint is at the second."""

    def training_step(self, *args, **options):
        """Train a step, or stop."""
        if self.state.global_step == 3:
            raise KeyboardInterrupt
        return super().training_step(*args, **options)


def interrupt(bases: Path, output: Path, kind: str, monkeypatch: Any, **changes: Any) -> None:
    """Train a run until it is interrupted."""
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "VAETrainer", InterruptedTrainer)
        with pytest.raises(KeyboardInterrupt):
            train(bases, output, kind, **changes)


@pytest.mark.parametrize("kind", ["adapters", "entry", "frozen encoder"])
def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one(
    bases, trained, tmp_path, monkeypatch, kind
):
    """Adapters, frozen layers and cached states are restored."""
    interrupt(bases, tmp_path / "broken", kind, monkeypatch)
    textvae.train(output=tmp_path / "broken", resume=True, device="cpu")
    unbroken, resumed = weights(trained(kind)), weights(tmp_path / "broken")
    assert unbroken.keys() == resumed.keys()
    assert [name for name in unbroken if not torch.equal(unbroken[name], resumed[name])] == []


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_run_resumes_before_and_after_its_decoder_restarts(bases, tmp_path, monkeypatch, share):
    """Adapters and conditioning start again at the same step, with the same weights."""
    objective = {"techniques": {"autoencoder_start": {"share": share}}}
    train(bases, tmp_path / "unbroken", "entry", objective=objective)
    interrupt(bases, tmp_path / "broken", "entry", monkeypatch, objective=objective)
    textvae.train(output=tmp_path / "broken", resume=True, device="cpu")
    unbroken, resumed = weights(tmp_path / "unbroken"), weights(tmp_path / "broken")
    assert [name for name in unbroken if not torch.equal(unbroken[name], resumed[name])] == []


@pytest.mark.parametrize("kind", CACHED)
def test_cached_states_are_used_and_belong_to_the_run(bases, tmp_path, monkeypatch, kind):
    """They are computed once, and a resumed run reads them from the disk."""
    interrupt(bases, tmp_path / "run", kind, monkeypatch)
    files = list_files_of_states(tmp_path / "run", kind)
    assert all(file.is_file() for file in files)
    rebuilt: list[object] = []
    monkeypatch.setattr(frozen_states, "write_states", lambda *args, **_: rebuilt.append(args))
    seen = watch_states(monkeypatch)
    textvae.train(output=tmp_path / "run", resume=True, device="cpu")
    assert rebuilt == []
    assert seen == CACHED[kind]
    assert not any(file.exists() for file in files)  # the training is over


def list_files_of_states(run: Path, kind: str) -> list[Path]:
    """Return the files of the cached states of a run."""
    return [
        locate_states(run / "corpus", split, column)
        for split in ("train", EVALUATED)
        for column in CACHED[kind]
    ]


def watch_states(monkeypatch: Any) -> set[str]:
    """Return the set in which the names of states in training batches will be collected."""
    seen: set[str] = set()
    forward = Objective.__call__

    def watched(objective: Any, model: Any, batch: Any, *args: Any, **options: Any) -> Any:
        seen.update({ENCODER_STATES, DECODER_STATES} & batch.keys())
        return forward(objective, model, batch, *args, **options)

    monkeypatch.setattr(Objective, "__call__", watched)
    return seen


@pytest.mark.parametrize("kind", CACHED)
def test_cached_states_train_as_computed_ones_do(bases, tmp_path, monkeypatch, kind):
    """States per token are rounded to bf16, those per sentence are exact."""
    training = {"bf16": False}
    seen = watch_states(monkeypatch)
    train(bases, tmp_path / "cached", kind, training=training)
    assert seen == CACHED[kind]
    seen.clear()
    monkeypatch.setattr(fitting, "cache_frozen_states", lambda *args: None)
    train(bases, tmp_path / "computed", kind, training=training)
    assert seen == set()
    losses = [
        [entry["loss"] for entry in read_log(tmp_path / name)["history"] if "loss" in entry]
        for name in ("cached", "computed")
    ]
    assert len(losses[0]) == 3
    np.testing.assert_allclose(
        losses[0], losses[1], rtol=1e-6 if kind == "frozen encoder" else 1e-3
    )


def read_log(run: Path) -> Any:
    """Return the log of a run's training."""
    return Run(run).read_json("training.json")


@pytest.mark.parametrize(
    ("kind", "technique"), [("entry", "word_dropout"), ("frozen encoder", "denoising")]
)
def test_a_technique_that_damages_the_input_computes_the_states_again(
    bases, trained, tmp_path, monkeypatch, kind, technique
):
    """Nothing is cached, and the loss is that of damaged sentences."""
    seen = watch_states(monkeypatch)
    train(bases, tmp_path / "run", kind, objective={"techniques": {technique: {"rate": 0.9}}})
    assert seen == set()
    assert not list((tmp_path / "run" / "corpus").glob("train.*states*"))
    first = [read_log(run)["history"][0] for run in (tmp_path / "run", trained(kind))]
    assert first[0]["loss"] != pytest.approx(first[1]["loss"], rel=1e-4)


def test_a_sentence_has_its_own_cached_states(trained, tmp_path):
    """Its states are what the layers below the entry compute for it, in the order of the split."""
    run = Run(trained("entry"))
    bundle = load_bundle(run.folder, "cpu")
    sentences = run.open_split("train")
    states_of_sentences = frozen_states._iterate_states(
        bundle, sentences, DECODER_STATES, frozen_states._run_lower_layers, False
    )
    write_states(
        states_of_sentences, DECODER_STATES, locate_states(tmp_path, "train", DECODER_STATES)
    )
    rows = join_states(sentences, tmp_path, "train")
    for row in rows.select(range(0, len(rows), 20)):
        cached = bundle.collator([row])[DECODER_STATES]
        batch = bundle.make_batch([row["input_ids"]])
        decoder = bundle.model.decoder
        embedded = decoder.embed(batch["input_ids"])
        states = decoder.compute_lower_states(embedded, batch["attention_mask"])
        assert cached.shape == states.shape
        # They were rounded to bf16, which keeps 8 bits; deviations add up over the layers.
        assert (cached - states).norm() < 0.02 * states.norm()


@pytest.mark.parametrize("kind", ["adapters", "entry"])
def test_a_new_run_may_start_from_a_run_with_pretrained_parts(bases, trained, tmp_path, kind):
    """It has the model, both tokenizers and the bases of that run, and goes on from its weights."""
    run = trained(kind)
    textvae.train(
        SENTENCES[:60],
        output=tmp_path / "next",
        init=run,
        device="cpu",
        data={"held_out": 0.1, "max_tokens": 40},
        training={"steps": 2, "warmup_steps": 1, "evaluations": 1, "trackers": []},
    )
    before, after = weights(run), weights(tmp_path / "next")
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    close = [torch.allclose(before[name], after[name], atol=0.05) for name in before]
    assert all(close)
    for name in ("encoder_tokenizer.json", "tokenizer.json"):
        assert (run / name).read_bytes() == (tmp_path / "next" / name).read_bytes()


def start_from(run: Path, output: Path, max_tokens: int) -> textvae.TextVAE:
    """Train a step of a run that starts from another one, with sentences of another length."""
    return textvae.train(
        SENTENCES[:60],
        output=output,
        init=run,
        device="cpu",
        data={"held_out": 0.1, "max_tokens": max_tokens},
        training={"steps": 1, "warmup_steps": 1, "evaluations": 1, "trackers": []},
    )


@pytest.mark.parametrize(("max_tokens", "expected"), [(20, 88), (50, 108), (100, 128)])
def test_a_run_that_starts_from_another_one_may_have_longer_sentences(
    trained, tmp_path, max_tokens, expected
):
    """Its encoder reads all of their tokens, as far as it has positions, and no fewer than before."""
    vae = start_from(trained("adapters"), tmp_path / "next", max_tokens)
    assert vae.bundle.encoder_tokenizer is not None
    assert vae.bundle.encoder_tokenizer.max_length == expected


def test_a_run_that_starts_from_another_one_has_the_positions_of_its_model(trained, tmp_path):
    """The message says how long sentences may be."""
    with pytest.raises(ConfigError, match=r"lower data\.max_tokens to 124 or less"):
        start_from(trained("adapters"), tmp_path / "next", 125)
    assert list(tmp_path.iterdir()) == []


def test_a_conditional_run_with_pretrained_parts_trains_and_generates(bases, tmp_path):
    """Labels come with z to the decoder."""
    vae = train(bases, tmp_path / "run", corpus=table(LABELLED), data={"label": "label"})
    assert len(vae.generate(2, label="two", max_new_tokens=4)) == 2


@pytest.mark.parametrize(
    ("technique", "settings"),
    [
        ("aggressive", {"window": 1, "most": 2}),
        ("semi_amortized", {"steps": 1}),
        ("bag_of_words", {"hidden": 8}),
        ("denoising", {"damage": "blank"}),
        ("autoencoder_start", {"share": 0.5}),
        ("refit_posterior", {"share": 0.24}),
    ],
)
def test_techniques_work_with_pretrained_parts(bases, tmp_path, technique, settings):
    """The run ends with finite weights, and its adapters have moved."""
    objective = {"techniques": {technique: settings}}
    train(bases, tmp_path / "run", "entry", objective=objective, training={"steps": 5})
    saved = weights(tmp_path / "run")
    assert all(value.isfinite().all() for value in saved.values())
    assert any(value.any() for name, value in saved.items() if "lora_B" in name)


def test_aggressive_training_leaves_each_part_alone_in_the_steps_of_the_other(
    bases, tmp_path, monkeypatch
):
    """The encoder's own steps change neither adapters nor conditioning, and it skips the others."""
    changed: list[tuple[bool, set[str]]] = []
    step = torch.optim.AdamW.step

    def watched(optimizer: Any, *args: Any, **options: Any) -> Any:
        model = models[-1]
        before = {name: value.clone() for name, value in model.named_parameters()}
        result = step(optimizer, *args, **options)
        names = {
            name.split(".")[0]
            for name, value in model.named_parameters()
            if not torch.equal(before[name], value)
        }
        changed.append((len(changed) % 3 == 2, names))
        return result

    models: list[TextVAEModel] = []
    build = fitting.build_trainer

    def note_model(run: Any, settings: Any, bundle: Any, *args: Any, **options: Any) -> Any:
        models.append(bundle.model)
        return build(run, settings, bundle, *args, **options)

    monkeypatch.setattr(fitting, "build_trainer", note_model)
    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    aggressive = {"window": 1, "most": 2}
    train(
        bases,
        tmp_path / "run",
        "all",
        objective={"techniques": {"aggressive": aggressive}},
        training={"steps": 1, "evaluations": 1, "warmup_steps": 0},
    )
    kinds = [names for _, names in changed]
    assert kinds[0] == kinds[1] == {"encoder", "posterior"}
    assert kinds[2] == {"decoder", "conditioning"}


def test_info_says_what_a_run_starts_from_and_how_much_of_it_was_trained(trained, bases, capfd):
    """Adapters are a small share, and the weights of the bases are needed to load the run."""
    assert main(["info", str(trained("adapters")), "--json"]) == 0
    record = json.loads(capfd.readouterr().out)
    assert {part["role"]: part["base"] for part in record["parts"]} == {
        "encoder": str(bases / "bert"),
        "decoder": str(bases / "llama"),
    }
    for part in record["parts"]:
        assert part["needs_base"]
        assert part["license"] is None  # these bases have no model card
        assert 0 < part["trained_parameters"] < part["parameters"]
    assert main(["info", str(trained("adapters"))]) == 0
    assert "(license not stated; needed to load it)" in capfd.readouterr().out


VERBS: dict[str, list[str]] = {
    "evaluate": [],
    "doctor": [],
    "info": [],
    "report": [],
    "generate": ["--max-new-tokens", "4"],
    "reconstruct": ["{texts}"],
    "complete": ["a man"],
    "interpolate": ["a man sees a wave.", "the dog likes his hat."],
    "infill": ["a man ___ a wave.", "--most-tokens", "6"],
    "analogy": ["a man sees a wave.", "a woman sees a wave.", "a man holds a bike."],
    "traverse": ["a man sees a wave.", "--dimension", "0"],
    "vary": ["a man sees a wave.", "-n", "2"],
    "encode": ["{texts}", "--output", "{folder}/vectors.npy"],
    "features": ["{texts}", "--output", "{folder}/features.npy"],
    "decode": ["{folder}/vectors.npy"],
    "score": ["{texts}"],
    "uncertainty": ["{texts}"],
    "anomaly fit": ["{texts}"],
    "anomaly score": ["{texts}"],
    "index": ["{texts}"],
    "neighbors": ["a man sees a wave."],
    "prior fit": ["--kind", "gaussian_mixture"],
    "attribute fit": ["{table}", "--name", "count", "--label-column", "count"],
    "edit": ["a man sees a wave.", "--attribute", "count"],
    "augment": ["{table}", "--label-column", "count", "-n", "2"],
    "insight": ["{table}"],
}


@pytest.fixture(scope="module", params=["side", "entry"])
def used(request, bases, tmp_path_factory) -> Path:
    """A run on which verbs may save what they fit, next to texts and a table."""
    folder: Path = tmp_path_factory.mktemp("used")
    more = [text.replace(".", " today.") for text in SENTENCES]  # a prior needs a hundred
    train(bases, folder / "run", request.param, corpus=[*SENTENCES, *more])
    (folder / "texts.txt").write_text("\n".join(SENTENCES) + "\n")
    rows = [f"{text},{label}" for text, label in LABELLED]
    (folder / "table.csv").write_text("\n".join(["text,count", *rows]) + "\n")
    return folder


def test_every_verb_works_on_a_run_with_pretrained_parts(used, capfd):
    """Each ends with exit code 0, in an order in which the parts that a verb needs are fitted."""
    places = {
        "{texts}": str(used / "texts.txt"),
        "{table}": str(used / "table.csv"),
        "{folder}": str(used),
    }
    for verb, template in VERBS.items():
        words = []
        for word in template:
            for place, path in places.items():
                word = word.replace(place, path)
            words.append(word)
        code = main([*verb.split(), str(used / "run"), *words])
        captured = capfd.readouterr()
        assert code == 0, captured.err
        assert "Traceback" not in captured.err


@pytest.mark.parametrize("kind_of_run", ["adapters", "side"])
def test_every_action_of_the_explorer_works_on_such_a_run(trained, tmp_path, kind_of_run):
    """The map of its own sentences, and what is done with one of them."""
    pytest.importorskip("gradio")
    from tests.explorer.test_actions import every_action_on_a_sentence
    from textvae.explorer.shared_run import SharedRun

    shutil.copytree(trained(kind_of_run), tmp_path / "run")  # the map is saved in it
    run = SharedRun(tmp_path / "run", points=60, limit=10)
    run.wait_for_map()
    assert len(run.require_map()) == 60
    for action in every_action_on_a_sentence(run):
        assert action("a man ___ a wave.") is not None


@pytest.mark.parametrize("kind_of_run", ["adapters", "side"])
def test_a_decoder_with_a_language_model_is_not_exported(trained, tmp_path, kind_of_run):
    """The message names the part and what would do, and nothing is left behind."""
    vae = textvae.TextVAE.from_pretrained(trained(kind_of_run), device="cpu")
    with pytest.raises(ConfigError, match=r"model\.decoder\.kind = '\w+' cannot be exported"):
        vae.export(tmp_path / "exported")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind_of_run", ["adapters", "frozen encoder"])
def test_the_features_of_the_encoder_are_those_of_its_own_tokens(trained, kind_of_run):
    """A sentence has the same features alone and next to a longer one."""
    vae = textvae.TextVAE.from_pretrained(trained(kind_of_run), device="cpu")
    for kind in ("states", "mean", "gaussian"):
        together = vae.features(SENTENCES[:4], kind)
        np.testing.assert_allclose(together[:1], vae.features(SENTENCES[:1], kind), atol=1e-4)


def test_a_run_with_pretrained_parts_is_a_module_of_sentence_transformers(trained, tmp_path):
    """It gives the posterior means, also after the module is saved and loaded again."""
    package = pytest.importorskip("sentence_transformers")
    from textvae.integrations.sentence_transformers import TextVAEModule

    vae = textvae.TextVAE.from_pretrained(trained("adapters"), device="cpu")
    means = vae.encode(SENTENCES[:5])
    module = TextVAEModule(trained("adapters"), "mean")
    model = package.SentenceTransformer(modules=[module], device="cpu")
    np.testing.assert_allclose(model.encode(SENTENCES[:5]), means, atol=1e-5)
    model.save(str(tmp_path / "saved"))
    again = package.SentenceTransformer(
        str(tmp_path / "saved"), trust_remote_code=True, device="cpu"
    )
    np.testing.assert_allclose(again.encode(SENTENCES[:5]), means, atol=1e-5)


def test_a_copy_of_a_run_gives_the_same_vectors(trained, tmp_path):
    """`save_pretrained` writes the tokenizer of the encoder as well."""
    vae = textvae.TextVAE.from_pretrained(trained("entry"), device="cpu")
    vae.save_pretrained(tmp_path / "copy")
    copy = textvae.TextVAE.from_pretrained(tmp_path / "copy", device="cpu")
    np.testing.assert_array_equal(copy.encode(SENTENCES[:5]), vae.encode(SENTENCES[:5]))
    assert weights(tmp_path / "copy").keys() == weights(trained("entry")).keys()


def test_a_run_without_the_tokenizer_of_its_encoder_is_refused(trained, tmp_path):
    """The encoder would read the decoder's tokens, which mean something else to it."""
    shutil.copytree(trained("adapters"), tmp_path / "run")
    vae = textvae.TextVAE.from_pretrained(tmp_path / "run", device="cpu")
    with pytest.raises(ConfigError, match="has its own tokens: pass its `encoder_tokenizer`"):
        textvae.TextVAE(vae.model, vae.tokenizer)
    (tmp_path / "run" / "encoder_tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no encoder_tokenizer\.json"):
        textvae.TextVAE.from_pretrained(tmp_path / "run", device="cpu")


def test_bulk_encoding_gives_the_vectors_of_encode(used, tmp_path):
    """Shards of a folder hold the rows in order."""
    output = tmp_path / "shards"
    texts = str(used / "texts.txt")
    arguments = ["encode", str(used / "run"), texts, "--output", str(output), "--shard-rows", "40"]
    assert main(arguments) == 0
    import pyarrow.parquet as pq

    shards = sorted(output.rglob("*.parquet"))
    assert len(shards) == 3
    rows = [row for shard in shards for row in pq.read_table(shard).to_pylist()]
    vae = textvae.TextVAE.from_pretrained(used / "run", device="cpu")
    key = next(name for name, value in rows[0].items() if isinstance(value, list))
    np.testing.assert_allclose([row[key] for row in rows], vae.encode(SENTENCES), atol=1e-4)


LSTM = {"kind": "lstm", "embedding": 16, "hidden": 24}
MIXED: dict[str, dict[str, Any]] = {
    "words": {"encoder": {"train": "none", "states": "sentence"}, "tokenizer": {"kind": "word"}},
    "characters": {"encoder": {"train": "lora"}, "tokenizer": {"kind": "character"}},
    "decoder": {"decoder": {"entry": 0.5}},
}


@pytest.mark.parametrize("case", MIXED)
def test_one_part_may_be_pretrained_and_the_other_not(bases, tmp_path, case):
    """A pretrained encoder reads the text that the tokens of any decoder spell."""
    parts = MIXED[case]
    names = {"encoder": "bert", "decoder": "llama"}
    model: dict[str, Any] = {"latent_dim": 4}
    for role, base in names.items():
        pretrained = {"kind": "pretrained", "name": str(bases / base)}
        model[role] = {**pretrained, **parts[role]} if role in parts else LSTM
    vae = textvae.train(
        SENTENCES,
        output=tmp_path / "run",
        device="cpu",
        data={"held_out": 0.1, "max_tokens": 40},
        tokenizer=parts.get("tokenizer", {}),
        model=model,
        training={"steps": 2, "batch_tokens": 256, "evaluations": 1, "trackers": []},
        objective={"techniques": {"denoising": {}}},
    )
    again = textvae.TextVAE.from_pretrained(tmp_path / "run", device="cpu")
    np.testing.assert_array_equal(vae.encode(SENTENCES[:5]), again.encode(SENTENCES[:5]))
    assert (tmp_path / "run" / "encoder_tokenizer.json").exists() == ("encoder" in parts)


def test_dropout_depends_on_the_size_of_the_corpus(trained):
    """The settings of a run and its model have the number that was chosen."""
    run = trained("side")
    settings: Any = Run(run).read_settings().model
    model = load_bundle(run, "cpu").model
    assert (settings.encoder.dropout, settings.decoder.dropout) == (0.3, 0.4)
    assert (model.encoder.dropout.p, model.decoder.dropout.p) == (0.3, 0.4)
    assert [choose_dropout(count) for count in (10, 5_000, 11_832, 28_000, 10**7)] == [
        *(0.4, 0.4),
        0.3,
        *(0.2, 0.2),
    ]


@pytest.mark.parametrize("clock", ["wall", "processor"])
def test_the_states_are_counted_by_the_clock_of_the_run(tmp_path, monkeypatch, clock):
    """Waiting takes time, but none of the processor's."""
    counted = []

    def start(schedule):
        counted.append(schedule.preparation_seconds)
        return original(schedule)

    original = TrainingSchedule.start_clock
    monkeypatch.setattr(TrainingSchedule, "start_clock", start)
    monkeypatch.setattr(
        "textvae.training.fit.cache_frozen_states", lambda *_: time.sleep(WAITING_SECONDS)
    )
    train_tiny(tmp_path / "run", training={"clock": clock, "max_minutes": 1})
    [seconds] = counted
    assert (seconds >= WAITING_SECONDS) == (clock == "wall")
