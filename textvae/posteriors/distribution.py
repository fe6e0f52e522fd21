"""What every q(z | x) is: one distribution per sentence, to draw from, to decode from and to measure.

A distribution is a frozen dataclass. Its tensors all have a row a sentence, so
that it can be moved, cut, and put together from batches, whatever its kind.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

from torch import Tensor


@dataclass(frozen=True)
class Distribution(ABC):
    """q(z | x).

    Attributes:
        has_density: whether `log_prob` is defined; without it there is no KL, and no bound on the likelihood.
        has_fixed_kl: whether the KL to the prior is the same for all sentences, whatever is learned.
        is_spherical: whether z is on a sphere, of radius sqrt(latent).

    Shapes:
        mean: (batch, latent), the point to decode from
    """

    mean: Tensor

    has_density: ClassVar[bool] = True
    has_fixed_kl: ClassVar[bool] = False
    is_spherical: ClassVar[bool] = False

    @abstractmethod
    def sample(self) -> Tensor:
        """Draw one z per sentence, (batch, latent), differentiable in the parameters."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Return log q(z) in nats: (..., batch) for z of (..., batch, latent)."""

    def pairs(self, z: Tensor) -> Tensor:
        """Return log q(z_i | x_j) in nats for all pairs, (rows, batch), for z of (rows, latent)."""
        return self.log_prob(z.unsqueeze(1))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What makes it, by name, each (batch, ...)."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Return it with the function applied to each of its tensors."""
        return replace(self, **{name: function(value) for name, value in self.tensors.items()})

    def rows(self, chosen: Tensor) -> Self:
        """Return it for some of the sentences, by their places, (n,)."""
        return self.map(lambda tensor: tensor[chosen])

    def blank(self, count: int) -> Self:
        """Return one of the same kind for `count` sentences, zeros on the CPU, for `place` to fill."""
        return self.map(lambda tensor: tensor.new_zeros(count, *tensor.shape[1:], device="cpu"))

    def place(self, rows: Sequence[int] | slice, other: Self) -> None:
        """Put another's sentences at these rows."""
        for name, value in self.tensors.items():
            value[rows] = other.tensors[name].to(value)
