"""Recipes in this lab: which one a file suits, which models it asks, running it, and what came of it."""

from genai_lab.services.recipes.answering import Answer as Answer
from genai_lab.services.recipes.answering import AnswerRow as AnswerRow
from genai_lab.services.recipes.answering import answer as answer
from genai_lab.services.recipes.answering import latest as latest
from genai_lab.services.recipes.planning import ModelChoice as ModelChoice
from genai_lab.services.recipes.planning import choose_models as choose_models
from genai_lab.services.recipes.planning import matrix_plan as matrix_plan
from genai_lab.services.recipes.planning import training_plan as training_plan
from genai_lab.services.recipes.planning import tuning_plan as tuning_plan
from genai_lab.services.recipes.recipe_data import FileMatch as FileMatch
from genai_lab.services.recipes.recipe_data import fitting_versions as fitting_versions
from genai_lab.services.recipes.recipe_data import recognise as recognise
from genai_lab.services.recipes.running import HUB as HUB
from genai_lab.services.recipes.running import StartedRecipe as StartedRecipe
from genai_lab.services.recipes.running import run as run
from genai_lab.services.recipes.running import run_steps as run_steps
