"""Tokenizers with one token for several roles, as GPT-2 has: no text is lost or empty."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tests.tiny import tiny_dataset, tiny_model
from tests.tiny_run import SENTENCES, SMALL, train_tiny
from textvae.data.tokenization import decode_batch, encode_batch, load_tokenizer
from textvae.evaluation.evaluate import evaluate, evaluate_quick
from textvae.inference import generation_loop
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle
from textvae.model.modeling import TextVAEModel
from textvae.runs.run import Run
from textvae.vae import TextVAE

END_OF_TEXT = "<|endoftext|>"
GPT2 = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "unk_token": END_OF_TEXT}
LLAMA = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}
BERT = {"cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]", "pad_token": "[PAD]"}
CASES: dict[str, dict[str, str]] = {
    "GPT-2": GPT2,
    "GPT-2 padded with its end": {**GPT2, "pad_token": END_OF_TEXT},
    "Llama padded with its end": LLAMA,
    "padded with the start": {**LLAMA, "pad_token": "<s>"},
    "BERT": BERT,
    "names that collide": {"unk_token": "<eos>", "bos_token": "<pad>", "pad_token": "<pad>"},
}
DECODERS: dict[str, dict[str, Any]] = {
    "lstm": SMALL,
    "transformer": {"kind": "transformer", "hidden": 16, "layers": 1, "heads": 2, "positions": 64},
}
SPECIAL_IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "unk_token_id")


def build_byte_level(**special_tokens: str) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE with these special tokens."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = list(dict.fromkeys(special_tokens.values()))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, clean_up_tokenization_spaces=False, **special_tokens
    )


def build_word_level(**special_tokens: str) -> PreTrainedTokenizerFast:
    """Return a tokenizer of whole words with these special tokens."""
    words = [
        *dict.fromkeys(special_tokens.values()),
        *sorted({word for text in SENTENCES for word in text.split()}),
    ]
    core = Tokenizer(
        models.WordLevel(
            {word: number for number, word in enumerate(words)},
            unk_token=special_tokens["unk_token"],
        )
    )
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=core, **special_tokens)


def save_and_load(tokenizer: PreTrainedTokenizerFast, folder: Path) -> Any:
    """Save a tokenizer and load it as training does."""
    tokenizer.save_pretrained(folder)
    return load_tokenizer(folder)


@pytest.mark.parametrize("build", [build_byte_level, build_word_level])
@pytest.mark.parametrize("special_tokens", CASES.values(), ids=CASES)
def test_a_loaded_tokenizer_has_four_different_special_tokens(tmp_path, build, special_tokens):
    """Roles that share a token get one of their own; words and the unknown token keep their ids."""
    tokenizer = build(**special_tokens)
    before, unknown = tokenizer.get_vocab(), tokenizer.unk_token
    loaded = save_and_load(tokenizer, tmp_path)
    assert len({getattr(loaded, name) for name in SPECIAL_IDS}) == 4
    assert before.items() <= loaded.get_vocab().items()
    assert loaded.unk_token == unknown


def test_special_tokens_that_differ_are_kept(tmp_path):
    """A tokenizer that has all special tokens gets no other."""
    special_tokens = {**LLAMA, "pad_token": "<padding>"}
    loaded = save_and_load(build_byte_level(**special_tokens), tmp_path)
    assert {name: getattr(loaded, name) for name in special_tokens} == special_tokens
    assert len(loaded) == 320


@pytest.mark.parametrize("special_tokens", CASES.values(), ids=CASES)
def test_text_with_an_unknown_word_does_not_end_there(tmp_path, special_tokens):
    """The words after the unknown one are encoded and decoded."""
    loaded = save_and_load(build_word_level(**special_tokens), tmp_path)
    (ids,) = encode_batch(loaded, ["a man zyzzyva a wave."])
    assert len(ids) == 5
    assert decode_batch(loaded, [[loaded.bos_token_id, *ids, loaded.eos_token_id]])[0].endswith(
        " a wave."
    )


@pytest.mark.parametrize("special_tokens", CASES.values(), ids=CASES)
@pytest.mark.parametrize("build", [build_byte_level, build_word_level])
def test_the_text_of_a_special_token_does_not_become_one(build, special_tokens):
    """A tokenizer that was not loaded from a folder may still have shared tokens."""
    tokenizer = build(**special_tokens)
    for name in ("bos_token", "eos_token", "pad_token"):
        (ids,) = encode_batch(
            tokenizer, [f"a man {getattr(tokenizer, name) or END_OF_TEXT} a wave."]
        )
        assert {getattr(tokenizer, f"{name}_id")}.isdisjoint(ids)


@pytest.fixture(scope="module", params=DECODERS)
def trained(request, tmp_path_factory) -> TextVAE:
    """Train a run with a tokenizer like GPT-2's, padded with its end, until it knows some words."""
    folder = tmp_path_factory.mktemp("shared")
    build_byte_level(**GPT2, pad_token=END_OF_TEXT).save_pretrained(folder / "tokenizer")
    return train_tiny(
        folder / "run",
        tokenizer={"kind": "folder", "path": str(folder / "tokenizer")},
        data={"max_tokens": 32},
        model={"decoder": DECODERS[request.param], "conditioning": ["output"]},
        training={"steps": 150, "batch_tokens": 400, "learning_rate": 0.02},
    )


