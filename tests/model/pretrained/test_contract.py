"""Every pretrained encoder, decoder and conditioning: build, save, load, train, generate."""

import shutil
from contextlib import nullcontext

import pytest
import torch

from tests.model.pretrained.families import (
    CAUSAL,
    CORPUS,
    ENCODERS,
    SEQ2SEQ,
)
from textvae.data.base_tokenizers import build_decoder_tokenizer
from textvae.data.encoder_tokenizer import ENCODER_TOKENIZER, EncoderTokenizer
from textvae.data.tokenization import TokenizerSettings, encode_batch, read_tokenizer
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle, save_bundle
from textvae.inference.decoding import build_decoding_settings, decode_latents
from textvae.inference.generate_arguments import build_generate_arguments
from textvae.model.building import build_model
from textvae.model.decoders import side_tuned
from textvae.model.decoders.side_tuned import SideTunedDecoder
from textvae.model.importance import log_importance_weights
from textvae.settings.run import ModelSettings

LATENT = 4
_ADDED = ("embedding", "prefix", "output")

# Each decoder with each conditioning that it supports, and where z enters: at the embeddings, at
# this share of the layers, or at the side.
DECODER_CASES = [
    *[(family, name, 0.0) for family in CAUSAL for name in (*_ADDED, "memory")],
    *[
        (family, name, 0.5)
        for family in ("gpt2", "llama", "qwen3", "gemma3")
        for name in (*_ADDED, "memory")
    ],
    *[
        (family, name, 0.0)
        for family in SEQ2SEQ
        for name in ("embedding", "output", "cross_attention")
    ],
    # z in a small network at the side of the whole language model.
    *[
        (family, name, "side")
        for family in CAUSAL
        for name in ("initial_state", "every_step", "output")
    ],
]

# Decoders that are saved and loaded again: with all weights trained, with adapters, and frozen.
SAVED_CASES = [
    *[
        (family, name, entry, train)
        for family, name, entry in (
            ("gpt2", "output", 0.0),
            ("gpt2", "prefix", 0.5),
            ("llama", "memory", 0.0),
            ("llama", "output", 0.5),
            ("qwen3", "memory", 0.5),
            ("gemma3", "embedding", 0.0),
            ("t5", "cross_attention", 0.0),
            ("bart", "cross_attention", 0.0),
        )
        for train in ("all", "lora", "none")
    ],
    ("gpt2", "output", "side", "none"),
    ("llama", "every_step", "side", "none"),
]
MERGED_CASES = [
    ("gpt2", "memory", 0.5),
    ("llama", "memory", 0.5),
    ("llama", "output", "side"),
    ("t5", "cross_attention", 0.0),
    ("bart", "cross_attention", 0.0),
]

# Each encoder with a decoder whose tokens are others, and with other ways of conditioning.
PAIRS = [
    ("bert", "gpt2", ("prefix", "output"), 0.0),
    ("roberta", "llama", ("memory", "output"), 0.5),
    ("mpnet", "gemma3", ("embedding", "output"), 0.0),
    ("modernbert", "qwen3", ("memory", "output"), 0.0),
    ("t5", "bart", ("cross_attention", "output"), 0.0),
    ("bart", "t5", ("cross_attention", "output"), 0.0),
    ("qwen3", "granite", ("initial_state", "every_step", "output"), "side"),
]


@pytest.fixture(autouse=True)
def _single_precision(monkeypatch):
    """Compute in single precision, so that the results of two ways agree closely."""
    monkeypatch.setattr(side_tuned, "compute_in_bf16", lambda device: nullcontext())


def build(bases, encoder="bert", decoder="llama", conditioning=("memory",), **changes):
    """Return a bundle with random bases, whose z makes a difference."""
    folder = bases("decoder", decoder)
    encoder_folder = bases("encoder", encoder)
    torch.manual_seed(1)  # after the bases, whose first use seeds, too
    tokenizer = build_decoder_tokenizer(
        TokenizerSettings(kind="pretrained", path=str(folder), trim=changes.pop("trim", "auto")),
        CORPUS,
    )
    encoder_settings = changes.pop("encoder_settings", {})
    decoder_settings = {"kind": "pretrained", "name": str(folder), **changes}
    if changes.get("entry") == "side":
        decoder_settings = {"kind": "side_tuned", "name": str(folder), "inputs": 8, "hidden": 8}
    settings = ModelSettings(
        latent_dim=LATENT,
        encoder={
            "kind": "pretrained",
            "name": str(encoder_folder),
            **encoder_settings,
        },
        decoder=decoder_settings,
        conditioning=tuple(conditioning),
    )
    model = build_model(settings, tokenizer).eval()
    for name, conditioning_map in model.conditioning.items():
        if name != "every_step":  # which passes z on as it is
            torch.nn.init.normal_(conditioning_map.map.weight, std=0.5)
    if isinstance(model.decoder, SideTunedDecoder):
        torch.nn.init.normal_(model.decoder.write.weight, std=0.5)
    model.generation_config.update(max_new_tokens=12, do_sample=True, top_k=0)
    encoder_tokenizer = EncoderTokenizer.from_base(read_tokenizer(encoder_folder), 64)
    return Bundle(model, tokenizer, encoder_tokenizer)


