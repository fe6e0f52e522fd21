"""Damaged, torn and foreign files in a run folder: one clear error, never one of Python's.

Each file of a run is replaced by each of the forms in which a damaged file is found, and
then read in the way in which the verbs read it.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file

from tests.tiny_run import LABELLED, SENTENCES
from textvae.cli.main import main
from textvae.comparison.report.model_summary import summarize_model
from textvae.data.run_corpus import open_corpus
from textvae.errors import CheckpointError
from textvae.inference.checkpoint import load_bundle
from textvae.runs.run import Run, is_run
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.uses.anomaly import anomaly
from textvae.uses.attribute import load_attribute
from textvae.uses.fit_prior.fit import load_prior
from textvae.uses.neighbors import NeighborIndex
from textvae.vae import TextVAE

DEEP = 100_000
FORMS: dict[str, Any] = {
    "missing": None,
    "empty": b"",
    "cut": "cut",
    "list": b"[]",
    "null": b"null",
    "number": b"3",
    "string": b'"x"',
    "wrong keys": b'{"a": 1}',
    "NaN": b"NaN",
    "deep list": b"[" * DEEP,
    "deep mapping": b'{"a":' * DEEP,
    "binary": b"\x00\xff\xfe\x80PK\x03\x04" * 50,
    "another encoding": "caf\xe9: [\xff".encode("latin-1"),
    "folder": "folder",
}

MODEL_FILES = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
]
RECORDS = ["corpus/counts.json", "training.json", "measures.json", "model_summary.json"]
SPLITS = ["corpus/train.arrow", "corpus/validation.arrow", "corpus/test.arrow"]
FITS = {
    "fitted/attribute/two": ["fitted.json", "tensors.safetensors"],
    "fitted/anomaly/default": ["fitted.json", "tensors.safetensors"],
    "fitted/prior/gaussian_mixture": ["fitted.json", "tensors.safetensors"],
    "fitted/index/default": ["fitted.json", "rows.arrow", "vectors.faiss"],
}
# Nothing is read from them.
# `read_progress` reads samples.jsonl, and leaves damaged lines out.
UNREAD = ["README.md", "report.html", "samples.jsonl"]


@pytest.fixture(scope="module")
def whole_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything that can be in its folder."""
    run = shutil.copytree(tiny_run, tmp_path_factory.mktemp("whole") / "run")
    vae = TextVAE.from_pretrained(run, "cpu")
    texts, labels = zip(*LABELLED, strict=True)
    vae.fit_attribute(texts, labels, "two")
    vae.fit_anomaly(SENTENCES)
    vae.fit_prior(texts=[*SENTENCES, *SENTENCES])
    vae.index(SENTENCES)
    opened = Run(run)
    opened.write_json("model_summary.json", summarize_model(opened, vae.bundle))
    opened.write_json("measures.json", {"sentences": 3, "elbo": -1.0, "findings": ["none"]})
    return run


