"""Seeds derived from seeds."""

from textvae.inference.decoding import TOKEN_SEED_KEY
from textvae.runtime.seeds import derive_seed
from textvae.uses.latent_proposals import PROPOSAL_SEED_KEY, RESAMPLING_SEED_KEY


def test_draws_for_different_ends_share_no_seed():
    """Tokens are drawn by other numbers than the latent, or the first words of a seed would follow from its z."""
    uses = (TOKEN_SEED_KEY, PROPOSAL_SEED_KEY, RESAMPLING_SEED_KEY)
    seeds = [derive_seed(seed, use) for seed in range(50) for use in uses] + list(range(50))
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
