"""The doctor judges actual models: models that were broken on purpose, and sound ones."""

import random
import shutil
from typing import Any

import pytest
import torch

from tests.evaluation.topics import write_sentences
from textvae import TextVAE, train
from textvae.cli.main import main
from textvae.data.corpus import prepare_splits
from textvae.data.settings import DataSettings
from textvae.data.tokenization import TokenizerSettings, build_tokenizer
from textvae.evaluation.evaluate import evaluate_quick, evaluate_run
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle
from textvae.runs.run import Run

PART: dict[str, Any] = {"kind": "lstm", "embedding": 16, "hidden": 32}
SETTINGS: dict[str, Any] = {
    "data": {"held_out": 0.1},
    "tokenizer": {"kind": "word", "min_frequency": 1},
    "model": {"latent_dim": 4, "encoder": PART, "decoder": PART},
    "training": {
        "steps": 350,
        "batch_tokens": 512,
        "warmup_steps": 10,
        "evaluations": 3,
        "trackers": [],
        "learning_rate": 0.02,
        "bf16": False,  # the same model on every processor
    },
}
SENTENCES = write_sentences(600)


def train_model(folder, corpus=SENTENCES, init=None, **changes):
    """Train a tiny model; `changes` override the settings, section by section."""
    settings: dict[str, Any] = {
        name: {**section, **changes.pop(name, {})} for name, section in SETTINGS.items()
    }
    if init is not None:
        del settings["model"], settings["tokenizer"]  # those of the run to start from
    return train(corpus, output=folder, device="cpu", init=init, **settings, **changes)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A model that has learned the tiny language; tests only read its run."""
    folder = tmp_path_factory.mktemp("runs") / "sound"
    train_model(folder)
    return folder


@pytest.fixture
def bundle(sound):
    """The sound model, loaded again for each test, which may break it."""
    return load_bundle(sound, "cpu")


def judge(folder, bundle):
    """Return the doctor's record on a model and its run."""
    return evaluate_quick(Run(folder), bundle)


def check_diagnosis(record, verdict, finding, advice):
    """Check a verdict, and that a finding and a piece of advice contain these words.

    Without a verdict, it may be any but healthy.
    """
    assert record["verdict"] in ((verdict,) if verdict else ("weak", "collapsed"))
    assert any(finding in text for text in record["findings"]), record["findings"]
    assert any(advice in text for text in record["advice"]), record["advice"]


def zero_all(model):
    """Zero every weight."""
    for weight in model.parameters():
        weight.zero_()


def collapse(model):
    """Give all sentences the prior as their posterior."""
    zero_all(model.posterior)


def give_all_the_same_posterior(model):
    """Give all sentences one posterior that is not the prior."""
    model.posterior.mean.weight.zero_()
    model.posterior.mean.bias.fill_(1.5)


def sharpen(model):
    """Make the posterior much too sharp."""
    model.posterior.logvar.bias.fill_(-20.0)


def inflate_kl(model):
    """Move the posterior means far apart."""
    model.posterior.mean.weight.mul_(30.0)


def kill_half(model):
    """Let half of the units be noise."""
    for part in (model.posterior.mean, model.posterior.logvar):
        part.weight[::2] = 0.0
        part.bias[::2] = 0.0


def ignore_latent(model):
    """Cut every way from z to the decoder."""
    for part in model.conditioning.values():
        part.register_forward_pre_hook(lambda _, inputs: (torch.zeros_like(inputs[0]),))


def shift_latents(model):
    """Move all latents far from the prior, and move them back before they are decoded."""
    model.posterior.mean.bias.add_(5.0)
    for part in model.conditioning.values():
        part.register_forward_pre_hook(lambda _, inputs: (inputs[0] - 5.0,))


def add_noise(model):
    """Add noise to the decoder's weights."""
    torch.manual_seed(0)
    for weight in model.decoder.parameters():
        weight.add_(torch.randn_like(weight))


def confuse_words(model):
    """Exchange the embeddings of the words, which are also the decoder's outputs."""
    torch.manual_seed(0)
    table = model.decoder.embed.weight
    order = torch.cat([torch.arange(4), 4 + torch.randperm(len(table) - 4)])
    table.copy_(table[order].clone())


def forget_order(model):
    """Zero the weights by which the decoder remembers earlier words."""
    for name, weight in model.decoder.cells.named_parameters():
        if "weight" in name:
            weight.zero_()


