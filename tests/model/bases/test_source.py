"""Where a base is, what is read of it without its weights, and why it is refused."""

import json

import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from tests.model.bases.tiny_bases import save_gpt2
from textvae.errors import ConfigError
from textvae.model.bases.source import find_base

CARD = "---\nlicense: {license}\n---\n# A model\n"


def refused(name, message, revision=None):
    """Check that a name is refused with a message that begins with the setting."""
    with pytest.raises(ConfigError, match=message) as caught:
        find_base(str(name), "model.encoder.name", revision)
    assert str(caught.value).startswith("model.encoder.name")


def test_a_folder_is_described_without_its_weights(bert):
    """The number of parameters and their size are those of the loaded model."""
    base = find_base(str(bert), "model.encoder.name")
    parameters = sum(weight.numel() for weight in AutoModel.from_pretrained(bert).parameters())
    assert (base.parameters, base.bytes) == (parameters, 4 * parameters)
    assert (base.folder, base.revision, base.config.model_type) == (bert, None, "bert")


def test_weights_in_several_files_are_counted_together(tmp_path, gpt2):
    """The files that the index lists have the same tensors as the single file."""
    save_gpt2(tmp_path / "shards", shard_size="1KB")
    shards = find_base(str(tmp_path / "shards"), "s")
    whole = find_base(str(gpt2), "s")
    assert not (tmp_path / "shards" / "model.safetensors").exists()
    assert (shards.shapes, shards.bytes) == (whole.shapes, whole.bytes)


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        (CARD.format(license="apache-2.0"), "apache-2.0"),
        (CARD.format(license="other\nlicense_name: llama3"), "llama3"),
        (CARD.format(license="[mit, apache-2.0]"), "mit, apache-2.0"),
        ("# A model\n", None),
        ("---\nlicense: {\n---\n", None),
        ("---\n- a\n---\n", None),
    ],
)
def test_the_license_is_that_of_the_model_card(bert, card, expected):
    """It is in the first lines of the card; a damaged card has none."""
    (bert / "README.md").write_text(card)
    assert find_base(str(bert), "s").license == expected


def test_a_base_without_a_card_has_no_license(bert):
    """The license is unknown, which is no error."""
    assert find_base(str(bert), "s").license is None


@pytest.mark.parametrize(
    "name", ["", " ", "a\nb", "\x1b[31mred", "a\0b", "../nowhere", "a/../b", "a//b", "a/b/c"]
)
def test_a_name_of_neither_a_folder_nor_a_hub_model_is_refused(name):
    """Control characters are printed as escapes."""
    refused(name, "is unknown")


def test_a_file_is_refused(bert):
    """The message asks for its folder."""
    refused(bert / "model.safetensors", "is a file: name the folder")


def test_a_file_of_another_format_is_refused(tmp_path):
    """The message says how to convert it."""
    (tmp_path / "model.gguf").write_text("")
    refused(tmp_path / "model.gguf", "only as GGUF")


def test_a_folder_that_hides_a_model_of_the_hub_is_named(tmp_path, monkeypatch):
    """The user may have meant the model."""
    (tmp_path / "gpt2").mkdir()
    monkeypatch.chdir(tmp_path)
    refused("gpt2", r"'gpt2' \(a local folder\) holds no weights")


def test_a_folder_has_no_revision(bert):
    """A revision would be ignored."""
    refused(bert, "has no revision 'main'", revision="main")


def test_an_empty_folder_is_refused(tmp_path):
    """The message lists the files that were expected."""
    refused(tmp_path, "holds no weights; expected config.json and model.safetensors")


def test_the_folder_around_a_model_is_refused_with_the_inner_one(bert):
    """A folder above the model's, as older releases of sentence-transformers save it."""
    refused(bert.parent, "Its folder bert holds a config")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("pytorch_model.bin", "only as a pickle .* convert it once"),
        ("model-q4.gguf", "only as GGUF .* Convert them once"),
        ("tf_model.h5", "weights of TensorFlow only"),
        ("model.fp16.safetensors", "Rename it if it is the model"),
    ],
)
def test_weights_in_another_form_are_refused(bert, file, message):
    """The message says how to convert them."""
    (bert / "model.safetensors").rename(bert / file)
    refused(bert, message)


