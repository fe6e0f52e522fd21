"""Pretrained parts in training: restart, checkpointing, cuts between layers, damaged words."""

import copy
from contextlib import nullcontext

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.activations import NewGELUActivation

from tests.model.pretrained.families import (
    CAUSAL,
    CORPUS,
    ENCODERS,
    SEQ2SEQ,
)
from tests.model.pretrained.test_contract import LATENT, batch_of, build
from textvae.errors import ConfigError
from textvae.model.architectures import fuse_activations
from textvae.model.bases.settings import STATE_SCALE
from textvae.model.configuration import TextVAEConfig
from textvae.model.decoders import side_tuned
from textvae.model.encoders.recurrent import run_layers
from textvae.model.kernels.dropout import Dropout
from textvae.model.modeling import TextVAEModel
from textvae.objective.techniques import ModelFacts, Progress
from textvae.objective.techniques.base import EncoderTokens
from textvae.objective.techniques.denoising import Denoising, DenoisingSettings
from textvae.settings.training import TrainingSettings
from textvae.training.decoder_restart import restart_decoder
from textvae.training.optimizer import build_optimizer, group_parameters

MIDDLE = Progress(step=50, fraction=0.5)


def trained_once(bundle):
    """Return a model and its optimizer after two steps."""
    model = bundle.model.train()
    optimizer = build_optimizer(model, TrainingSettings())
    for _ in range(2):
        torch.manual_seed(2)
        model.zero_grad()
        model(**batch_of(bundle)).loss.backward()
        optimizer.step()
    return model, optimizer


@pytest.mark.parametrize(("decoder", "entry"), [("llama", 0.0), ("gpt2", 0.5), ("t5", 0.0)])
def test_a_restart_gives_new_weights_only_to_adapters_and_conditioning(bases, decoder, entry):
    """The base and the encoder stay; the adapters add nothing, as at the start."""
    conditioning = ["output"] if decoder == "t5" else ["memory", "prefix"]
    bundle = build(bases, decoder=decoder, conditioning=conditioning, entry=entry)
    model, optimizer = trained_once(bundle)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    restart_decoder(model, optimizer, seed=1)
    assert torch.equal(random, torch.get_rng_state())
    after = model.state_dict()
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    adapters = {name for name in after if "decoder" in name and "lora_" in name}
    if decoder == "t5":  # nothing runs through these
        adapters -= {name for name in adapters if "EncDecAttention" in name}
    assert changed == adapters | {name for name in after if name.startswith("conditioning.")}
    assert all(not after[name].any() for name in changed if "lora_B" in name)
    groups = group_parameters(model)
    kept = [*groups["pretrained encoder"], *groups["encoder"]]
    assert {id(value) for value in optimizer.state} == {id(value) for value in kept}


def test_a_restart_depends_only_on_its_seed(bases):
    """All processes of a run get the same weights."""
    bundle = build(bases, conditioning=["memory", "output"])
    model, optimizer = trained_once(bundle)
    other = copy.deepcopy(model)
    restart_decoder(model, optimizer, seed=1)
    torch.manual_seed(99)
    restart_decoder(other, build_optimizer(other, TrainingSettings()), seed=1)
    torch.testing.assert_close(model.state_dict(), other.state_dict(), rtol=0, atol=0)
    restart_decoder(other, build_optimizer(other, TrainingSettings()), seed=2)
    name = "conditioning.memory.map.weight"
    assert not torch.equal(model.state_dict()[name], other.state_dict()[name])


