"""How each starter model is trained; one recipe a file."""

from genai_lab.registry import Registry
from genai_lab.starter.training import Recipe

RECIPES: Registry[Recipe] = Registry("starter model", __name__)
