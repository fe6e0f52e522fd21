"""Distillation: the gradient is that of the mixed cross-entropy; a teacher must speak of the same tokens."""

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy, linear

from tests.tiny import BOS, EOS, LATENT, PAD, UNKNOWN, draws, tiny_batch, tiny_model, tiny_vae
from tests.tiny_run import SENTENCES, train_tiny
from textvae import projection
from textvae.bundle import Bundle
from textvae.errors import CheckpointError, ConfigError
from textvae.projection import SoftTarget, token_nll
from textvae.settings import read_settings
from textvae.techniques import Facts, Progress
from textvae.techniques.distillation import Distillation, DistillationSettings, expectation

ROWS, SIZE, VOCAB = 19, 6, 11
LANGUAGE_MODEL = {"kind": "language_model"}


@pytest.fixture
def small_chunks(monkeypatch):
    """Let a handful of rows span several chunks."""
    monkeypatch.setattr(projection, "CHUNK_SCORES", 8 * VOCAB)


def problem(dtype=torch.float32):
    """Return a projection that asks for gradients, targets, and two teachers of other sizes."""
    student = [draws(ROWS, SIZE), draws(VOCAB, SIZE, seed=1), draws(VOCAB, seed=2)]
    targets = torch.randint(VOCAB, (ROWS,), generator=torch.Generator().manual_seed(3))
    teachers = [
        SoftTarget(draws(ROWS, size, seed=4), draws(VOCAB, size, seed=5), draws(VOCAB, seed=6), share)
        for size, share in ((3, 0.3), (9, 0.2))
    ]
    return [tensor.to(dtype).requires_grad_() for tensor in student], targets, teachers


def reference(states, weight, bias, targets, teachers):
    """Return the mixed cross-entropy, plainly."""
    mixed = (1 - sum(teacher.share for teacher in teachers)) * torch.eye(VOCAB)[targets]
    for teacher in teachers:
        mixed = mixed + teacher.share * linear(teacher.states, teacher.weight, teacher.bias).softmax(-1)
    return cross_entropy(linear(states, weight, bias), mixed, reduction="sum")


def test_value_and_gradients_are_those_of_the_mixed_cross_entropy(small_chunks):
    """Over several chunks, with two teachers; each row's own NLL stays that of the word."""
    student, targets, teachers = problem()
    total, nll = token_nll(*student, targets, 0.4, teachers)
    plain = 0.4 * reference(*student, targets, teachers)
    torch.testing.assert_close(total, plain)
    torch.testing.assert_close(nll, token_nll(*student, targets, 0.4)[1])
    for fused, exact in zip(torch.autograd.grad(total, student), torch.autograd.grad(plain, student), strict=True):
        torch.testing.assert_close(fused, exact)


def test_under_bf16_both_stay_near_single_precision(small_chunks):
    """Within the seven bits bf16 keeps."""
    student, targets, teachers = problem()
    plain = 0.4 * reference(*student, targets, teachers)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, _ = token_nll(*student, targets, 0.4, teachers)
    torch.testing.assert_close(total, plain, rtol=0.02, atol=0.02)
    for fused, exact in zip(torch.autograd.grad(total, student), torch.autograd.grad(plain, student), strict=True):
        assert (fused - exact).norm() < 0.03 * exact.norm()


def test_who_agrees_with_its_only_teacher_learns_nothing():
    """The gradient is zero where the teacher has all the weight and expects what the student does."""
    student, targets, _ = problem()
    itself = SoftTarget(*(tensor.detach() for tensor in student), share=1.0)
    total, _ = token_nll(*student, targets, 1.0, [itself])
    for gradient in torch.autograd.grad(total, student):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-5, rtol=0)


def test_a_pass_without_gradient_ignores_soft_targets():
    """They are for learning."""
    student, targets, teachers = problem()
    with torch.no_grad():
        torch.testing.assert_close(token_nll(*student, targets, 0.4, teachers), token_nll(*student, targets, 0.4))


