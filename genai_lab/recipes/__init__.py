"""Recipes: experiments that run as they stand, each a question with the data, models and plan that answer it.

To add one, `RECIPES.register("name")(Recipe(...))` in a module of this package, or in a plugin.
"""

from genai_lab.recipes.recipe import RECIPES as RECIPES
from genai_lab.recipes.recipe import HubCopy as HubCopy
from genai_lab.recipes.recipe import Recipe as Recipe
from genai_lab.recipes.recipe import RecipeData as RecipeData
from genai_lab.recipes.recipe import Tuning as Tuning
from genai_lab.recipes.recipe import all_recipes as all_recipes
