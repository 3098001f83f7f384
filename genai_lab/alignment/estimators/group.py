"""What a completion earned less the mean of its prompt's completions, divided by their standard deviation or not.

With the division it is GRPO (Shao et al., 2024: DeepSeekMath, section 4.1.1), without it Dr. GRPO (Liu et al., 2025:
Understanding R1-Zero-like training, section 3.2).
"""

from typing import Any

from genai_lab.alignment.estimators.base import ESTIMATORS, Advantages, Episode, flat_share, group_sums

SMALLEST = 1e-4  # added to a standard deviation, which may be 0


class Group:
    name = "group"
    needs_values = False

    def advantages(self, episode: Episode, settings: Any) -> Advantages:
        """`settings` have scale_rewards: "group", or "none"."""
        returns, groups = episode.returns, episode.groups
        sums, counts = group_sums(returns, groups)
        advantage = returns - sums / counts
        if settings.scale_rewards == "group":
            squares, _ = group_sums(advantage.square(), groups)
            advantage = advantage / ((squares / (counts - 1).clamp(min=1)).sqrt() + SMALLEST)
        return Advantages(advantage[:, None] * episode.mask, flat_groups=flat_share(episode.score, groups))


ESTIMATORS.register("group")(Group())