def batch_of(bundle):
    """Return a batch of sentences of unequal lengths."""
    return bundle.make_batch(encode_batch(bundle.tokenizer, CORPUS))


def decoder_batch(bundle):
    """Return a batch without what the encoder reads."""
    batch = batch_of(bundle)
    return {name: value for name, value in batch.items() if "encoder" not in name}


@pytest.mark.parametrize(("family", "conditioning", "entry"), DECODER_CASES)
def test_a_step_of_generate_continues_the_training_pass(bases, family, conditioning, entry):
    """Greedy texts are those whose every token is the likeliest in one teacher-forced pass."""
    bundle = build(bases, decoder=family, conditioning=[conditioning], entry=entry)
    z = torch.randn(3, LATENT)
    ids = bundle.model.generate(
        input_ids=torch.full((3, 1), bundle.tokenizer.bos_token_id),
        latent=z,
        do_sample=False,
        min_new_tokens=8,
        max_new_tokens=8,
        eos_token_id=None,
    )
    logits = bundle.model(input_ids=ids, latent=z).logits
    assert torch.equal(logits[:, :-1].argmax(-1), ids[:, 1:])


@pytest.mark.parametrize(("family", "conditioning", "entry"), DECODER_CASES)
def test_padding_on_the_left_changes_nothing(bases, family, conditioning, entry):
    """A prompt in a batch with a longer one has the logits that it has alone."""
    bundle = build(bases, decoder=family, conditioning=[conditioning], entry=entry)
    model = bundle.model
    z = torch.randn(1, LATENT)
    ids = torch.tensor([[bundle.tokenizer.bos_token_id, 5, 6, 7]])
    alone = model(input_ids=ids, latent=z).logits[:, -1]
    padded = torch.cat([torch.full((1, 3), bundle.tokenizer.pad_token_id), ids], 1)
    mask = torch.tensor([[0, 0, 0, 1, 1, 1, 1]])
    in_batch = model(input_ids=padded, attention_mask=mask, latent=z, use_cache=True).logits[:, -1]
    torch.testing.assert_close(in_batch, alone, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("family", "conditioning", "entry"), DECODER_CASES)
def test_beams_follow_their_state(bases, family, conditioning, entry):
    """The score of a beam is the likelihood of its text, and at least that of the greedy text."""
    bundle = build(bases, decoder=family, conditioning=[conditioning], entry=entry)
    z = torch.randn(24, LATENT)
    start = torch.full((24, 1), bundle.tokenizer.bos_token_id)
    options = {"latent": z, "do_sample": False, "min_new_tokens": 6, "max_new_tokens": 6}
    greedy = bundle.model.generate(input_ids=start, **options, eos_token_id=None)
    beams = bundle.model.generate(
        input_ids=start,
        **options,
        num_beams=4,
        length_penalty=0.0,
        eos_token_id=None,
        return_dict_in_generate=True,
        output_scores=True,
    )
    likelihood = score(bundle, beams.sequences, z)
    torch.testing.assert_close(beams.sequences_scores, likelihood, rtol=1e-3, atol=1e-3)
    is_better = likelihood >= score(bundle, greedy, z) - 1e-3
    assert is_better.float().mean() >= 0.8  # a beam search may lose the greedy text, but rarely


def score(bundle, ids, z):
    """Return log p of each text after its start token, (batch,)."""
    logits = bundle.model(input_ids=ids, latent=z).logits.log_softmax(-1)
    return logits[:, :-1].gather(2, ids[:, 1:, None]).sum((1, 2))


