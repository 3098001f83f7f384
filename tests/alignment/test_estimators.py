"""Advantages by hand, divergences against the exact KL, and the clipped objective against TRL's GRPO."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genai_lab.alignment.divergence import KlController, exact_kl, k1, k2, k3
from genai_lab.alignment.estimators import ESTIMATORS, Episode, whiten
from genai_lab.alignment.policy_loss import LossShape, explained_variance, policy_loss, token_weights, value_loss

SETTINGS = SimpleNamespace(gamma=0.9, lam=0.8, whiten_rewards=False, scale_rewards="group")


def episode(scores: list[float], lengths: list[int], groups: list[int], penalty: float = 0.0, **more: Any) -> Episode:
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    return Episode(torch.tensor(scores), penalty * mask.float(), mask, torch.tensor(groups), **more)


def test_the_score_lands_on_the_last_real_token_and_the_penalty_on_each() -> None:
    rewards = episode([5.0, 7.0], [3, 1], [0, 1], penalty=0.5).token_rewards
    torch.testing.assert_close(rewards, torch.tensor([[-0.5, -0.5, 4.5], [6.5, 0.0, 0.0]]))


def test_a_penalty_lowers_what_a_completion_earned() -> None:
    assert episode([5.0, 7.0], [3, 1], [0, 1], penalty=0.5).returns.tolist() == [3.5, 6.5]


def test_gae_by_hand() -> None:
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 9.0, 9.0]])
    result = ESTIMATORS.get("gae").advantages(episode([5.0, 7.0], [3, 1], [0, 1], values=values), SETTINGS)
    third = 5 - 3
    second = 0.9 * 3 - 2 + 0.9 * 0.8 * third
    first = 0.9 * 2 - 1 + 0.9 * 0.8 * second
    other = 7 - 4
    assert result.returns is not None
    expected = torch.tensor([[first + 1, second + 2, third + 3.0], [other + 4.0, 0, 0]])
    torch.testing.assert_close(result.returns, expected)
    raw = torch.tensor([first, second, third, other])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    torch.testing.assert_close(result.tokens[mask], (raw - raw.mean()) / raw.std(unbiased=False))
    assert result.tokens[~mask].tolist() == [0, 0]


def test_whitening_reads_real_tokens_alone() -> None:
    mask = torch.tensor([[True, True], [True, False]])
    values = torch.tensor([[1.0, 2.0], [6.0, 1e9]])
    white = whiten(values, mask)
    assert white[1, 1] == 0
    assert float(white[mask].mean()) == pytest.approx(0, abs=1e-6)
    unshifted = whiten(values, mask, shift=False)
    assert float(unshifted[mask].mean()) == pytest.approx(3, abs=1e-5)


def test_leave_one_out_by_hand() -> None:
    result = ESTIMATORS.get("rloo").advantages(
        episode([1.0, 4.0, 7.0, 3.0, 5.0], [1, 2, 1, 1, 1], [0, 0, 0, 1, 1]), None
    )
    assert result.tokens[:, 0].tolist() == [1 - 5.5, 4 - 4, 7 - 2.5, 3 - 5, 5 - 3]
    assert result.tokens[1].tolist() == [0, 0]
    assert result.flat_groups == 0


def test_group_advantages_by_hand_and_groups_without_spread() -> None:
    batch = episode([1.0, 4.0, 7.0, 3.0, 3.0], [1] * 5, [0, 0, 0, 1, 1])
    result = ESTIMATORS.get("group").advantages(batch, SETTINGS)
    assert result.tokens[:, 0].tolist() == pytest.approx([-3 / 3.0001, 0, 3 / 3.0001, 0, 0])
    assert result.flat_groups == 0.5
    plain = ESTIMATORS.get("group").advantages(batch, SimpleNamespace(scale_rewards="none"))
    assert plain.tokens[:, 0].tolist() == [-3, 0, 3, 0, 0]


@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_nothing_is_learned_outside_the_mask_or_from_equal_rewards(name: str) -> None:
    values = torch.zeros(4, 3)
    batch = episode([2.0] * 4, [3, 2, 1, 3], [0, 0, 1, 1], values=values)
    settings = SimpleNamespace(gamma=1.0, lam=1.0, whiten_rewards=False, scale_rewards="group")
    tokens = ESTIMATORS.get(name).advantages(batch, settings).tokens
    assert tokens[~batch.mask].tolist() == [0] * 3
    assert tokens[batch.mask].abs().max() < 1e-3


def test_estimates_of_the_kl_agree_with_the_exact_one() -> None:
    torch.manual_seed(0)
    policy, reference = torch.randn(1, 20), torch.randn(1, 20)
    exact = float(exact_kl(policy, reference))
    drawn = torch.multinomial(policy.softmax(-1)[0], 200_000, replacement=True)
    p, q = policy.log_softmax(-1)[0][drawn], reference.log_softmax(-1)[0][drawn]
    for estimate in (k1, k3):
        values = estimate(p, q)
        assert abs(float(values.mean()) - exact) < 4 * float(values.std()) / len(drawn) ** 0.5
    assert float(k3(p, q).min()) >= 0
    assert float(k1(p, q).min()) < 0
    assert float(exact_kl(policy, policy)) == 0


def test_the_gradient_of_k2_is_that_of_the_kl() -> None:
    torch.manual_seed(1)
    logits, reference = torch.randn(8, requires_grad=True), torch.randn(8)
    (exact,) = torch.autograd.grad(exact_kl(logits[None], reference[None]).sum(), logits)
    log_p, shares = logits.log_softmax(-1), logits.softmax(-1).detach()
    (sampled,) = torch.autograd.grad((shares * k2(log_p, reference.log_softmax(-1))).sum(), logits)
    torch.testing.assert_close(sampled, exact)


def test_beta_follows_the_target() -> None:
    controller = KlController(0.1, target=6.0, horizon=1000)
    controller.update(60.0, 32)
    assert controller.beta == pytest.approx(0.1 * (1 + 0.2 * 32 / 1000))
    controller.update(6.6, 100)
    assert controller.beta == pytest.approx(0.1 * (1 + 0.2 * 32 / 1000) * (1 + 0.1 * 100 / 1000))
    controller.update(60.0, 500)
    raised = controller.beta
    controller.update(3.0, 100)
    assert controller.beta == pytest.approx(raised * (1 - 0.2 * 100 / 1000))
    for _ in range(50):
        controller.update(0.0, 100)
    assert controller.beta == 0.1
    fixed = KlController(0.1)
    fixed.update(60.0, 32)
    assert fixed.beta == 0.1


def table(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows)


def test_clipped_tokens_have_no_gradient_and_the_first_ratio_is_one() -> None:
    old = table([-1.0, -2.0, -1.0])
    log_probs = (old + table([0.0, 0.5, -0.5])).requires_grad_()
    mask = torch.ones(1, 3, dtype=torch.bool)
    shape = LossShape(0.2, 0.2)
    result = policy_loss(log_probs, old, table([1.0, 1.0, -1.0]), mask, token_weights(mask, shape), shape)
    result.total.backward()
    assert result.ratio.tolist()[0] == pytest.approx([1, math.exp(0.5), math.exp(-0.5)])
    assert result.clipped.tolist() == [[False, True, True]]
    assert log_probs.grad is not None
    assert log_probs.grad.tolist()[0] == pytest.approx([-1 / 3, 0, 0])
    assert float(result.total.detach()) == pytest.approx(-(1 + 1.2 - 0.8) / 3)


def test_a_rise_of_what_earned_more_lowers_the_loss() -> None:
    mask, shape = torch.ones(2, 1, dtype=torch.bool), LossShape()
    old = table([-1.0], [-1.0])
    better = policy_loss(old + table([0.1], [-0.1]), old, table([1.0], [-1.0]), mask, token_weights(mask, shape), shape)
    assert float(better.total) < float(
        policy_loss(old, old, table([1.0], [-1.0]), mask, token_weights(mask, shape), shape).total
    )


def test_the_value_loss_and_its_clip_by_hand() -> None:
    weights, old = table([0.5, 0.5]), table([0.0, 0.0])
    values, returns = table([1.0, -1.0]), table([2.0, 0.5])
    assert float(value_loss(values, old, returns, weights, 0.0)) == pytest.approx(0.5 * 0.5 * (1 + 2.25))
    assert float(value_loss(values, old, returns, weights, 0.2)) == pytest.approx(0.5 * 0.5 * (1.8**2 + 2.25))
    mask = torch.ones(1, 4, dtype=torch.bool)
    learned = table([1.0, 2.0, 3.0, 4.0])
    assert explained_variance(learned, learned, mask) == 1
    assert explained_variance(torch.zeros(1, 4), learned, mask) == 0
    assert explained_variance(-learned, learned, mask) < 0


TRL_TYPES = {"sequence": "grpo", "token": "bnpo", "constant": "dr_grpo"}


@pytest.mark.parametrize("loss_type", list(TRL_TYPES))
@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("beta", [0.0, 0.04])
def test_the_loss_equals_that_of_trls_grpo(loss_type: str, level: str, beta: float) -> None:
    from trl import GRPOTrainer

    torch.manual_seed(2)
    shape = LossShape(0.2, 0.28, loss_type, level == "sequence", longest=9)
    mask = torch.arange(7)[None] < torch.tensor([7, 3, 1, 5])[:, None]
    old = -torch.rand(4, 7) * 3
    log_probs, reference = old + 0.4 * torch.randn(4, 7), old + 0.4 * torch.randn(4, 7)
    advantages = torch.randn(4)
    weights = token_weights(mask, shape)
    ours = policy_loss(log_probs, old, advantages[:, None].expand(4, 7), mask, weights, shape).total
    ours = ours + beta * (k3(log_probs, reference) * weights).sum()
    theirs = _trl_loss(
        GRPOTrainer, TRL_TYPES[loss_type], level, beta, shape, log_probs, old, reference, advantages, mask
    )
    assert float(ours) == pytest.approx(theirs, abs=1e-5)


def _trl_loss(
    trainer: Any, loss_type: str, level: str, beta: float, shape: LossShape, log_probs: torch.Tensor,
    old: torch.Tensor, reference: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor,
) -> float:  # fmt: skip
    """What the method of TRL's trainer makes of log-probabilities that are given to it."""
    from collections import defaultdict

    entropies = torch.zeros_like(log_probs)
    stand_in = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *args, **kwargs: (log_probs, entropies, None),
        aux_loss_enabled=False, top_entropy_quantile=1.0, off_policy_mask_threshold=None,
        importance_sampling_level=level, beta=beta, loss_type=loss_type, epsilon_low=shape.epsilon,
        epsilon_high=shape.epsilon_high, use_vllm=False, max_completion_length=shape.longest,
        current_gradient_accumulation_steps=1, model=torch.nn.Identity(),
        args=SimpleNamespace(use_bias_correction_kl=False, delta=None),
        accelerator=SimpleNamespace(
            gather=lambda value: value, gather_for_metrics=lambda value: value, reduce=lambda value, **_: value,
            num_processes=1,
        ),
        _entropy_bonus_enabled=False, _metrics=defaultdict(lambda: defaultdict(list)),
    )  # fmt: skip
    ids = torch.zeros(mask.shape, dtype=torch.long)
    inputs = {
        "prompt_ids": ids[:, :1], "prompt_mask": mask[:, :1].long(), "completion_ids": ids,
        "completion_mask": mask.long(), "advantages": advantages, "old_per_token_logps": old,
        "ref_per_token_logps": reference, "num_items_in_batch": mask.sum(),
    }  # fmt: skip
    return float(trainer._compute_loss(stand_in, stand_in.model, inputs))
