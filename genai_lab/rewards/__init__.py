"""What a completion earns: one kind of reward a file, weighted and summed to a score."""

from genai_lab.rewards.base import REWARDS, RewardInput, RewardKind
from genai_lab.rewards.parts import RewardPart, read_parts, reward_roles
from genai_lab.rewards.scoring import RewardScorer, Scores

__all__ = ["REWARDS", "RewardInput", "RewardKind", "RewardPart", "RewardScorer", "Scores", "read_parts", "reward_roles"]