def technique(count=1, **settings):
    """Return one whose teachers are tiny models."""
    facts = Facts(latent=LATENT, vocab=20, start_id=BOS, blank_id=UNKNOWN, end_id=EOS, pad_id=PAD)
    part = Distillation(DistillationSettings(teacher=["x"] * count, **settings), facts)
    part.teachers = [Bundle(tiny_model(seed=seed), None) for seed in range(count)]
    return part


def test_teachers_share_the_weight():
    """Equally; an autoencoder's start has none."""
    part = technique(count=3, weight=0.6)
    targets = part.teach(tiny_batch(), Progress(1, 0.1))
    assert [target.share for target in targets] == pytest.approx([0.2] * 3)
    assert part.teach(tiny_batch(), Progress(1, 0.0, is_prelude=True)) == ()


def test_a_teacher_expects_what_it_expects_when_it_writes():
    """Its distribution at each place is that of its own logits for the same z."""
    batch, teacher = tiny_batch(), Bundle(tiny_model(seed=3), None)
    torch.manual_seed(0)
    target = expectation(teacher, batch, 0.5)
    torch.manual_seed(0)
    latent = teacher.model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"]).sample()
    read = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        logits = teacher.model(**read, latent=latent).logits
        flat = target.at(batch["labels"] >= 0)
        found = flat.chances(torch.empty(len(flat.states), logits.shape[-1]))
    torch.testing.assert_close(found, logits[batch["labels"] >= 0].softmax(-1))


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """Return the folder of a teacher, and of runs that learn from it."""
    folder = tmp_path_factory.mktemp("distillation")
    train_tiny(folder / "teacher")
    return folder


@pytest.mark.parametrize("objective", [{}, LANGUAGE_MODEL], ids=["vae", "language-model"])
def test_a_run_learns_from_a_teacher(taught, tmp_path, objective):
    """Other weights than without one; the teacher is no part of what is saved, and its path is kept whole."""
    distillation = {"teacher": str(taught / "teacher"), "weight": 0.5}
    student = train_tiny(tmp_path / "student", objective={**objective, "techniques": {"distillation": distillation}})
    alone = train_tiny(tmp_path / "alone", objective=objective)
    names = load_file(tmp_path / "student" / "model.safetensors").keys()
    assert names == load_file(tmp_path / "alone" / "model.safetensors").keys()
    assert not torch.equal(student.model.decoder.embed.weight, alone.model.decoder.embed.weight)
    assert read_settings(tmp_path / "student" / "settings.yaml").objective.techniques["distillation"].teacher == (
        str(taught / "teacher"),
    )


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"tokenizer": {"vocab_size": 300}}, ConfigError, "has other tokens .* train it on this corpus"),
        ({"objective": "nowhere"}, CheckpointError, "nowhere"),
    ],
)
def test_a_teacher_that_cannot_teach_is_refused_before_anything_is_written(taught, tmp_path, changes, error, message):
    """Other tokens, or no run at all."""
    teacher = tmp_path / "nowhere" if changes.pop("objective", None) else taught / "teacher"
    objective = {"techniques": {"distillation": {"teacher": str(teacher)}}}
    with pytest.raises(error, match=message):
        train_tiny(tmp_path / "run", SENTENCES, objective=objective, **changes)
    assert not (tmp_path / "run").exists()


def test_a_teacher_with_labels_the_student_lacks_is_refused(tmp_path):
    """It would want them."""
    teacher, student = tiny_vae(labels={"one": 3, "two": 4}), tiny_vae()
    teacher.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="conditioned on labels that this model does not have"):
        DistillationSettings(teacher=str(tmp_path)).check(student.bundle)


@pytest.mark.parametrize("given", [{}, {"teacher": []}, {"teacher": "x", "weight": 1.5}])
def test_settings_that_do_not_fit_are_refused(given):
    """No teacher, or a weight above one."""
    with pytest.raises(ConfigError, match="distillation"):
        read_settings(objective={"techniques": {"distillation": given}})
