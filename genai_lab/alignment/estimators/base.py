"""What every estimator takes and gives, as tensors over completions and their tokens."""

from dataclasses import dataclass
from typing import Protocol

import torch

from genai_lab.registry import Registry


@dataclass(frozen=True)
class Episode:
    """A batch of B completions of at most T tokens.

    `score` (B,) is what each earned at its end and `penalty` (B, T) what is taken from each token (the weighted KL, 0
    where it is in the loss); `mask` (B, T) is true at real tokens; `groups` (B,) numbers the prompts; `values` (B, T)
    are a value head's, where there is one.
    """

    score: torch.Tensor
    penalty: torch.Tensor
    mask: torch.Tensor
    groups: torch.Tensor
    values: torch.Tensor | None = None

    @property
    def returns(self) -> torch.Tensor:
        """(B,) the score less the penalty of all tokens."""
        return self.score - (self.penalty * self.mask).sum(-1)

    @property
    def token_rewards(self) -> torch.Tensor:
        """(B, T) minus the penalty at each token, with the score on the last real one."""
        rewards = -self.penalty * self.mask
        last = self.mask.sum(-1) - 1
        rewards[torch.arange(len(rewards), device=rewards.device), last] += self.score
        return rewards


@dataclass(frozen=True)
class Advantages:
    """`tokens` (B, T), 0 outside the mask; `returns` (B, T) are what a value head learns, where there is one.

    `flat_groups` is the share of prompts whose completions all earned the same, from which nothing is learned.
    """

    tokens: torch.Tensor
    returns: torch.Tensor | None = None
    flat_groups: float = 0.0


class Estimator(Protocol):
    """`settings` are those of the objective, which have what the estimator reads."""

    name: str
    needs_values: bool

    def advantages(self, episode: Episode, settings: object) -> Advantages: ...


ESTIMATORS: Registry[Estimator] = Registry("estimator", "genai_lab.alignment.estimators")


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean over the positions of the mask."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def whiten(values: torch.Tensor, mask: torch.Tensor, *, shift: bool = True) -> torch.Tensor:
    """Values with variance 1 over the mask, and with mean 0 if they are shifted; 0 outside the mask."""
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean).square(), mask)
    scaled = (values - mean) * torch.rsqrt(variance + 1e-8)
    return (scaled if shift else scaled + mean) * mask


def group_sums(values: torch.Tensor, groups: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(sum, count) over the group of each row, (B,) each."""
    size = int(groups.max()) + 1
    sums = values.new_zeros(size).index_add_(0, groups, values)
    counts = values.new_zeros(size).index_add_(0, groups, torch.ones_like(values))
    return sums[groups], counts[groups]


def flat_share(values: torch.Tensor, groups: torch.Tensor) -> float:
    """The share of groups of several rows in which all values are equal."""
    shares = [values[groups == group] for group in groups.unique()]
    several = [rows for rows in shares if len(rows) > 1]
    return sum(bool((rows == rows[0]).all()) for rows in several) / len(several) if several else 0.0
