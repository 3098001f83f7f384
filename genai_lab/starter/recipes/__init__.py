"""How each starter model is trained; one recipe a file."""

from genai_lab.starter.recipes.registry import RECIPES

__all__ = ["RECIPES"]
