"""What policies wrote while they learned, what that says of them, and the best of several completions."""

from genai_lab.alignment.records import EVALUATIONS, ROLLOUTS
from genai_lab.services.alignment.best_of_n import BestOfN, best_to_dataset
from genai_lab.services.alignment.browsing import (
    LOG_RATIO,
    ORDERS,
    Frame,
    Rollout,
    TokenFigures,
    film,
    listed,
    of_prompt,
    tokens_of,
)
from genai_lab.services.alignment.exporting import as_text
from genai_lab.services.alignment.policies import PolicyProgress, find, progress
from genai_lab.services.alignment.redrawing import Redrawn, policy_of, redraw
from genai_lab.services.alignment.rollouts import evaluations, folder, read, steps
from genai_lab.services.alignment.scoring import scorer_of

__all__ = [
    "EVALUATIONS",
    "LOG_RATIO",
    "ORDERS",
    "ROLLOUTS",
    "BestOfN",
    "Frame",
    "PolicyProgress",
    "Redrawn",
    "Rollout",
    "TokenFigures",
    "as_text",
    "best_to_dataset",
    "evaluations",
    "film",
    "find",
    "folder",
    "listed",
    "of_prompt",
    "policy_of",
    "progress",
    "read",
    "redraw",
    "scorer_of",
    "steps",
    "tokens_of",
]
