"""Seeds derived from seeds."""

from textvae.inference.decoding import TOKENS
from textvae.runtime.seeds import derived
from textvae.uses.latent_proposals import DRAWN, RESAMPLED


def test_draws_for_different_ends_share_no_seed():
    """Tokens are drawn by other numbers than the latent, or the first words of a seed would follow from its z."""
    uses = (TOKENS, DRAWN, RESAMPLED)
    seeds = [derived(seed, use) for seed in range(50) for use in uses] + list(range(50))
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
