"""Training: the files of a run, repeatability, interruptions, and what is refused."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import TrainerCallback

import textvae
from tests.tiny_run import SENTENCES, SETTINGS, train_tiny, write_corpus
from textvae.data.tokenization import encode_batch
from textvae.errors import CheckpointError, ConfigError, OutputError, TrainingError
from textvae.inference.checkpoint import load_bundle
from textvae.runs.run import Run
from textvae.training import checkpoints
from textvae.training.fit import build_trainer
from textvae.vae import TextVAE

ARGUMENTS = [
    "data.held_out=0.1",
    "tokenizer.vocab_size=320",
    "model.latent_dim=4",
    "model.encoder.embedding=16",
    "model.encoder.hidden=24",
    "model.decoder.embedding=16",
    "model.decoder.hidden=24",
    "training.batch_tokens=64",
    "training.warmup_steps=2",
    "training.evaluations=12",
    "training.trackers=[]",
    "objective.techniques.word_dropout.rate=0.2",
]


def load_weights(run: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a finished run."""
    tensors: dict[str, torch.Tensor] = load_file(run / "model.safetensors")
    return tensors


def assert_same_weights(one: Path, other: Path) -> None:
    """Fail unless the weights of two runs are equal to the last bit."""
    first = load_weights(one)
    second = load_weights(other)
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_a_run_folder_holds_what_transformers_needs_and_no_pickle(tiny_run):
    """It has model, tokenizer, settings and card, but no checkpoints and no pickles."""
    names = {
        path.relative_to(tiny_run).as_posix() for path in tiny_run.rglob("*") if path.is_file()
    }
    assert {"config.json", "model.safetensors", "generation_config.json", "tokenizer.json"} <= names
    assert {
        "settings.yaml",
        "training.json",
        "README.md",
        "corpus/train.arrow",
        "corpus/counts.json",
    } <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert not list(tiny_run.glob("checkpoint-*"))


def test_the_same_seed_gives_the_same_weights(tiny_run, tmp_path):
    """A run bounded by steps is repeatable on the CPU; another seed gives other weights."""
    train_tiny(tmp_path / "again")
    assert_same_weights(tiny_run, tmp_path / "again")
    train_tiny(tmp_path / "other", training={"seed": 2})
    assert not torch.equal(
        load_weights(tiny_run)["decoder.bias"], load_weights(tmp_path / "other")["decoder.bias"]
    )


def test_a_killed_and_resumed_run_ends_with_exactly_the_same_weights(tmp_path):
    """After SIGKILL and --resume, batches, noise, optimizer and techniques continue unchanged."""
    corpus = write_corpus(tmp_path)
    command = [
        sys.executable,
        "-m",
        "textvae",
        "train",
        str(corpus),
        *ARGUMENTS,
        "training.epochs=6",
        "--device",
        "cpu",
    ]
    quiet: dict[str, Any] = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "env": {**os.environ, "OMP_NUM_THREADS": "1"},
    }
    subprocess.run([*command, "--output", str(tmp_path / "straight")], check=True, **quiet)
    process = subprocess.Popen([*command, "--output", str(tmp_path / "killed")], **quiet)
    while not list((tmp_path / "killed").glob("checkpoint-*")) and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.2)  # so that it is killed between checkpoints
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "model.safetensors").exists(), (
        "the run had finished before it was killed"
    )
    resume = [
        sys.executable,
        "-m",
        "textvae",
        "train",
        "--output",
        str(tmp_path / "killed"),
        "--resume",
        "--device",
        "cpu",
    ]
    subprocess.run(resume, check=True, **quiet)
    assert_same_weights(tmp_path / "straight", tmp_path / "killed")


def test_the_processes_that_load_batches_end_with_the_training(tmp_path):
    """The garbage collector would end them, too, but would wait five seconds for each."""
    train_tiny(tmp_path / "run", training={"workers": 2, "steps": 3})
    assert active_children() == []


