"""How the folders of sentence-transformers say that states become one vector."""

import json

import pytest

from textvae.errors import ConfigError
from textvae.model.bases.pooling import Pooling, check_plain_texts, describe_pooling

TRANSFORMER = ("", "sentence_transformers.models.Transformer")
POOLING = ("1_Pooling", "sentence_transformers.models.Pooling")
NORMALIZE = ("2_Normalize", "sentence_transformers.models.Normalize")


@pytest.fixture
def write(tmp_path):
    """Return a function that writes the files of a sentence encoder, and returns its folder."""

    def write_folder(*modules, pooling=None, **files):
        entries = [{"path": path, "type": kind} for path, kind in modules]
        (tmp_path / "modules.json").write_text(json.dumps(entries))
        (tmp_path / "1_Pooling").mkdir(exist_ok=True)
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
        for name, content in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return tmp_path

    return write_folder


def refused(folder, message):
    """Check that a folder is refused with a message."""
    with pytest.raises(ConfigError, match=message):
        describe_pooling(folder)


def test_a_folder_without_modules_has_no_pooling(tmp_path):
    """It is a plain model of transformers."""
    assert describe_pooling(tmp_path) is None


@pytest.mark.parametrize(
    ("entries", "names"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}, ("mean",)),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, ("cls", "mean")),
        ({"pooling_mode_lasttoken": True}, ("lasttoken",)),
        ({"pooling_mode": "max"}, ("max",)),
        ({"pooling_mode": ["mean", "cls"]}, ("mean", "cls")),
        ({}, ("mean",)),
    ],
)
def test_old_and_new_configs_of_a_pooling_are_read(write, entries, names):
    """Several poolings have the order in which their vectors are joined; the default is mean."""
    folder = write(TRANSFORMER, POOLING, pooling=entries)
    assert describe_pooling(folder) == Pooling(names, normalize=False, max_length=None)


def test_the_normalization_and_the_longest_text_are_read(write):
    """Texts are cut at that many tokens."""
    folder = write(
        TRANSFORMER,
        POOLING,
        NORMALIZE,
        pooling={},
        sentence_bert_config={"max_seq_length": 256, "do_lower_case": False},
    )
    assert describe_pooling(folder) == Pooling(("mean",), normalize=True, max_length=256)


def test_sentence_transformers_writes_what_is_read(tmp_path, bert):
    """The files of the installed release, not only of those before it."""
    library = pytest.importorskip("sentence_transformers")
    modules = pytest.importorskip("sentence_transformers.models")
    transformer = modules.Transformer(str(bert))
    pooling = modules.Pooling(8, pooling_mode=("cls", "max"))
    parts = [transformer, pooling, modules.Normalize()]
    library.SentenceTransformer(modules=parts, device="cpu").save(str(tmp_path / "saved"))
    found = describe_pooling(tmp_path / "saved")
    assert found is not None
    assert (found.names, found.normalize) == (("cls", "max"), True)


@pytest.mark.parametrize("kind", ["Dense", "LSTM", "WordEmbeddings", "Router"])
def test_a_module_that_changes_the_vector_is_refused(write, kind):
    """Leaving it out would give another vector than the model's authors meant."""
    other = ("2_Other", f"sentence_transformers.models.{kind}")
    refused(write(TRANSFORMER, POOLING, other, pooling={}), f"does not support the module '{kind}'")


def test_a_module_of_foreign_code_is_refused(write):
    """sentence-transformers would import it from the folder."""
    refused(write(("", "custom_st.Transformer"), POOLING, pooling={}), "never runs such code")


@pytest.mark.parametrize("mode", ["weightedmean", "mean_sqrt_len_tokens", "first", 3, []])
def test_a_pooling_that_is_not_supported_is_refused(write, mode):
    """The message lists those that are."""
    folder = write(TRANSFORMER, POOLING, pooling={"pooling_mode": mode})
    refused(folder, "expected some of cls, max, mean, lasttoken")


def test_a_path_out_of_the_folder_is_refused(write):
    """It could be any file of the machine."""
    outside = ("../1_Pooling", POOLING[1])
    refused(write(TRANSFORMER, outside, pooling={}), "leads out of the model's folder")


def test_modules_without_a_pooling_are_refused(write):
    """Nothing says how the states become one vector."""
    refused(write(TRANSFORMER, NORMALIZE), "has no pooling")


@pytest.mark.parametrize("content", ["{", '{"a": 1}', "[1]", ""])
def test_a_damaged_list_of_modules_is_refused(tmp_path, content):
    """It is cut short, or JSON of another kind."""
    (tmp_path / "modules.json").write_text(content)
    refused(tmp_path, "is not JSON|is not a list of modules")


def test_a_missing_config_of_the_pooling_is_refused(write):
    """The message names the file."""
    folder = write(TRANSFORMER, POOLING)
    (folder / "1_Pooling" / "config.json").unlink()
    refused(folder, r"1_Pooling/config\.json is missing")


@pytest.mark.parametrize(
    ("file", "entries", "is_cased", "words"),
    [
        ("config_sentence_transformers.json", {"default_prompt_name": "query"}, False, "prompt"),
        ("sentence_bert_config.json", {"do_lower_case": True}, True, "lowers all capitals"),
    ],
)
def test_an_encoder_that_changes_the_texts_is_refused(tmp_path, file, entries, is_cased, words):
    """Its embeddings would differ from those of sentence-transformers without a word."""
    (tmp_path / file).write_text(json.dumps(entries))
    with pytest.raises(ConfigError, match=words):
        check_plain_texts(tmp_path, is_cased=is_cased)


@pytest.mark.parametrize(
    ("file", "entries"),
    [
        (
            "config_sentence_transformers.json",
            {"default_prompt_name": None, "prompts": {"q": "q: "}},
        ),
        ("sentence_bert_config.json", {"do_lower_case": True}),
    ],
)
def test_an_encoder_that_keeps_the_texts_is_accepted(tmp_path, file, entries):
    """A tokenizer that lowers capitals itself makes `do_lower_case` superfluous."""
    (tmp_path / file).write_text(json.dumps(entries))
    check_plain_texts(tmp_path, is_cased=False)
