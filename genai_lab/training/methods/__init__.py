"""What a run trains: one method a file, from all weights to a few virtual tokens."""

from genai_lab.training.method import Method
from genai_lab.training.methods.registry import METHODS

__all__ = ["METHODS", "Method"]
