"""The memory that a base needs, and what is suggested if it does not fit."""

import pytest
import torch
from transformers import AutoModel, BertConfig, T5Config

from tests.model.bases.tiny_bases import build_base
from textvae.errors import ConfigError
from textvae.model.bases.memory import check_memory, estimate_memory, read_available_memory

CPU = torch.device("cpu")
HIDDEN, LAYERS, TOKENS = 64, 3, 512
SMALL = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": 2}


def use(**changes):
    """Return how a base is used: an encoder in float32 all of whose weights train, with changes."""
    settings = {"role": "encoder", "trains": "all", "dtype_bytes": 4, "batch_tokens": TOKENS}
    return settings | changes


@pytest.fixture
def base():
    """Return a base of a million parameters."""
    config = BertConfig(**SMALL, vocab_size=1000)
    return build_base(config, {"embeddings.weight": (1000, 500), "layer.weight": (500, 1000)})


def test_the_estimate_is_the_sum_of_the_formula(base):
    """Weights, gradients, two optimizer states, and the states of each layer."""
    states = 20 * TOKENS * LAYERS * HIDDEN
    assert estimate_memory(base, **use()) == 4 * (4 * 1_000_000 + states)


def test_adapters_need_memory_for_their_matrices_only(base):
    """The embedding has no adapter; an adapter is in float32."""
    adapters = use(trains="lora", dtype_bytes=2, lora_rank=3)
    states = 14 * TOKENS * LAYERS * HIDDEN
    assert estimate_memory(base, **adapters) == 2 * (1_000_000 + states) + 16 * 3 * 1500


def test_a_frozen_encoder_keeps_no_states(base):
    """No gradient enters it; through a frozen decoder, one passes on to z."""
    assert estimate_memory(base, **use(trains="none")) == 4 * 1_000_000
    assert estimate_memory(base, **use(trains="none", role="decoder")) > 4 * 1_000_000


def test_an_encoder_decoder_model_is_counted_in_part():
    """Each role loads one half and the shared embedding."""
    shapes = {"shared.weight": (10, 8), "encoder.w": (20, 8), "decoder.w": (30, 8)}
    model = build_base(T5Config(vocab_size=10), shapes)
    frozen = use(trains="none", batch_tokens=0)
    assert estimate_memory(model, **frozen) == 4 * 8 * 30
    assert estimate_memory(model, **frozen | {"role": "decoder"}) == 4 * 8 * 40


def test_an_encoder_is_counted_without_a_head():
    """AutoModel leaves the projection to the vocabulary out."""
    model = build_base(BertConfig(), {"w": (10, 8), "lm_head.weight": (90, 8)})
    assert estimate_memory(model, **use(trains="none")) == 4 * 8 * 10


def test_only_layers_that_a_gradient_passes_through_keep_states_and_gradients(base):
    """Those below the entry of z are frozen, and a side-tuned decoder has no gradient in its base."""
    weights = estimate_memory(base, **use(trains="none"))  # as an encoder: no gradient at all
    frozen = use(role="decoder", trains="none")
    whole = estimate_memory(base, **frozen) - weights
    assert whole > 0
    for share in (0.0, 0.5):
        needed = estimate_memory(base, **frozen, depth_with_gradients=share)
        assert needed - weights == share * whole
    trained = estimate_memory(base, **use(depth_with_gradients=0.5))
    assert trained < estimate_memory(base, **use())


def test_no_layer_keeps_less_than_the_estimate():
    """Counted with the hooks for tensors that are saved for the backward pass."""
    config = BertConfig(**SMALL, intermediate_size=4 * HIDDEN, vocab_size=100)
    model = AutoModel.from_config(config)
    saved = count_saved_bytes(model, torch.zeros(4, TOKENS // 4, dtype=torch.long))
    base = build_base(config, {})
    assert 0.5 * saved < estimate_memory(base, **use()) < saved


def count_saved_bytes(model, ids):
    """Return the bytes that a forward pass keeps, without the weights."""
    weights = {parameter.data_ptr() for parameter in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.train()(input_ids=ids, attention_mask=torch.ones_like(ids))
    return sum(size for size, _ in kept.values())


def refuse(base, available, reserved=0, **changes):
    """Return the message with which a base is refused."""
    limits = {"available": available, "reserved": reserved}
    with pytest.raises(ConfigError) as caught:
        check_memory(base, "model.encoder.name", CPU, **limits, **use(**changes))
    return str(caught.value)


def test_a_base_that_fits_is_accepted(base):
    """The estimate is returned, to reserve it for the next base."""
    needed = estimate_memory(base, **use())
    assert check_memory(base, "s", CPU, available=needed, **use()) == needed


def test_the_memory_of_other_parts_is_reserved(base):
    """Two bases may fit alone, but not together."""
    message = refuse(base, 20_000_000, reserved=10_000_000)
    assert "10.0 MB are free on this machine next to 10.0 MB for other parts" in message


@pytest.mark.parametrize(
    ("available", "changes", "suggestion"),
    [
        (17_000_000, {}, "train: lora (9.7 MB); train: none (4.0 MB)"),
        (17_000_000, {}, "batches of at most 65 tokens"),
        (5_000_000, {}, "What would fit: train: none (4.0 MB)."),
        (1_000_000, {}, "Name a smaller model, or use a machine with more memory"),
        (1_000_000, {"trains": "none"}, "Name a smaller model"),
    ],
)
def test_what_would_fit_is_suggested(base, available, changes, suggestion):
    """Fewer trained weights, smaller batches, or else a smaller model."""
    assert suggestion in refuse(base, available, **changes)


def write_files(root, **files):
    """Write files whose names have two underscores for a slash."""
    for name, text in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


MEMINFO = "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n"


def test_the_free_memory_of_the_machine_is_read(tmp_path):
    """In bytes, as Linux estimates it."""
    write_files(tmp_path, proc__meminfo=MEMINFO)
    assert read_available_memory(CPU, tmp_path) == 8000 * 1024


def test_the_limit_of_an_outer_control_group_holds(tmp_path):
    """A job scheduler limits the group around the job's; cached files do not count."""
    write_files(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="0::/job/step\n")
    outer = tmp_path / "sys/fs/cgroup/job"
    write_files(outer, **{"memory.max": "5000", "memory.current": "3000"})
    write_files(outer, **{"memory.stat": "anon 1\ninactive_file 400\nactive_file 100\n"})
    write_files(outer / "step", **{"memory.max": "max", "memory.current": "1", "memory.stat": ""})
    assert read_available_memory(CPU, tmp_path) == 5000 - 3000 + 500


def test_the_limit_of_an_older_control_group_holds(tmp_path):
    """Version one has a folder for each kind of limit; a huge number means no limit."""
    write_files(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="4:memory:/job\n1:cpu:/\n")
    for folder, limit in (("job", "5000"), (".", str(2**63 - 4096))):
        write_files(
            tmp_path / "sys/fs/cgroup/memory" / folder,
            **{
                "memory.limit_in_bytes": limit,
                "memory.usage_in_bytes": "3000",
                "memory.stat": "total_inactive_file 7\n",
            },
        )
    assert read_available_memory(CPU, tmp_path) == 2007


def test_unknown_memory_refuses_nothing(base, tmp_path):
    """Systems other than Linux have none of these files."""
    assert read_available_memory(CPU, tmp_path) is None
    assert read_available_memory(torch.device("mps"), tmp_path) is None