def test_a_restarted_decoder_that_is_trained_as_a_whole_keeps_its_weights(bases):
    """There are no adapters, so only the conditioning starts again."""
    model, optimizer = trained_once(build(bases, conditioning=["output"], train="all"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    restart_decoder(model, optimizer, seed=1)
    changed = [name for name, value in model.state_dict().items() if (value != before[name]).any()]
    assert {name.split(".")[0] for name in changed} == {"conditioning"}


@pytest.mark.parametrize("train", ["all", "lora", "none"])
@pytest.mark.parametrize(("decoder", "entry"), [("llama", 0.5), ("gpt2", 0.0), ("t5", 0.0)])
def test_checkpointing_changes_no_gradient(bases, decoder, entry, train):
    """States that are computed again are the same; adapters of frozen layers get gradients, too."""
    gradients = []
    conditioning = ["cross_attention"] if decoder == "t5" else ["prefix", "embedding"]
    for is_on in (False, True):
        settings = {"train": train, "gradient_checkpointing": is_on}
        bundle = build(
            bases,
            decoder=decoder,
            conditioning=conditioning,
            entry=entry,
            encoder_settings=settings,
            **settings,
        )
        model = bundle.model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        torch.manual_seed(3)
        model(**batch_of(bundle)).loss.backward()
        gradients.append({name: value.grad for name, value in model.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        if gradient is None:
            assert gradients[1][name] is None, name
        else:
            torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("train", ["all", "lora"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_trained_weight_of_an_encoder_gets_a_gradient(bases, encoder, train):
    """DDP stops at a parameter without one."""
    bundle = build(bases, encoder=encoder, encoder_settings={"train": train})
    assert list_without_gradient(bundle) == []


@pytest.mark.parametrize("train", ["all", "lora", "none"])
@pytest.mark.parametrize(
    ("decoder", "conditioning"),
    [
        *[(family, name) for family in sorted(set(CAUSAL)) for name in ("memory", "output")],
        *[(family, name) for family in SEQ2SEQ for name in ("cross_attention", "output")],
    ],
)
def test_every_trained_weight_of_a_decoder_gets_a_gradient(bases, decoder, conditioning, train):
    """DDP stops at a parameter without one."""
    bundle = build(bases, decoder=decoder, conditioning=[conditioning], train=train)
    assert list_without_gradient(bundle) == []


def list_without_gradient(bundle):
    """Return the names of trained weights that get no gradient from a batch."""
    model = bundle.model.train()
    model(**batch_of(bundle)).loss.backward()
    return [
        name
        for name, value in model.named_parameters()
        if value.requires_grad and value.grad is None
    ]


@pytest.mark.parametrize("entry", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("family", sorted(set(CAUSAL) - {"bloom"}))
def test_a_decoder_that_is_cut_computes_what_its_base_does(bases, family, entry):
    """Building checks this on the weights of the base, and there are layers on both sides."""
    bundle = build(bases, decoder=family, conditioning=["output"], entry=entry)
    decoder = bundle.model.decoder
    assert 1 <= decoder.language_model.cut <= 3


def test_an_architecture_that_normalizes_its_embeddings_is_not_cut(bases):
    """The upper part would do it again."""
    with pytest.raises(ConfigError, match="a bloom model cannot be cut between its layers"):
        build(bases, decoder="bloom", conditioning=["output"], entry=0.5)


def test_the_memory_starts_as_what_the_base_has_for_its_first_token(bases):
    """There is no noise of dropout in it."""
    bundle = build(bases, decoder="gpt2", conditioning=["memory"], entry=0.5)
    mask = torch.ones(1, 1, dtype=torch.long)
    decoder = bundle.model.decoder
    start = torch.tensor([[bundle.tokenizer.bos_token_id]])
    states = decoder.compute_lower_states(decoder.embed(start), mask)
    memory = decoder.memory.compute_from_states(decoder.language_model.upper, states)
    start_memory = bundle.model.conditioning["memory"].map.bias
    torch.testing.assert_close(start_memory, memory.flatten())


@pytest.mark.parametrize("damage", ["deletion", "blank"])
@pytest.mark.parametrize("family", ["bert", "t5"])
def test_denoising_damages_only_words_of_an_encoder_with_its_own_tokens(bases, family, damage):
    """What stays are words of the sentence, in their order, and what the tokenizer adds."""
    bundle = build(bases, encoder=family)
    tokenizer = bundle.encoder_tokenizer
    assert tokenizer is not None
    own = EncoderTokens((40, 50), blank_id=7, pad_id=tokenizer.pad_id)
    facts = ModelFacts(
        latent=4,
        vocab=len(bundle.tokenizer),
        start_id=bundle.tokenizer.bos_token_id,
        blank_id=0,
        end_id=bundle.tokenizer.eos_token_id,
        pad_id=bundle.tokenizer.pad_token_id,
        own_encoder_tokens=own,
    )
    batch = batch_of(bundle)
    ids, mask = batch["encoder_input_ids"].clone(), batch["encoder_attention_mask"]
    ids[:, 0] = 40
    ids[torch.arange(len(ids)), mask.sum(1) - 1] = 50
    batch["encoder_input_ids"] = ids
    technique = Denoising(DenoisingSettings(rate=0.9, damage=damage), facts)
    torch.manual_seed(0)
    damaged = technique.corrupt(batch, MIDDLE)
    rows = zip(
        ids, mask, damaged["encoder_input_ids"], damaged["encoder_attention_mask"], strict=True
    )
    for old, old_mask, new, new_mask in rows:
        before = old[old_mask.bool()].tolist()
        after = new[new_mask.bool()].tolist()
        assert (after[0], after[-1]) == (40, 50)
        if damage == "blank":
            assert len(after) == len(before)
            changed = [b for a, b in zip(before, after, strict=True) if a != b]
            assert changed
            assert set(changed) == {7}
        else:
            assert 3 <= len(after) < len(before)
            remaining = iter(before)
            assert all(token in remaining for token in after)  # a subsequence
        assert set(new[~new_mask.bool()].tolist()) <= {own.pad_id}


def test_the_special_tokens_of_an_encoder_come_from_its_tokenizer(bases):
    """A byte-level tokenizer adds none, and hides words by the token under padding."""
    tokenizer = build(bases).encoder_tokenizer
    assert tokenizer is not None
    assert tokenizer.frame_ids == ()
    assert tokenizer.blank_id == tokenizer.pad_id
    assert len(tokenizer.encode(CORPUS)[0]) == len(CORPUS)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "cohere"])
def test_a_side_tuned_decoder_starts_as_its_language_model(bases, family, monkeypatch):
    """As built, it gives the logits of its base on the tokens that both have, whatever z is."""
    monkeypatch.setattr(side_tuned, "compute_in_bf16", lambda device: nullcontext())
    folder = bases("decoder", family)
    bundle = build(bases, decoder=family, conditioning=["every_step"], entry="side", trim=False)
    bundle.model.decoder.reset_new_weights()
    base = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = torch.tensor([[3, 9, 12, 40, 41], [7, 5, 4, 30, 60]])
    logits = bundle.model(input_ids=ids, latent=torch.randn(2, LATENT)).logits
    expected = base(input_ids=ids).logits
    torch.testing.assert_close(logits[..., : expected.shape[-1]], expected, rtol=1e-3, atol=1e-3)


def test_the_language_model_of_a_side_tuned_decoder_never_trains(bases):
    """No weight of it has a gradient, and it stays in evaluation mode."""
    bundle = build(bases, conditioning=["every_step", "output"], entry="side")
    model = bundle.model.train()
    model(**batch_of(bundle)).loss.backward()
    frozen = {name for name, value in model.decoder.named_parameters() if value.grad is None}
    assert frozen == {
        name for name, _ in model.decoder.named_parameters() if name.startswith("language_model.")
    }


def test_the_language_model_of_a_side_tuned_decoder_has_no_dropout(bases):
    """Its states are computed once for a corpus, or in each step; both have to be the same."""
    bundle = build(bases, decoder="gpt2", conditioning=["every_step"], entry="side")
    decoder = bundle.model.train().decoder
    assert not [module for module in decoder.language_model.modules() if module.training]
    assert decoder.dropout.training


def test_a_side_tuned_decoder_refuses_a_decoder_with_cross_attention(bases):
    """The message says what to choose."""
    with pytest.raises(ConfigError, match="choose a causal language model"):
        build(bases, decoder="t5", conditioning=["output"], entry="side")


@pytest.mark.parametrize(("recorded", "scale"), [(True, STATE_SCALE), (False, 1.0)])
def test_new_layers_read_small_states_of_the_bases(bases, recorded, scale, monkeypatch):
    """Those of unit size belong to models of earlier releases, whose records have no scale."""
    bundle = build(
        bases,
        conditioning=["every_step"],
        entry="side",
        encoder_settings={"train": "none", "lstm": 6},
    )
    config = bundle.model.config.to_dict()
    if not recorded:
        for part in ("encoder_settings", "decoder_settings"):
            del config[part]["base"]["state_scale"]
    model = TextVAEModel(TextVAEConfig(**config))
    model.load_state_dict(bundle.model.state_dict(), strict=False)
    read = []
    model.decoder.read.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))

    def run_and_record(states, *rest):
        read.append(states)
        return run_layers(states, *rest)

    monkeypatch.setattr("textvae.model.encoders.pretrained.run_layers", run_and_record)
    batch = batch_of(bundle)
    model.eval()(**batch)
    assert len(read) == 2
    for states, mask in zip(
        read, (batch["encoder_attention_mask"], batch["attention_mask"]), strict=True
    ):
        for half in states[mask.bool()].chunk(2, dim=-1):
            size = half.square().mean(-1).sqrt()
            torch.testing.assert_close(size, torch.full_like(size, scale), rtol=1e-3, atol=0)


def test_a_restart_gives_new_weights_to_the_network_at_the_side(bases):
    """The language model stays, and the decoder adds nothing to it."""
    bundle = build(bases, conditioning=["every_step", "output"], entry="side")
    model, optimizer = trained_once(bundle)
    before = {name: value.clone() for name, value in model.decoder.named_parameters()}
    restart_decoder(model, optimizer, seed=1)
    assert not model.decoder.write.weight.any()
    for name, value in model.decoder.named_parameters():
        is_kept = name.startswith("language_model.")
        assert torch.equal(value, before[name]) == is_kept, name


@pytest.mark.parametrize(("encoder", "decoder"), [("bert", "gpt2"), ("t5", "t5"), ("bart", "bart")])
def test_the_dropout_of_a_base_is_the_fast_one(bases, encoder, decoder):
    """On a CPU, that of torch takes as long as the rest of a step of a small model."""
    model = build(bases, encoder=encoder, decoder=decoder, conditioning=["output"]).model
    kinds = {type(module) for module in model.modules() if isinstance(module, torch.nn.Dropout)}
    assert kinds == {Dropout}


def test_the_activation_of_gpt2_is_the_same_in_one_pass():
    """Values and gradients agree up to rounding."""
    states = torch.linspace(-6, 6, 1001, requires_grad=True)
    layer = torch.nn.Sequential(NewGELUActivation())
    expected = layer(states)
    [expected_gradient] = torch.autograd.grad(expected.sum(), states)
    computed = fuse_activations(layer)(states)
    [gradient] = torch.autograd.grad(computed.sum(), states)
    assert type(layer[0]) is torch.nn.GELU
    torch.testing.assert_close(computed, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=1e-5)
