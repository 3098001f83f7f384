"""What a run learns: one objective a file."""

from genai_lab.registry import Registry
from genai_lab.training.objective import Objective as Objective
from genai_lab.training.plan import RENAMED_OBJECTIVES

OBJECTIVES: Registry[Objective] = Registry("objective", __name__, RENAMED_OBJECTIVES)