def test_a_run_trained_with_such_a_tokenizer_writes_texts(trained):
    """Every method that writes texts returns non-empty ones."""
    assert all(trained.generate(5))
    assert all(trained.reconstruct(SENTENCES[:5]))
    assert all(
        text.startswith("a man") and len(text) > len("a man")
        for text in trained.complete("a man", 3)
    )
    filled = trained.infill("a man ___ a wave.", n=2, latents=2, beams=2, most_tokens=1)
    assert all(
        each["text"].startswith("a man ") and each["text"].endswith(" a wave.") for each in filled
    )
    assert filled


def test_a_run_trained_with_such_a_tokenizer_scores_the_end(trained):
    """Each token and the end count once, before and after the run is loaded again."""
    again = TextVAE.from_pretrained(trained.folder, "cpu")
    for vae in (trained, again):
        (record,) = vae.score(SENTENCES[0], samples=2)
        assert record["surprisal"] is not None
        assert (
            len(record["surprisal"])
            == record["tokens"]
            == len(encode_batch(vae.tokenizer, SENTENCES[:1])[0]) + 1
        )
    assert again.score(SENTENCES[:3], samples=2) == trained.score(SENTENCES[:3], samples=2)
    assert again.generate(3, seed=1) == trained.generate(3, seed=1)


def test_a_run_trained_with_such_a_tokenizer_is_measured(trained):
    """BLEU is above zero, and no text is empty."""
    run = Run(trained.folder)
    record = evaluate(trained.bundle, run.open_split("test"), samples=2)
    assert record["bleu"] > 0
    assert record["empty_reconstructions"] == record["empty_samples"] == 0
    assert evaluate_quick(run, trained.bundle)["empty_samples"] == 0


def widen(model: TextVAEModel, like: int) -> TextVAEModel:
    """Return the model with one more token, encoded like the token `like` and never generated."""
    vocab = model.config.vocab_size
    config = model.config.__class__.from_dict(model.config.to_dict())
    config.vocab_size = config.encoder_vocab_size = vocab + 1
    wide = TextVAEModel(config)
    wide.eval()
    rows = {}
    for name, weight in model.state_dict().items():
        is_by_token = weight.dim() and len(weight) == vocab
        more = torch.tensor([-1e9]) if weight.dim() == 1 else weight[like : like + 1]
        rows[name] = torch.cat([weight, more]) if is_by_token else weight
    wide.load_state_dict(rows)
    return wide


