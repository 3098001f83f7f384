"""The learning rate of a run whose plan gives none: what is usual for its method, objective and size.

Models of a few million parameters learn well at ten times the rates that larger ones bear.
"""

from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES

SMALL = 10_000_000


def default_rate(method: str, objective: str, parameters: int | None) -> float:
    """`parameters` are the base's; where they are not known, the rate of a large model."""
    small = parameters is not None and parameters <= SMALL
    return OBJECTIVES.get(objective).learning_rate(METHODS.get(method), small)