def test_an_adapter_is_refused(bert):
    """It is no model, and transformers would apply it unasked."""
    (bert / "adapter_config.json").write_text("{}")
    refused(bert, "an adapter is not a whole model. Merge it")


def test_weights_without_a_config_are_refused(bert):
    """Nothing says which architecture they belong to."""
    (bert / "config.json").unlink()
    refused(bert, "has weights, but no config.json")


@pytest.mark.parametrize("content", ["{", "[]", '"bert"', "\udcff", "[" * 100_000])
def test_a_config_that_is_no_config_is_refused(bert, content):
    """It is cut short, or JSON of another kind."""
    (bert / "config.json").write_bytes(content.encode(errors="surrogateescape"))
    refused(bert, "is not JSON|is not the config")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"model_type": "textvae"}, "is a run of textvae"),
        ({"model_type": "brandnew"}, "has the model_type 'brandnew', which transformers"),
        ({"model_type": None}, "has the model_type None"),
        ({"hidden_size": "eight"}, "does not describe a bert model"),
        ({"auto_map": {"AutoModel": "m.M"}}, "auto_map = .* never runs such code"),
        ({"quantization_config": {"quant_method": "gptq"}}, r"is quantized \(gptq\)"),
    ],
)
def test_a_config_of_another_kind_is_refused(bert, edit_json, entries, message):
    """It belongs to a run, an unknown architecture, foreign code or a quantized model."""
    edit_json(bert / "config.json", **entries)
    refused(bert, message)


def test_a_tokenizer_that_needs_code_is_refused(bert, edit_json):
    """Its own config asks for the code."""
    edit_json(bert / "tokenizer_config.json", auto_map={"AutoTokenizer": ["t.T", None]})
    refused(bert, "tokenizer_config.json: auto_map")


@pytest.mark.parametrize("size", [0, 7, 200])
def test_damaged_weights_are_refused(bert, size):
    """The file is empty, or cut in its header or in its tensors."""
    file = bert / "model.safetensors"
    file.write_bytes(file.read_bytes()[:size])
    refused(bert, "is damaged or cut short")


def test_a_pointer_of_git_lfs_is_refused(bert):
    """The message names the command that fetches the file."""
    (bert / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    refused(bert, "git lfs pull")


def test_a_missing_file_of_the_index_is_refused(tmp_path):
    """The message has its name."""
    save_gpt2(tmp_path, shard_size="1KB")
    missing = sorted(tmp_path.glob("*.safetensors"))[0]
    missing.unlink()
    refused(tmp_path, f"{missing.name} is missing")


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"weight_map": {}}', '{"weight_map": {"a": "../other/x.safetensors"}}']
)
def test_a_damaged_index_is_refused(bert, content):
    """It must list files of its own folder."""
    (bert / "model.safetensors").rename(bert / "model-00001-of-00001.safetensors")
    (bert / "model.safetensors.index.json").write_text(content)
    refused(bert, "is damaged|must list files")


def test_buffers_of_integers_are_not_parameters(bert):
    """Older checkpoints save the positions as a tensor."""
    before = find_base(str(bert), "s").parameters
    tensors = load_file(bert / "model.safetensors")
    tensors["embeddings.position_ids"] = tensors["embeddings.LayerNorm.weight"].long()
    save_file(tensors, bert / "model.safetensors", metadata={"format": "pt"})
    assert find_base(str(bert), "s").parameters == before


def test_the_config_of_a_base_is_its_own(gpt2):
    """Its entries are those of config.json."""
    entries = json.loads((gpt2 / "config.json").read_text())
    assert find_base(str(gpt2), "s").config.n_positions == entries["n_positions"]