@pytest.mark.parametrize(("family", "conditioning", "entry"), DECODER_CASES)
def test_the_latent_conditions_the_decoder(bases, family, conditioning, entry):
    """Another z gives another likelihood, and gradients reach z."""
    bundle = build(bases, decoder=family, conditioning=[conditioning], entry=entry)
    batch = decoder_batch(bundle)
    z = torch.randn(len(CORPUS), LATENT, requires_grad=True)
    nll = bundle.model.sentence_nll(**batch, latent=z)
    other = bundle.model.sentence_nll(**batch, latent=-z)
    assert (nll - other).abs().min() > 1e-4
    bundle.model(**batch, latent=z).loss.backward()
    assert z.grad is not None
    assert z.grad.abs().sum(1).min() > 0


@pytest.mark.parametrize("family", [*CAUSAL, *SEQ2SEQ])
def test_without_z_the_decoder_is_its_base(bases, family):
    """As built, a decoder gives the logits of its base on the tokens that both have."""
    import transformers

    folder = bases("decoder", family)
    bundle = build(bases, decoder=family, conditioning=["output"], trim=False)
    torch.nn.init.zeros_(bundle.model.conditioning["output"].map.weight)
    factory = (
        transformers.AutoModelForSeq2SeqLM
        if family in SEQ2SEQ
        else transformers.AutoModelForCausalLM
    )
    if family in SEQ2SEQ:
        pytest.skip("its base has an encoder, which z replaces")
    base = factory.from_pretrained(folder).eval()
    ids = torch.tensor([[3, 9, 12, 40, 41], [7, 5, 4, 30, 60]])
    vocab = base.config.vocab_size
    logits = bundle.model(input_ids=ids, latent=torch.zeros(2, LATENT)).logits[..., :vocab]
    if bundle.model.decoder.logit_cap:
        cap = bundle.model.decoder.logit_cap
        logits = cap * torch.tanh(logits / cap) if logits.abs().max() > cap else logits
    torch.testing.assert_close(logits, base(input_ids=ids).logits, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("family", "conditioning", "entry", "train"), SAVED_CASES)
def test_a_saved_model_computes_the_same(bases, tmp_path, family, conditioning, entry, train):
    """What is saved, with the base, gives the likelihoods of the trained model."""
    bundle = build(bases, decoder=family, conditioning=[conditioning], train=train, entry=entry)
    with torch.no_grad():
        for parameter in bundle.model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    save_bundle(bundle, tmp_path)
    loaded = load_bundle(tmp_path, "cpu")
    batch = batch_of(bundle)
    decoder_only = decoder_batch(bundle)
    z = torch.randn(len(CORPUS), LATENT)
    expected = bundle.model.sentence_nll(**decoder_only, latent=z)
    assert torch.allclose(loaded.model.sentence_nll(**decoder_only, latent=z), expected, atol=1e-4)
    q = bundle.model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
    again = loaded.make_batch(encode_batch(loaded.tokenizer, CORPUS))
    r = loaded.model.encode(again["encoder_input_ids"], again["encoder_attention_mask"])
    torch.testing.assert_close(q.mean, r.mean)
    trained = [name for name, value in loaded.model.named_parameters() if value.requires_grad]
    assert trained == [
        name for name, value in bundle.model.named_parameters() if value.requires_grad
    ]


