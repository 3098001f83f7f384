"""What a run learns: one objective a file."""

from genai_lab.training.objective import Objective
from genai_lab.training.objectives.registry import OBJECTIVES

__all__ = ["OBJECTIVES", "Objective"]