BROKEN_WEIGHTS = {
    "all weights are zero": (zero_all, "collapsed", "KL is 0.00 nats", "Train"),
    "the posterior is the prior": (collapse, "collapsed", "no unit is active", "Train"),
    "all posteriors are the same": (
        give_all_the_same_posterior,
        "collapsed",
        "no unit is active",
        "Train",
    ),
    "the decoder ignores z": (ignore_latent, "collapsed", "the decoder ignores z", "word_dropout"),
    "the posterior is too sharp": (sharpen, "weak", "the posterior is too sharp", "refit"),
    "the KL has exploded": (inflate_kl, "weak", "more than a trigram model needs", "target_kl"),
    "half of the units are dead": (
        kill_half,
        None,
        "2 of 4 units are dead",
        "unit_floor.floor",
    ),
    "the latents are far from the prior": (
        shift_latents,
        "weak",
        "away from the prior",
        "textvae prior fit",
    ),
    "the decoder has noise in its weights": (
        add_noise,
        "weak",
        "and a trigram model of the same tokens",
        "Train longer",
    ),
    "the words are confused": (
        confuse_words,
        "weak",
        "the samples are unlike the corpus",
        "Train longer",
    ),
    "the decoder forgets the words before": (
        forget_order,
        "weak",
        "and a trigram model of the same tokens",
        "Train longer",
    ),
}


@pytest.mark.parametrize("case", BROKEN_WEIGHTS)
def test_a_model_with_broken_weights_is_not_healthy(sound, bundle, case):
    """The doctor names what is broken, and says what to change."""
    damage, verdict, finding, advice = BROKEN_WEIGHTS[case]
    with torch.no_grad():
        damage(bundle.model)
    check_diagnosis(judge(sound, bundle), verdict, finding, advice)


BROKEN_OUTPUTS = {
    "every text is empty": ("eos_token_id", 100.0, "100% of the samples are empty texts"),
    "no text ends": ("eos_token_id", -100.0, "100% of the samples do not end"),
    "a token is repeated": ("unk_token_id", 100.0, "100% of the samples repeat the same tokens"),
    "all texts are the same": ("unk_token_id", 100.0, "100% of the samples are the same text"),
}


@pytest.mark.parametrize("case", BROKEN_OUTPUTS)
def test_a_model_whose_texts_are_useless_is_not_healthy(sound, bundle, case):
    """The texts are empty, endless, repetitive or all the same."""
    role, bias, finding = BROKEN_OUTPUTS[case]
    with torch.no_grad():
        bundle.model.decoder.bias[getattr(bundle.tokenizer, role)] = bias
    check_diagnosis(judge(sound, bundle), "weak", finding, "Train longer")


def test_a_model_with_the_tokenizer_of_another_one_is_not_healthy(sound, bundle):
    """The stored sentences have other tokens under it."""
    other = build_tokenizer(TokenizerSettings(kind="word"), ["a few words of another corpus ."] * 9)
    record = judge(sound, Bundle(bundle.model, other))
    check_diagnosis(record, "weak", "have other tokens than those", "copy the whole run again")


def test_a_model_of_another_corpus_is_not_healthy(sound, bundle, tmp_path):
    """On sentences with their words in reverse order, a trigram model is much better."""
    folder = tmp_path / "run"
    shutil.copytree(sound, folder)
    reversed_sentences = [" ".join(reversed(text.split())) for text in SENTENCES]
    rows = {"train": lambda: iter([{"text": text} for text in reversed_sentences])}
    prepare_splits(
        DataSettings(held_out=0.1), 1, folder / "corpus", lambda _: bundle.tokenizer, rows
    )
    check_diagnosis(judge(folder, bundle), "weak", "the corpus in the folder have changed", "Copy")


FEW = {"steps": 5, "evaluations": 1}
CHINESE = [
    f"{a}{b}{c}{d}" for a in "我你他她" for b in "看听说读" for c in "书报信画" for d in "吗呢"
]

# (corpus, changed settings, verdicts, finding, advice)
BADLY_TRAINED: dict[str, tuple[Any, ...]] = {
    "it is hardly trained": (
        SENTENCES,
        {"training": FEW},
        "a trigram model of the same tokens",
        "",
    ),
    "a learning rate that is too high": (
        SENTENCES,
        {"training": {"steps": 20, "learning_rate": 0.2, "warmup_steps": 0}},
        "a trigram model of the same tokens",
        "",
    ),
    "too few sentences": (
        write_sentences(24),
        {"training": FEW},
        "there are 20 training sentences, too few",
        "Give more sentences",
    ),
    "one sentence, repeated": (
        [*SENTENCES[:100], *[SENTENCES[0]] * 400],
        {"training": FEW},
        "of the training sentences are one and the same",
        "data.drop_duplicates=true",
    ),
    "sentences that are all cut": (
        SENTENCES,
        {"training": FEW, "data": {"max_tokens": 4}},
        "100% of the sentences are cut",
        "Raise data.max_tokens",
    ),
    "words that are mostly unknown": (
        SENTENCES,
        {"training": FEW, "tokenizer": {"vocab_size": 12}},
        "of the tokens are unknown",
        "tokenizer.kind=bpe",
    ),
    "a language without spaces, word by word": (
        CHINESE,
        {"training": FEW},
        "100% of the tokens are unknown",
        "tokenizer.kind=bpe",
    ),
    "a validation split of training sentences": (
        {"train": SENTENCES, "validation": SENTENCES[:50], "test": SENTENCES[50:100]},
        {"training": FEW},
        "100% of a held-out split are training sentences",
        "data.drop_duplicates=true",
    ),
    "a weight of the KL that is too high": (
        SENTENCES,
        {
            "training": {"steps": 30, "evaluations": 1},
            "objective": {
                "techniques": {
                    "target_kl": "off",
                    "unit_floor": "off",
                    "kl_weight": {"schedule": "constant", "weight": 20.0},
                }
            },
        },
        "shuffled latents cost only",
        "target_kl",
    ),
}


