"""The clipped objective of PPO and its kin, and the loss of a value head.

With the ratio w = p(token) / p_old(token) and the advantage A, each token's loss is
-min(w A, clip(w, 1 - epsilon, 1 + epsilon_high) A) (Schulman et al., 2017, eq. 7).
"""

from dataclasses import dataclass

import torch

LOSS_TYPES = ("token", "sequence", "constant")


@dataclass(frozen=True)
class LossShape:
    """`loss_type` says over what tokens are averaged: all of the batch ("token", as DAPO), each completion and then
    those ("sequence", as GRPO's first form), or all by the batch's size times `longest` ("constant", as Dr. GRPO).

    With `by_sequence` the ratio is one of a whole completion: the geometric mean of its tokens' (GSPO, Zheng et al.,
    2025, eq. 7).
    """

    epsilon: float = 0.2
    epsilon_high: float = 0.2
    loss_type: str = "token"
    by_sequence: bool = False
    longest: int = 1


@dataclass(frozen=True)
class PolicyLoss:
    """`total` is the sum over the rows given, to be divided by nothing more: `weights` has the batch in it already."""

    total: torch.Tensor
    ratio: torch.Tensor
    clipped: torch.Tensor


def token_weights(mask: torch.Tensor, shape: LossShape) -> torch.Tensor:
    """(B, T) by which each token's loss counts, of all B completions of a batch, so that parts of it add up."""
    rows = len(mask)
    real = mask.float()
    if shape.loss_type == "token":
        return real / real.sum().clamp(min=1)
    if shape.loss_type == "sequence":
        return real / real.sum(-1, keepdim=True).clamp(min=1) / rows
    return real / (rows * shape.longest)


def policy_loss(
    log_probs: torch.Tensor,
    old: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    weights: torch.Tensor,
    shape: LossShape,
) -> PolicyLoss:
    """Of some rows (b, T) of the batch that `weights` are of; `ratio` and `clipped` are detached, (b, T)."""
    log_ratio = (log_probs - old) * mask
    if shape.by_sequence:
        mean = log_ratio.sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)
        log_ratio = mean.expand_as(log_ratio)
    ratio = log_ratio.exp()
    bounded = ratio.clamp(1 - shape.epsilon, 1 + shape.epsilon_high)
    first, second = ratio * advantages, bounded * advantages
    clipped = (second < first) & mask
    return PolicyLoss(-(torch.min(first, second) * weights).sum(), ratio.detach(), clipped)


def value_loss(
    values: torch.Tensor, old: torch.Tensor, returns: torch.Tensor, weights: torch.Tensor, clip: float
) -> torch.Tensor:
    """Half the squared error; a value gets no better by moving more than `clip` from the old one (0: off)."""
    error = (values - returns).square()
    if clip:
        near = old + (values - old).clamp(-clip, clip)
        error = torch.max(error, (near - returns).square())
    return 0.5 * (error * weights).sum()


def explained_variance(values: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor) -> float:
    """1 - Var(returns - values) / Var(returns) over the mask; 0 where the returns do not vary."""
    real_returns, errors = returns[mask], (returns - values)[mask]
    variance = real_returns.var(unbiased=False)
    return float(1 - errors.var(unbiased=False) / variance) if variance > 0 else 0.0
