"""Generalised advantage estimation with a value head (Schulman et al., 2016, eq. 16), as PPO has it.

After the last token there is nothing more to come, whether the completion ended or was cut by length.
"""

from typing import Any

import torch

from genai_lab.alignment.estimators.base import ESTIMATORS, Advantages, Episode, whiten


class Gae:
    name = "gae"
    needs_values = True

    def advantages(self, episode: Episode, settings: Any) -> Advantages:
        """`settings` have gamma, lam and whiten_rewards."""
        assert episode.values is not None
        rewards, mask = episode.token_rewards, episode.mask
        if settings.whiten_rewards:
            rewards = whiten(rewards, mask, shift=False)
        values = episode.values * mask
        length = rewards.shape[1]
        following = torch.zeros_like(rewards[:, 0])
        columns = []
        for t in reversed(range(length)):
            next_values = values[:, t + 1] if t + 1 < length else torch.zeros_like(following)
            delta = rewards[:, t] + settings.gamma * next_values - values[:, t]
            following = (delta + settings.gamma * settings.lam * following) * mask[:, t]
            columns.append(following)
        advantages = torch.stack(columns[::-1], 1)
        return Advantages(whiten(advantages, mask), (advantages + values) * mask)


ESTIMATORS.register("gae")(Gae())