@pytest.mark.parametrize("case", BADLY_TRAINED)
def test_a_badly_trained_model_is_not_healthy(tmp_path, case):
    """For what is wrong with the corpus, no other KL target is advised."""
    corpus, changes, finding, advice = BADLY_TRAINED[case]
    record = train_model(tmp_path / "run", corpus, **changes).doctor()
    check_diagnosis(record, None, finding, advice)
    if "tokenizer.kind=bpe" in advice:
        assert not any("KL target" in text for text in record["advice"])


def test_a_model_that_learns_its_sentences_by_heart_is_not_healthy(tmp_path):
    """Held-out sentences cost much more than training sentences, and their ELBO falls."""
    choose = random.Random(0).choice
    words = [f"w{number}" for number in range(30)]
    sentences = [" ".join(choose(words) for _ in range(8)) for _ in range(90)]
    training = {"steps": 150, "evaluations": 5, "keep": "last", "weight_decay": 0.0}
    part = {**PART, "embedding": 64, "hidden": 128, "dropout": 0.0}
    parts = {"encoder": part, "decoder": part}
    record = train_model(tmp_path / "run", sentences, training=training, model=parts).doctor()
    advice = "Give more training sentences (there are 72)"
    check_diagnosis(record, None, "has learned its training sentences by heart", advice)
    check_diagnosis(record, None, "the validation ELBO fell by", advice)
    assert not any("Train longer" in text for text in record["advice"][:1])


def test_the_sound_model_is_healthy(sound, bundle):
    """It predicts sentences better than a trigram model."""
    record = judge(sound, bundle)
    assert (record["verdict"], record["findings"], record["advice"]) == ("healthy", [], [])
    assert record["model_nll"] < record["trigram_nll"]


def test_the_test_split_gives_the_same_verdict(sound, bundle):
    """`evaluate` has the same checks as the doctor."""
    record = evaluate_run(Run(sound), bundle, measures=["quick"])
    assert record["verdict"] == "healthy", record["findings"]


def test_a_copied_run_is_healthy(sound, tmp_path, capsys):
    """The command exits with 0 and says what is good about it; a broken model exits with 0, too."""
    shutil.copytree(sound, tmp_path / "copy")
    assert main(["doctor", str(tmp_path / "copy")]) == 0
    assert "a trigram model of the same tokens" in capsys.readouterr().out


CONTINUED: dict[str, dict[str, Any]] = {
    "as before": {},
    "with a higher KL target": {"objective": {"techniques": {"target_kl": {"nats": 2.2}}}},
    "with word dropout": {
        "objective": {"techniques": {"word_dropout": {"rate": 0.1}, "target_kl": {"nats": 2.2}}}
    },
    "with free bits": {
        "objective": {
            "techniques": {
                "target_kl": "off",
                "unit_floor": "off",
                "free_bits": {"floor": 0.4},
            }
        }
    },
    "with a small weight of the KL": {
        "objective": {
            "techniques": {
                "target_kl": "off",
                "kl_weight": {"schedule": "constant", "weight": 0.5},
            }
        }
    },
    "with a lower learning rate": {"training": {"learning_rate": 0.001}},
    "with its last checkpoint": {"training": {"keep": "last"}},
    "with other held-out sentences": {"data": {"split_seed": 5, "held_out": 0.2}},
}


@pytest.mark.parametrize("case", CONTINUED)
def test_a_sound_model_that_is_trained_further_stays_healthy(sound, tmp_path, case):
    """Neither other techniques nor other settings of training make it unhealthy."""
    changes = {**CONTINUED[case]}
    changes["training"] = {"steps": 60, "evaluations": 1, **changes.get("training", {})}
    changes["training"].setdefault("learning_rate", 0.003)
    record = train_model(tmp_path / "run", init=sound, **changes).doctor()
    assert record["verdict"] == "healthy", record["findings"]


def test_the_end_of_training_prints_the_verdict(sound, tmp_path, capsys):
    """It has the findings and the advice, and so has the card."""
    train_model(tmp_path / "run", training=FEW)
    printed = capsys.readouterr().err
    assert "verdict: " in printed
    assert "what to change: " in printed
    assert ": healthy" not in printed
    card = (tmp_path / "run" / "README.md").read_text()
    assert "| verdict | healthy |" not in card


def test_a_language_model_is_compared_with_trigrams(tmp_path):
    """It has no latent, but it can predict sentences badly as well."""
    vae = train_model(tmp_path / "run", objective={"kind": "language_model"}, training=FEW)
    record = vae.doctor()
    assert record["verdict"] == "language model"
    assert any("a trigram model of the same tokens" in text for text in record["findings"])
    assert TextVAE.from_pretrained(tmp_path / "run").latent_dim == 0
