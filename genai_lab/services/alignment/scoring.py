"""Parts of a score with their models in the lab's memory budget."""

from collections.abc import Sequence

from genai_lab.context import LabContext
from genai_lab.rewards import RewardPart, RewardScorer, read_parts
from genai_lab.services import models
from genai_lab.services.scorers import CachedScorer


def scorer_of(lab: LabContext, rewards: Sequence[str]) -> RewardScorer:
    """What scores completions by these rewards; raises LabError where one names a model that it cannot ask."""
    parts = read_parts(rewards)
    return RewardScorer(parts, {part.model: _model(lab, part) for part in parts if part.model})


def _model(lab: LabContext, part: RewardPart) -> CachedScorer:
    view = models.show(lab, part.model)
    models.check_ready(view)
    part.reward.check_model(view.card, part.settings)
    return CachedScorer(lab, view.card)
