"""Random seeds: streams that differ, and a block that leaves the random state alone."""

import torch

from textvae.runtime.seeds import Stream, derive_seed, seeded


def test_streams_of_all_seeds_differ_from_each_other_and_from_the_seeds():
    """No two purposes share random numbers, not even under different seeds."""
    seeds = list(range(50))
    for stream in Stream:
        seeds += [derive_seed(seed, stream) for seed in range(50)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_seeded_block_repeats_its_numbers_and_restores_the_state():
    """The random numbers outside do not depend on what the block draws."""
    state = torch.get_rng_state()
    with seeded(3, Stream.TOKENS):
        first = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), state)
    with seeded(3, Stream.TOKENS):
        assert torch.equal(torch.rand(4), first)
    with seeded(3):
        assert not torch.equal(torch.rand(4), first)


def test_a_seeded_block_without_a_stream_uses_the_seed_itself():
    """Its numbers are those of `torch.manual_seed`."""
    with seeded(3):
        inside = torch.rand(4)
    generator = torch.Generator().manual_seed(3)
    assert torch.equal(inside, torch.rand(4, generator=generator))