def test_a_run_bounded_by_minutes_ends_in_time_and_keeps_its_schedule(tmp_path):
    """The learning rate has decreased almost to zero by the end."""
    # The refit at the end has a rate of its own, and lasts for a step or two here.
    without_refit = {"techniques": {"target_kl": {"refit": 0}}}
    training = {"steps": None, "max_minutes": 0.05}
    train_tiny(tmp_path / "run", objective=without_refit, training=training)
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    # The minutes include the time before the first step, which these seconds do not.
    assert 2.9 <= record["seconds"] < 8.0
    rates = [entry["learning_rate"] for entry in record["history"] if "learning_rate" in entry]
    assert rates[-1] < 0.02 * max(rates)


def test_an_open_ended_run_ends_by_itself(tmp_path):
    """Once the validation ELBO no longer improves, the run cools down and ends."""
    train_tiny(
        tmp_path / "run",
        training={
            "steps": None,
            "patience": 1,
            "evaluate_steps": 4,
            "learning_rate": 0.05,
            "validation_sentences": 4,
        },
    )
    assert json.loads((tmp_path / "run" / "training.json").read_text())["steps"] > 0


def test_a_loss_that_is_not_a_number_stops_the_run_with_its_step(tmp_path):
    """The message names the settings to lower."""
    with pytest.raises(
        TrainingError, match=r"not a number at step \d+.*Lower training\.learning_rate"
    ):
        train_tiny(tmp_path / "run", training={"learning_rate": 1e30, "max_grad_norm": 0})


def test_a_run_is_never_overwritten_silently(tiny_run):
    """The message says how to replace the run, and the run stays."""
    with pytest.raises(OutputError, match=r"holds a run already.*--overwrite"):
        train_tiny(tiny_run)
    assert (tiny_run / "model.safetensors").exists()


