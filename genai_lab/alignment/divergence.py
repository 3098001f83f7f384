"""How far a policy p has moved from its reference q, in nats.

Of a token drawn from p, with r = q / p (Schulman, 2020: Approximating KL divergence):

    k1 = -log r             without bias, negative for single tokens
    k2 = (log r)^2 / 2      its gradient is that of KL(p, q) on tokens drawn from p
    k3 = r - 1 - log r      without bias and never negative; its gradient is another one
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

Estimate = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def k1(log_probs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    return log_probs - reference


def k2(log_probs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    return (log_probs - reference).square() / 2


def k3(log_probs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    log_ratio = reference - log_probs
    return log_ratio.exp() - 1 - log_ratio


ESTIMATES: dict[str, Estimate] = {"k1": k1, "k2": k2, "k3": k3}


def exact_kl(logits: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """KL(p, q) (N,) of the whole distributions that logits (N, V) give at each position."""
    p, q = logits.float().log_softmax(-1), reference.float().log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)


@dataclass
class KlController:
    """The weight of the KL penalty. With a target it is raised while KL is above it and lowered while it is below:

        beta <- beta (1 + clip(KL / target - 1, -0.2, 0.2) n / horizon)

    with n completions since the last change (Ziegler et al., 2019, section 2.2). Other than there it never falls below
    where it began: a run begins at a KL of 0, and would be left without a penalty when it comes near its target.
    """

    beta: float
    target: float | None = None
    horizon: int = 1000

    def __post_init__(self) -> None:
        self.least = self.beta

    def update(self, kl: float, completions: int) -> None:
        """`kl` is the mean KL in nats per completion of the last ones."""
        if self.target is None:
            return
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        self.beta = max(self.least, self.beta * (1 + error * completions / self.horizon))
