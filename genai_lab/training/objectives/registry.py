"""The objectives by name; old names are still found."""

from genai_lab.registry import Registry
from genai_lab.training.objective import Objective
from genai_lab.training.plan import RENAMED_OBJECTIVES

OBJECTIVES: Registry[Objective] = Registry("objective", "genai_lab.training.objectives", RENAMED_OBJECTIVES)