@pytest.fixture(params=["lstm", "gpt2", "llama"])
def pair(request) -> tuple[TextVAE, TextVAE]:
    """Return a model with shared special tokens, and the same one with a start token of its own."""
    shared, distinct = build_byte_level(**GPT2, pad_token=END_OF_TEXT), build_byte_level(**GPT2)
    distinct.add_special_tokens({"bos_token": "<bos>"})
    distinct.pad_token = "<bos>"
    end = shared.eos_token_id
    model = tiny_model(request.param, vocab=len(shared))
    wide = widen(model, end)
    wide.generation_config = model.generation_config.from_dict(model.generation_config.to_dict())
    model.generation_config.update(bos_token_id=end, eos_token_id=end, pad_token_id=end)
    start = distinct.bos_token_id
    wide.generation_config.update(bos_token_id=start, eos_token_id=end, pad_token_id=start)
    return TextVAE(model, shared), TextVAE(wide, distinct)


def test_shared_tokens_change_no_score(pair):
    """Tokens and scores are equal; in a batch of several lengths, the end counts once."""
    shared, distinct = pair
    texts = ["a man", *SENTENCES[:4], "the dog rides a bike and a bike and a bike"]
    for one, other in zip(
        shared.score(texts, samples=3), distinct.score(texts, samples=3), strict=True
    ):
        assert one["tokens"] == other["tokens"]
        torch.testing.assert_close(torch.tensor(one["surprisal"]), torch.tensor(other["surprisal"]))
        assert one["iw_nll"] == pytest.approx(other["iw_nll"], rel=1e-5)


def test_shared_tokens_change_no_text(pair, monkeypatch):
    """Sampling, greedy and beam search, completion and infilling return the same texts."""
    # In bf16, which token a random number stands for depends on the size of the vocabulary.
    monkeypatch.setattr(generation_loop, "is_bf16_fast", lambda device: False)
    shared, distinct = pair
    for options in ({"seed": 1}, {"seed": 2, "do_sample": False}, {"num_beams": 3, "seed": 3}):
        texts = shared.generate(4, **options)
        assert texts == distinct.generate(4, **options)
        assert any(texts)
    assert shared.reconstruct(SENTENCES[:4]) == distinct.reconstruct(SENTENCES[:4])
    completed = shared.complete("a man", 4, seed=0)
    assert completed == distinct.complete("a man", 4, seed=0)
    blanks = {"text": "a man ___ a wave.", "n": 2, "latents": 2, "beams": 2, "most_tokens": 1}
    texts, others = ([each["text"] for each in vae.infill(**blanks)] for vae in (shared, distinct))
    assert texts == others


def test_shared_tokens_change_no_measure(pair):
    """Reconstructions are compared with whole sentences."""
    shared, distinct = (vae.bundle for vae in pair)
    measured = [
        evaluate(bundle, tiny_dataset(bundle, SENTENCES[:6]), samples=2)
        for bundle in (shared, distinct)
    ]
    for name in ("elbo", "bleu", "exact_match", "token_accuracy", "empty_reconstructions"):
        assert measured[0][name] == pytest.approx(measured[1][name], rel=1e-4)


def test_only_tokens_before_the_end_are_text():
    """Start and end may be the same token, with padding of that token on both sides."""
    tokenizer = build_byte_level(**GPT2, pad_token=END_OF_TEXT)
    end, (ids,) = tokenizer.eos_token_id, encode_batch(tokenizer, ["a man"])
    rows = [
        [end, *ids],
        [end, *ids, end, *ids],
        [end, end, *ids, end, end],
        [end, end],
        ids,
        [*ids, end],
        [],
    ]
    assert decode_batch(tokenizer, rows) == ["a man", "a man", "a man", "", "a man", "a man", ""]


def test_the_tokenizer_of_a_run_is_loaded_unchanged(trained, tmp_path):
    """The vocabulary does not grow: the model has no weights for more tokens."""
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    file = folder / "tokenizer_config.json"
    file.write_text(
        json.dumps(
            {**json.loads(file.read_text()), "bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT}
        )
    )
    end = trained.tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    for name in ("config.json", "generation_config.json"):
        values = json.loads((folder / name).read_text())
        values |= {"bos_token_id": end, "eos_token_id": end}
        (folder / name).write_text(json.dumps(values))
    bundle = load_bundle(folder, "cpu")
    assert isinstance(bundle, Bundle)
    assert bundle.tokenizer.bos_token == bundle.tokenizer.eos_token == END_OF_TEXT
    assert len(bundle.tokenizer) == len(trained.tokenizer)