@pytest.mark.parametrize(("family", "conditioning", "entry"), MERGED_CASES)
def test_a_merged_model_needs_nothing_else(bases, tmp_path, family, conditioning, entry):
    """With its adapters merged, a model computes the same from its own folder, without the bases."""

    def copy_base(role, name):
        folder = tmp_path / "bases" / role
        if not folder.exists():
            shutil.copytree(bases(role, name), folder)
        return folder

    bundle = build(
        copy_base,
        decoder=family,
        conditioning=[conditioning],
        entry=entry,
        encoder_settings={"train": "lora"},
    )
    with torch.no_grad():
        for name, parameter in bundle.model.named_parameters():
            if "lora_" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    merged = tmp_path / "merged"
    bundle.model.save_pretrained(merged, merge=True)
    bundle.tokenizer.save_pretrained(merged)
    bundle.encoder_tokenizer.save(merged / ENCODER_TOKENIZER)
    shutil.rmtree(tmp_path / "bases")
    loaded = load_bundle(merged, "cpu")
    assert not loaded.model.list_base_weights()
    z = torch.randn(len(CORPUS), LATENT)
    expected = bundle.model.sentence_nll(**decoder_batch(bundle), latent=z)
    found = loaded.model.sentence_nll(**decoder_batch(loaded), latent=z)
    # A merged matrix rounds otherwise than two products, on some processors by 2e-5 of a sentence.
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-3)
    batch, again = batch_of(bundle), batch_of(loaded)
    q = bundle.model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
    r = loaded.model.encode(again["encoder_input_ids"], again["encoder_attention_mask"])
    torch.testing.assert_close(q.mean, r.mean, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("train", ["all", "lora", "none"])
@pytest.mark.parametrize(
    "states", [{"states": "tokens"}, {"states": "sentence"}, {"lstm": 8}], ids=str
)
@pytest.mark.parametrize("family", list(ENCODERS))
def test_encoders_encode_without_regard_to_padding(bases, family, states, train):
    """A sentence has the same posterior alone and in a batch with longer ones."""
    bundle = build(bases, encoder=family, encoder_settings={**states, "train": train})
    model = bundle.model
    batch = batch_of(bundle)
    together = model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"]).mean
    alone = bundle.make_batch(encode_batch(bundle.tokenizer, CORPUS[:1]))
    single = model.encode(alone["encoder_input_ids"], alone["encoder_attention_mask"]).mean
    torch.testing.assert_close(together[:1], single, rtol=1e-3, atol=1e-4)


def test_many_texts_are_decoded_in_portions(bases, monkeypatch):
    """The portions bound the memory, and change no greedy text."""
    bundle = build(bases, conditioning=["output"], entry="side")
    z = torch.randn(7, LATENT)
    options = build_decoding_settings(do_sample=False)
    together = decode_latents(bundle, z, options, samples_by_default=False)
    monkeypatch.setattr(SideTunedDecoder, "max_rows", 3)
    seen = []
    generate = bundle.model.generate

    def watched(**inputs):
        seen.append(len(inputs["latent"]))
        return generate(**inputs)

    monkeypatch.setattr(bundle.model, "generate", watched)
    assert decode_latents(bundle, z, options, samples_by_default=False) == together
    assert seen == [3, 3, 1]


@pytest.mark.parametrize(("encoder", "decoder", "conditioning", "entry"), PAIRS)
def test_a_few_steps_fit_one_batch(bases, encoder, decoder, conditioning, entry):
    """Training lowers the loss of a batch, and changes only what is trained."""
    bundle = build(bases, encoder, decoder, conditioning, entry=entry)
    model = bundle.model.train()
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-2)
    losses = []
    for _ in range(48):
        loss = model(**batch_of(bundle)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(
        torch.equal(value, frozen[n]) for n, value in model.named_parameters() if n in frozen
    )


def test_prompts_of_unequal_length_are_completed(bases):
    """Texts begin with their prompts, by greedy decoding, sampling and beams."""
    bundle = build(bases, decoder="llama", conditioning=["memory"], entry=0.5)
    prefixes = encode_batch(bundle.tokenizer, ["a man", "the woman holds a"])
    for options in ({"do_sample": False}, {"do_sample": True}, {"num_beams": 3}):
        texts = decode_latents(
            bundle, torch.randn(2, LATENT), build_decoding_settings(**options), False, prefixes
        )
        assert texts[0].startswith("a man")
        assert texts[1].startswith("the woman holds a")


def test_importance_weights_share_the_layers_below_the_entry(bases):
    """Computing them once for all samples gives the weights of separate passes."""
    bundle = build(bases, decoder="llama", conditioning=["memory"], entry=0.5)
    batch = batch_of(bundle)
    model = bundle.model
    posterior = model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
    latent = torch.randn(3, len(CORPUS), LATENT)
    weights = log_importance_weights(model, posterior, batch, latent)
    decoder_only = decoder_batch(bundle)
    for z, row in zip(latent, weights, strict=True):
        nll = model.sentence_nll(**decoder_only, latent=z)
        expected = model.prior.log_prob(z) - posterior.log_prob(z) - nll
        torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("entry", [0.0, 0.5, "side"])
def test_samples_leave_out_unlikely_and_repeated_tokens(bases, entry):
    """Unless an option of sampling is named, as the measures of a model do."""
    bundle = build(bases, conditioning=("output",), entry=entry)
    settings = build_decoding_settings(seed=1)
    arguments = build_generate_arguments(bundle, settings, True)
    assert (arguments["min_p"], arguments["repetition_penalty"]) == (0.05, 1.1)
    for option in ({"temperature": 1.0}, {"top_k": 3}, {"do_sample": False}, {"num_beams": 2}):
        named = build_decoding_settings(seed=1, **option)
        arguments = build_generate_arguments(bundle, named, True)
        assert not {"min_p", "repetition_penalty"} & arguments.keys()
