"""Leave one out: what a completion earned less the mean of the other completions of its prompt.

Ahmadian et al., 2024: Back to basics, revisiting REINFORCE-style optimization for learning from human feedback, section
3.3. The completion is one action, so all of its tokens have the same advantage.
"""

from typing import Any

from genai_lab.alignment.estimators.base import ESTIMATORS, Advantages, Episode, flat_share, group_sums


class LeaveOneOut:
    name = "rloo"
    needs_values = False

    def advantages(self, episode: Episode, settings: Any) -> Advantages:
        returns = episode.returns
        sums, counts = group_sums(returns, episode.groups)
        others = (sums - returns) / (counts - 1).clamp(min=1)
        advantage = (returns - others) * (counts > 1)
        flat = flat_share(episode.score, episode.groups)
        return Advantages(advantage[:, None] * episode.mask, flat_groups=flat)


ESTIMATORS.register("rloo")(LeaveOneOut())
