"""The starter models that can be built, by name."""

from genai_lab.registry import Registry
from genai_lab.starter.training import Recipe

RECIPES: Registry[Recipe] = Registry("starter model", "genai_lab.starter.recipes")
