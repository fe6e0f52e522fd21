"""Random seeds: streams that differ, and a block that leaves the random state alone."""

import torch

from textvae.runtime.seeds import (
    Stream,
    derive_noise_seed,
    derive_seed,
    derive_sentence_seed,
    seeded,
)


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


def test_no_two_processes_of_any_seeds_share_their_noise():
    """It holds for neighboring seeds, steps and ranks; a new run of one process uses its seed."""
    places = [(step, rank) for step in (0, 1, 2, 100) for rank in range(8)]
    seeds = [derive_noise_seed(seed, *place) for seed in range(20) for place in places]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert derive_noise_seed(7, step=0, rank=0) == 7


def test_the_seed_of_a_sentence_depends_on_its_tokens_and_on_the_seed():
    """It is a fixed number, the same in every process and on every machine."""
    assert derive_sentence_seed(0, [3, 1, 4]) == derive_sentence_seed(0, (3, 1, 4))
    others = [derive_sentence_seed(0, ids) for ids in ([3, 1, 4], [3, 4, 1], [3, 1], [])]
    assert len({*others, derive_sentence_seed(1, [3, 1, 4])}) == 5
    assert all(0 <= seed < 2**63 for seed in others)
    assert derive_sentence_seed(0, [3, 1, 4]) == 6754248281828452114
