"""The actions of the panel Compare: two runs on the same sentences."""

from dataclasses import dataclass

from textvae.errors import ConfigError
from textvae.explorer.actions.dials import MAX_SEED
from textvae.explorer.limits import require_count, split_sentences
from textvae.explorer.shared_run import SharedRun
from textvae.explorer.side_by_side import ComparedSentence, compare_sentences, sample_both

MAX_SENTENCES = 20


@dataclass(frozen=True)
class CompareActions:
    """The actions of the panel Compare."""

    first: SharedRun
    second: SharedRun | None

    def compare(self, sentences: str) -> list[ComparedSentence]:
        """Reconstruct and score sentences, one per line, with both runs."""
        texts = split_sentences(sentences, min(MAX_SENTENCES, self.first.limit))
        return compare_sentences(self.first, self.require_second(), texts)

    def compare_samples(self, n: int = 5, seed: int = 0) -> list[list[str]]:
        """Return samples from the prior of each of both runs."""
        count = require_count(n, "n", self.first.limit)
        number = require_count(seed, "seed", MAX_SEED, at_least=0)
        return sample_both(self.first, self.require_second(), count, number)

    def require_second(self) -> SharedRun:
        """Return the second run.

        Raises:
            ConfigError: the explorer was started with one run only.
        """
        if self.second is None:
            raise ConfigError(
                "there is no second run to compare with: start the explorer with "
                "`textvae explore RUN --compare RUN2`."
            )
        return self.second
