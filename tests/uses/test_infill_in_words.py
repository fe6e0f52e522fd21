"""Blanks within words, for models whose tokens are characters or bytes: molecules, for example."""

import pytest

from tests.tiny import tiny_model
from tests.uses.test_infill import FEW_OF
from textvae.data.tokenization import TokenizerSettings, build_tokenizer, encode_batch
from textvae.uses.infill.infill import METHODS
from textvae.uses.infill.template import parse_template
from textvae.vae import TextVAE

MOLECULES = ["CC(C)(C)C(=O)Oc1ccccc1", "C[C@H](N)C(=O)O", "c1ccc2ccccc2c1 O", "CCN(CC)CC.Cl"]


@pytest.fixture(scope="module", params=["character", "byte"])
def vae(request):
    """A tiny model of molecules."""
    settings = TokenizerSettings(kind=request.param, min_frequency=1)
    tokenizer = build_tokenizer(settings, MOLECULES)
    vae = TextVAE(tiny_model(vocab=len(tokenizer), seed=1), tokenizer)
    vae.model.generation_config.update(max_new_tokens=40)
    return vae


TEMPLATES = [
    "CC(C)(C)___c1ccccc1",
    "___c1ccccc1",
    "CC(C)___",
    "CC(___)C",
    "C___C(=O)___O",
    "C[___](N)C(=O)O",
    "CCO.___.Cl",
    "CC___C O",
]


@pytest.mark.parametrize("text", TEMPLATES)
def test_everything_around_a_blank_in_a_word_stays(vae, text):
    """No space is inserted, neither around the blank nor into it."""
    rows = vae.infill(text, n=3, most_tokens=3, latents=2, beams=4)
    assert rows
    for row in rows:
        assert row["text"] == text.replace("___", "{}").format(*row["fills"])
        assert all(1 <= len(fill) <= 3 and " " not in fill for fill in row["fills"])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_fills_blanks_in_words(vae, method):
    """Also those that encode the sentence with its fills again."""
    rows = vae.infill("CC(C)___c1ccccc1", n=2, method=method, **FEW_OF[method])
    assert all(row["text"].startswith("CC(C)") for row in rows)


def test_the_visible_sentence_has_no_space_in_a_word(vae):
    """The latents are those of the visible parts, not of two words."""
    template = parse_template(vae.bundle, "CC(C)___c1ccccc1 ___ O")
    assert template.visible_sentence == "CC(C)c1ccccc1 O"
    assert template.are_in_words == [True, False]
    (ids,) = encode_batch(vae.tokenizer, ["CC(C)c1ccccc1  O"])
    assert [token for part in template.visible_tokens for token in part] == ids


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a man ___ .", [False]),
        ("a man ___.", [False]),
        ("(___) C", [False]),
        ("C(___)(___)", [True, True]),
        ("C ___ c___", [False, True]),
        ("我___人 C", [True]),
        ("well-___ C", [True]),
    ],
)
def test_a_blank_is_in_a_word_if_no_space_is_between_it_and_a_letter(text, expected):
    """Marks alone do not make a word."""
    tokenizer = build_tokenizer(TokenizerSettings(kind="byte"), [])
    vae = TextVAE(tiny_model(vocab=len(tokenizer)), tokenizer)
    assert parse_template(vae.bundle, text).are_in_words == expected