def test_a_refused_corpus_leaves_nothing_behind(tmp_path):
    """Neither the run folder nor the staging folder is left."""
    with pytest.raises(textvae.TextVAEError):
        textvae.train(["only one"], output=tmp_path / "run", device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_resume_keeps_the_settings_and_needs_a_run(tiny_run, tmp_path):
    """New settings and a missing run are refused; a finished run is only loaded."""
    with pytest.raises(ConfigError, match="keeps its corpus and settings"):
        textvae.train(output=tiny_run, resume=True, device="cpu", training={"seed": 99})
    with pytest.raises(CheckpointError, match="no run to resume"):
        textvae.train(output=tmp_path / "nothing", resume=True, device="cpu")
    assert textvae.train(output=tiny_run, resume=True, device="cpu").latent_dim == 4


def test_init_starts_from_a_trained_model_with_its_tokenizer(tiny_run, tmp_path):
    """The vocabulary is the same, and the weights are close after one small step."""
    sentences = [sentence.replace("man", "cat") for sentence in SENTENCES]
    training = {"steps": 1, "learning_rate": 1e-6, "trackers": []}
    vae = textvae.train(
        sentences, output=tmp_path / "run", device="cpu", init=tiny_run, training=training
    )
    assert (
        vae.tokenizer.get_vocab() == textvae.TextVAE.from_pretrained(tiny_run).tokenizer.get_vocab()
    )
    torch.testing.assert_close(
        load_weights(tmp_path / "run"), load_weights(tiny_run), atol=1e-4, rtol=0
    )


FULL_DISK = [
    OSError(errno.ENOSPC, "No space left on device"),
    RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 26915136 vs 26915024"),
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
]


@pytest.mark.parametrize("error", FULL_DISK, ids=lambda error: type(error).__name__)
def test_a_full_disk_is_explained_and_leaves_no_partial_files(tmp_path, monkeypatch, error):
    """Each library reports it with another error; the message says how to continue."""

    def fail(*_):
        raise error

    monkeypatch.setattr(checkpoints, "finalize_checkpoint", fail)
    with pytest.raises(OutputError, match=r"the disk is full.*--resume"):
        train_tiny(tmp_path / "run")
    assert not list((tmp_path / "run").glob("checkpoint-*"))
    assert not (tmp_path / "run" / checkpoints.STAGING_FOLDER).exists()


def test_a_damaged_checkpoint_is_skipped(tmp_path, monkeypatch):
    """A run resumes from the newest checkpoint that is complete."""
    monkeypatch.setattr(checkpoints, "keep_only", lambda *_: None)
    train_tiny(tmp_path / "run")
    first, last = checkpoints.list_checkpoints(tmp_path / "run")
    file = last / "optimizer.pt"
    file.write_bytes(file.read_bytes()[:-100])
    assert checkpoints.find_newest_complete(tmp_path / "run") == first


def test_an_unknown_tracker_is_refused_before_anything_is_written(tmp_path):
    """The message lists the available trackers."""
    with pytest.raises(ConfigError, match=r"'tensorbord'.*tensorboard"):
        train_tiny(tmp_path / "run", training={"trackers": ["tensorbord"]})
    assert list(tmp_path.iterdir()) == []


def test_accumulated_batches_are_weighted_by_their_sentences(tmp_path):
    """Trainer averages over the batches of a step, but our loss is an average over sentences."""
    run = Run(tmp_path / "run")
    train_tiny(run.folder)
    bundle = load_bundle(run.folder, "cpu")
    trainer = build_trainer(run, run.read_settings(), bundle, torch.device("cpu"))
    trainer.current_gradient_accumulation_steps = 2
    rows = run.open_split("train")
    batches = [bundle.make_batch(rows[:2]["input_ids"]), bundle.make_batch(rows[2:9]["input_ids"])]
    sentences = trainer._get_num_items_in_batch(batches, torch.device("cpu"))
    assert sentences == 9
    for batch, share in zip(batches, (2 / 9, 7 / 9), strict=True):
        loss, terms = trainer.compute_loss(
            bundle.model, batch, return_outputs=True, num_items_in_batch=sentences
        )
        torch.testing.assert_close(loss / 2, terms.loss * share)


def test_overwrite_replaces_runs_only(tmp_path):
    """--overwrite does not delete a folder of the user's texts."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "mine.txt").write_text("precious\n")
    with pytest.raises(OutputError, match="something that does not belong to a run"):
        train_tiny(tmp_path / "texts", overwrite=True)
    assert (tmp_path / "texts" / "mine.txt").exists()


def test_init_refuses_another_shape(tiny_run, tmp_path):
    """The model is that of the first run, so the settings must not say another size."""
    with pytest.raises(ConfigError, match=r"the model comes from .* with --init"):
        textvae.train(
            SENTENCES, output=tmp_path / "run", device="cpu", init=tiny_run, model={"latent_dim": 9}
        )


def test_a_lowercased_corpus_gives_a_tokenizer_that_lowercases(tmp_path):
    """The tokenizer keeps the case and the Unicode form of the corpus."""
    vae = train_tiny(tmp_path / "run", data={"lowercase": True})
    assert (vae.encode("A Man Rides A Wave.") == vae.encode("a man rides a wave.")).all()


def test_a_lowercased_corpus_makes_the_tokenizer_of_another_run_lowercase(tiny_run, tmp_path):
    """Texts that are read later are normalized as the corpus was, and otherwise as before."""
    data = {**SETTINGS["data"], "lowercase": True}
    training = {**SETTINGS["training"], "steps": 1, "warmup_steps": 0}
    corpus = [sentence.title() for sentence in SENTENCES]
    options: dict[str, Any] = {"init": tiny_run, "device": "cpu"}
    run = tmp_path / "run"
    vae = textvae.train(corpus, output=run, data=data, training=training, **options)
    ids = encode_batch(vae.tokenizer, [SENTENCES[0], SENTENCES[0].upper()])
    assert ids[0] == ids[1]
    before = TextVAE.from_pretrained(tiny_run, "cpu").tokenizer
    assert ids[0] == encode_batch(before, SENTENCES[:1])[0]


def test_an_error_of_something_else_than_the_run_is_not_blamed_on_it(tmp_path):
    """A tracker may lose its connection, and a callback may read a file of its own."""

    class Failing(TrainerCallback):  # type: ignore[misc]
        def __init__(self, error):
            self.error = error

        def on_step_end(self, *arguments, **options):
            raise self.error

    gone = FileNotFoundError(errno.ENOENT, "No such file or directory", "/nonexistent/my.txt")
    for number, error in enumerate((ConnectionError("tracker: connection refused"), gone)):
        with pytest.raises(type(error)):
            train_tiny(tmp_path / f"run{number}", callbacks=[Failing(error)])


def test_the_advice_for_a_loss_that_is_not_a_number_can_be_followed(tmp_path):
    """It names the rates that are set, and clipping only as it is."""
    training = {
        **SETTINGS["training"],
        "max_grad_norm": 0,
        "decoder_learning_rate": 1e30,
        "steps": 30,
        "logging_steps": 1,
    }
    with pytest.raises(TrainingError) as caught:
        train_tiny(tmp_path / "run", training=training)
    message = str(caught.value)
    assert "training.decoder_learning_rate (now 1e+30)" in message
    assert "or clip the gradients with training.max_grad_norm=20" in message


def test_settings_from_python_are_kept_next_to_a_named_corpus(tmp_path):
    """The name of the corpus does not replace the rest of its section."""
    corpus = write_corpus(tmp_path)
    vae = textvae.train(
        corpus, output=tmp_path / "run", device="cpu", **{**SETTINGS, "data": {"lowercase": True}}
    )
    assert vae.latent_dim == 4
    assert Run(tmp_path / "run").read_settings().data.lowercase


def test_sentences_replace_the_corpus_of_a_config(tmp_path, capsys):
    """Neither the settings nor the card nor a message says that the run was trained on it."""
    config = tmp_path / "config.yaml"
    config.write_text("data: {corpus: captions, unit: paragraph}\n")
    train_tiny(tmp_path / "run", config=config)
    run = Run(tmp_path / "run")
    assert run.read_settings().data.corpus is None
    assert run.read_counts()["cleaned"]["train"]["read"] == len(SENTENCES)
    assert "captions" not in (run.folder / "README.md").read_text(encoding="utf-8")
    messages = capsys.readouterr().err
    assert "captions" not in messages
    assert "data.unit = 'paragraph' is for files" in messages


@pytest.mark.parametrize("is_override", [False, True])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("corpus", "captions", r"data\.corpus = 'captions' names a corpus, and another"),
        ("unit", "paragraph", r"data\.unit = 'paragraph' is for files"),
    ],
)
def test_settings_of_files_are_refused_next_to_sentences(
    tmp_path, name, value, message, is_override
):
    """They would have no effect, or nobody could say which corpus is meant."""
    settings: dict[str, Any] = {"data": {name: value}}
    if is_override:
        settings = {"overrides": [f"data.{name}={value}"]}
    with pytest.raises(ConfigError, match=message):
        train_tiny(tmp_path / "run", **settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("first", "second"), [("elbo", "language_model"), ("language_model", "elbo")]
)
def test_a_run_cannot_start_from_a_model_of_the_other_objective(tmp_path, first, second):
    """Whether a model has a latent cannot change."""
    train_tiny(tmp_path / "one", objective={"kind": first})
    with pytest.raises(ConfigError, match=r"model to start from .* objective=language_model"):
        textvae.train(
            SENTENCES,
            tmp_path / "other",
            init=tmp_path / "one",
            device="cpu",
            objective={"kind": second},
            training=SETTINGS["training"],
        )
    assert not (tmp_path / "other").exists()


CODE = [
    f"def {name}({other}):\n    return {other} + {other}\n" for name in "fghk" for other in "abcd"
]


def test_texts_are_continued_and_filled_with_their_white_space(tmp_path):
    """A model that keeps white space reads it, and what it writes begins with it."""
    vae = train_tiny(tmp_path / "run", CODE, data={"white_space": "keep"})
    for prefix in ("def f(x):\n    ", "\tdef", "def f(x):\n"):
        assert all(text.startswith(prefix) for text in vae.complete(prefix, 2, seed=1))
    for filled in vae.infill("def f(x):\n    ___ x\n", n=2, seed=1):
        [fill] = filled["fills"]
        assert filled["text"] == f"def f(x):\n    {fill} x\n"
        assert fill == fill.strip()