@pytest.fixture
def copy(whole_run: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may damage."""
    return shutil.copytree(whole_run, tmp_path / "run")


@pytest.fixture(scope="module")
def bundle(whole_run: Path):
    """The undamaged model of the run."""
    return load_bundle(whole_run, "cpu")


def damage(file: Path, form: str) -> None:
    """Replace a file by one of the damaged forms."""
    content = FORMS[form]
    whole = file.read_bytes()
    file.unlink()
    if content == "folder":
        file.mkdir()
    elif content == "cut":
        file.write_bytes(whole[: len(whole) // 2])
    elif content is not None:
        file.write_bytes(content)


def read_fit(folder: Path, bundle) -> None:
    """Use a fit as the verbs do."""
    kind = folder.parent.name
    if kind == "attribute":
        load_attribute(folder, bundle)
    elif kind == "anomaly":
        anomaly(bundle, ["a man rides a wave."], folder)
    elif kind == "prior":
        load_prior(folder, bundle)
    else:
        NeighborIndex(bundle, folder).neighbors(["a man rides a wave."], k=3)


def test_every_file_of_a_run_is_damaged_in_these_tests(whole_run):
    """A file that a later version adds has to be listed here."""
    fits = [f"{fit}/{name}" for fit, names in FITS.items() for name in names]
    listed = {*MODEL_FILES, *RECORDS, *SPLITS, *fits, *UNREAD, "settings.yaml"}
    found = {path.relative_to(whole_run).as_posix() for path in whole_run.rglob("*.*")}
    assert found - listed == set()
    assert {"corpus/test.arrow", "fitted/index/default/vectors.faiss"} <= found


def test_an_undamaged_run_is_read(whole_run, bundle):
    """The checks refuse nothing that training and fitting write."""
    for name in RECORDS:
        assert Run(whole_run).read_json(name)
    for fit in FITS:
        read_fit(whole_run / fit, bundle)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_damaged_file_of_the_model_is_refused(copy, name, form):
    """The message says what to do; a model is never loaded with other options than it had."""
    damage(copy / name, form)
    if (name, form) == ("tokenizer_config.json", "missing"):
        pytest.skip("tokenizer.json alone is enough if its special tokens are those of the model")
    with pytest.raises(CheckpointError, match=r"[Cc]opy |[Tt]rain|holds no|not a text VAE|config"):
        load_bundle(copy, "cpu")


@pytest.mark.parametrize("form", [form for form in FORMS if form != "missing"])
@pytest.mark.parametrize("name", RECORDS)
def test_a_damaged_record_is_refused(copy, name, form):
    """The message names the file and says how to get it again."""
    if (name, form) in (("training.json", "wrong keys"), ("measures.json", "wrong keys")):
        pytest.skip("all of its entries are optional")
    damage(copy / name, form)
    with pytest.raises(
        CheckpointError, match=rf"{name}: is damaged \(.*\)\. (Copy|Remove)"
    ) as found:
        Run(copy).read_json(name)
    assert len(str(found.value)) < 600


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SPLITS)
def test_a_damaged_split_is_refused(copy, name, form):
    """Its file is named."""
    damage(copy / name, form)
    with pytest.raises(CheckpointError, match=r"is missing or damaged|has no \w+ split"):
        Run(copy).open_split(Path(name).stem)


@pytest.mark.parametrize("form", FORMS)
def test_damaged_settings_are_refused(copy, form):
    """The folder is then no run, and nothing in it is replaced."""
    if form == "wrong keys":
        pytest.skip("see the next test")
    damage(copy / "settings.yaml", form)
    with pytest.raises(CheckpointError, match=r"settings\.yaml"):
        Run(copy).read_settings()
    assert not is_run(copy)


def test_settings_of_another_program_are_refused(copy):
    """The message names the file and the key."""
    damage(copy / "settings.yaml", "wrong keys")
    with pytest.raises(CheckpointError, match=r"settings\.yaml: does not hold the settings.*a is"):
        Run(copy).read_settings()


FIT_FILES = [(fit, name) for fit, names in FITS.items() for name in names]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("fit", "name"), FIT_FILES)
def test_a_damaged_fit_is_refused(copy, bundle, fit, name, form):
    """The message says to fit it again."""
    damage(copy / fit / name, form)
    with pytest.raises(
        CheckpointError, match=r"[Ff]it it again|was fitted there|expected a fitted"
    ):
        read_fit(copy / fit, bundle)


def change_tensors(file: Path, change) -> None:
    """Change the tensors in a file."""
    save_file(change(load_file(file)), file)


TENSOR_CHANGES = {
    "other names": lambda tensors: {f"x{name}": value for name, value in tensors.items()},
    "no tensors": lambda tensors: {"unused": torch.zeros(1)},
    "other shapes": lambda tensors: {
        name: torch.zeros(2, 3, 5, 7) for name, value in tensors.items()
    },
    "NaN": lambda tensors: {
        name: torch.full_like(value, torch.nan) for name, value in tensors.items()
    },
    "infinity": lambda tensors: {
        name: torch.full_like(value, torch.inf) for name, value in tensors.items()
    },
}


@pytest.mark.parametrize("change", TENSOR_CHANGES)
@pytest.mark.parametrize("fit", [fit for fit in FITS if "index" not in fit])
def test_a_fit_with_other_tensors_is_refused(copy, bundle, fit, change):
    """Names, shapes and values are checked before the fit is used."""
    change_tensors(copy / fit / "tensors.safetensors", TENSOR_CHANGES[change])
    with pytest.raises(CheckpointError, match=r"is damaged .*fit it again"):
        read_fit(copy / fit, bundle)


WRONG_VALUES: list[Any] = [None, "x", [], {}, True, -1, 1e30]


@pytest.mark.parametrize("value", WRONG_VALUES, ids=repr)
@pytest.mark.parametrize(
    ("fit", "key"),
    [
        ("fitted/attribute/two", "away"),
        ("fitted/attribute/two", "accuracy"),
        ("fitted/attribute/two", "folds"),
        ("fitted/anomaly/default", "score"),
        ("fitted/anomaly/default", "draws"),
        ("fitted/anomaly/default", "seed"),
        ("fitted/prior/gaussian_mixture", "prior"),
        ("fitted/prior/gaussian_mixture", "sizes"),
        ("fitted/index/default", "sentences"),
        ("fitted/index/default", "kind"),
        ("fitted/index/default", "model"),
    ],
)
def test_a_fit_with_a_wrong_entry_is_refused(copy, bundle, fit, key, value):
    """The entries that nothing is computed from may be of any size."""
    if key == "accuracy" and value in (-1, 1e30) and value is not True:
        pytest.skip("it is shown as it is")
    if key in ("folds",) and value == -1 and value is not True:
        pytest.skip("it is shown as it is")
    if key == "away" and value == "x":
        pytest.skip("it is a name")
    file = copy / fit / "fitted.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    with pytest.raises(CheckpointError, match=r"fit it again|expected a fitted"):
        read_fit(copy / fit, bundle)


@pytest.mark.parametrize("sizes", [{"latent": 10**12}, {"components": 10**12}, {"more": 1}])
def test_a_prior_of_other_sizes_takes_no_memory(copy, bundle, sizes):
    """Its tensors have other shapes, which is noticed before anything is allocated."""
    file = copy / "fitted/prior/gaussian_mixture/fitted.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "sizes": {**record["sizes"], **sizes}}))
    with pytest.raises(CheckpointError, match="fit it again"):
        read_fit(file.parent, bundle)


@pytest.mark.parametrize("name", ["rows.arrow", "vectors.faiss"])
def test_the_files_of_another_index_are_refused(copy, bundle, name, tmp_path):
    """Its rows would be those of other sentences."""
    vae = TextVAE.from_pretrained(copy, "cpu")
    vae.index(SENTENCES[:7], name="other")
    shutil.copy(copy / "fitted/index/other" / name, copy / "fitted/index/default" / name)
    record = copy / "fitted/index/default/fitted.json"
    with pytest.raises(CheckpointError, match=r"(Index size|has changed).*fit it again"):
        read_fit(record.parent, bundle)
    # An index of an earlier version has no checksum.
    entries = json.loads(record.read_text())
    entries.pop("checksum")
    record.write_text(json.dumps(entries))
    with pytest.raises(CheckpointError, match=r"(Index size|do not belong together).*fit it again"):
        read_fit(record.parent, bundle)


RECORD_CHANGES = [
    ("corpus/counts.json", {"tokenized": {}}),
    ("corpus/counts.json", {"tokenized": []}),
    ("corpus/counts.json", {"tokenized": {"train": {"sentences": 0, "words": 0, "tokens": 0}}}),
    ("training.json", {"history": 3}),
    ("training.json", {"history": [3]}),
    ("training.json", {"history": [{"kl": 1.0}]}),
    ("training.json", {"history": [{"step": 1, "kl": "x"}]}),
    ("training.json", {"history": [{"step": "1"}]}),
    ("training.json", {"seconds": "long"}),
    ("training.json", {"seconds": None}),
    ("training.json", {"steps": -1}),
    ("training.json", {"steps": 1.5}),
    ("training.json", {"kl_before_refit": []}),
    ("training.json", {"stream": []}),
    ("measures.json", {"elbo": {}}),
    ("measures.json", {"kl": "x"}),
    ("measures.json", {"bleu": [1.0]}),
    ("measures.json", {"active_units": True}),
    ("measures.json", {"prior_samples": "many"}),
    ("measures.json", {"iw_samples": "many"}),
    ("measures.json", {"findings": "none"}),
    ("measures.json", {"advice": [1]}),
    ("measures.json", {"verdict": 3}),
    ("model_summary.json", {"samples": "x"}),
    ("model_summary.json", {"points": [[1.0]]}),
    ("model_summary.json", {"points": "x"}),
    ("model_summary.json", {"kl_by_dimension": ["x"]}),
    ("model_summary.json", {"reconstructions": [["a"]]}),
    ("model_summary.json", {"interpolation": [1]}),
]


@pytest.mark.parametrize(("name", "change"), RECORD_CHANGES, ids=str)
def test_a_record_with_an_entry_of_another_type_is_refused(copy, name, change):
    """It would fail only where the entry is used, perhaps after a long evaluation."""
    record = json.loads((copy / name).read_text())
    (copy / name).write_text(json.dumps({**record, **change}))
    with pytest.raises(CheckpointError, match=f"{name}: is damaged"):
        Run(copy).read_json(name)


def test_a_damaged_record_is_replaced_by_new_measures(copy, capsys):
    """They may have taken hours to compute; a note says what was replaced."""
    (copy / "measures.json").write_text("{")
    Run(copy).update("measures.json", lambda saved: {**saved, "elbo": -1.0})
    assert Run(copy).read_json("measures.json") == {"elbo": -1.0}
    assert "measures.json: is damaged" in capsys.readouterr().err


GENERATION_CHANGES = [
    {"max_new_tokens": None},
    {"max_new_tokens": 0},
    {"max_new_tokens": -3},
    {"max_new_tokens": 10**9},
    {"max_new_tokens": "x"},
    {"temperature": 0.0},
    {"temperature": -1.0},
    {"temperature": "hot"},
    {"top_p": 0.0},
    {"top_p": 2.0},
    {"top_k": -1},
    {"num_beams": 0},
    {"num_beams": 10**9},
    {"eos_token_id": 1},
    {"eos_token_id": "x"},
    {"bos_token_id": 1e30},
    {"pad_token_id": [0]},
    {"pad_token_id": False},
    {"stop_strings": ["a"]},
    {"num_return_sequences": 5},
    {"repetition_penalty": -1.0},
    {"repetition_penalty": "x"},
    {"min_length": 4},
    {"forced_eos_token_id": 7},
    {"return_dict_in_generate": True},
]


@pytest.mark.parametrize("change", GENERATION_CHANGES, ids=str)
def test_decoding_options_that_no_text_can_be_written_with_are_refused(copy, change):
    """The message names the file."""
    file = copy / "generation_config.json"
    record = {**json.loads(file.read_text()), **change}
    file.write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match=r"generation_config\.json|cannot be loaded"):
        load_bundle(copy, "cpu")


def test_decoding_options_of_transformers_that_work_are_accepted(copy):
    """A user may have added them; those that are switched off are in files of some releases."""
    file = copy / "generation_config.json"
    options = {"repetition_penalty": 1.5, "num_beam_groups": 1, "output_scores": False}
    file.write_text(json.dumps({**json.loads(file.read_text()), **options}))
    assert TextVAE.from_pretrained(copy, "cpu").generate(1)


def test_the_tokenizer_of_another_model_is_refused(copy, tmp_path):
    """Its tokens stand for other words."""
    from tests.tiny import tiny_vae

    tiny_vae().save_pretrained(tmp_path / "other")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tmp_path / "other" / name, copy / name)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: has \d+ tokens, and the model"):
        load_bundle(copy, "cpu")


@pytest.mark.parametrize(
    "change",
    [{"pad_token": "<eos>"}, {"bos_token": "<eos>", "eos_token": "<bos>"}, {"eos_token": None}],
    ids=str,
)
def test_a_tokenizer_with_other_special_tokens_is_refused(copy, change):
    """Texts would begin or end at the wrong token."""
    file = copy / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(CheckpointError, match=r"_token_id|tokens, and the model|cannot be loaded"):
        load_bundle(copy, "cpu")


def write_split(file: Path, **changes) -> None:
    """Write a split again with other columns."""
    columns = Dataset.from_file(str(file)).to_dict()
    table = pa.table({**columns, **changes})
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize("token", [-1, 10**6])
@pytest.mark.parametrize("verb", ["doctor", "train"])
def test_a_corpus_of_another_model_is_refused(copy, capsys, token, verb):
    """A token that the model does not know would be an index outside its embedding."""
    file = copy / "corpus" / "validation.arrow"
    rows = len(Dataset.from_file(str(file)))
    write_split(file, input_ids=pa.array([[token]] * rows, pa.list_(pa.int32())))
    arguments = [verb, str(copy)]
    if verb == "train":
        arguments = ["train", "--output", str(copy), "--resume", "training.steps=13"]
    assert main(arguments) == 2
    assert "the corpus belongs to another model" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["text", "input_ids", "length", "words", "bytes"])
def test_a_split_with_a_column_of_another_type_is_refused(copy, name):
    """The file is whole, but not one that preparation has written."""
    file = copy / "corpus" / "test.arrow"
    rows = len(Dataset.from_file(str(file)))
    write_split(file, **{name: np.zeros(rows)})
    with pytest.raises(CheckpointError, match=f"its column {name} is missing or of another type"):
        Run(copy).open_split("test")


STREAM_RECORDS = [
    *(form for form in FORMS.values() if isinstance(form, bytes)),
    b'{"files": "abc", "held_out": []}',
    b'{"files": [1], "held_out": []}',
    b'{"files": ["a"], "held_out": "x"}',
    b'{"files": ["a"], "held_out": ["x"]}',
    b'{"files": ["a"]}',
]


@pytest.mark.parametrize("content", STREAM_RECORDS, ids=lambda content: repr(content[:30]))
def test_a_damaged_record_of_a_stream_is_refused(copy, bundle, content):
    """The message names the file."""
    (copy / "corpus" / "stream.json").write_bytes(content)
    run = Run(copy)
    settings = run.read_settings()
    corpus = open_corpus(copy / "corpus", settings.data)
    with pytest.raises(CheckpointError, match=r"stream\.json: is damaged"):
        corpus.open_batches(settings.training, bundle.collator, SINGLE_PROCESS)


VERBS = [["info"], ["info", "--json"], ["score", "FILE", "--samples", "2"], ["generate", "-n", "1"]]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer.json"])
def test_a_verb_of_a_damaged_run_exits_with_2(copy, capsys, tmp_path, name, verb):
    """The message is one line on standard error."""
    damage(copy / name, "deep list")
    file = tmp_path / "texts.txt"
    file.write_text("a man rides a wave.\n")
    words = [str(file) if word == "FILE" else word for word in verb]
    assert main([words[0], str(copy), *words[1:]]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.strip().splitlines()) == 1
