"""What policies wrote while they learned, and what that says of them."""

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

__all__ = [
    "LOG_RATIO",
    "ORDERS",
    "Frame",
    "PolicyProgress",
    "Redrawn",
    "Rollout",
    "TokenFigures",
    "as_text",
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
    "steps",
    "tokens_of",
]
