"""The plan of a recipe in this lab: which models are here to be asked, and every setting."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.models import Card
from genai_lab.models.shelf import SHELF
from genai_lab.recipes import RECIPES, Recipe
from genai_lab.services import models
from genai_lab.services.matrix import MatrixPlan
from genai_lab.services.models import shelf
from genai_lab.services.presets import BUILTIN
from genai_lab.services.recipes.recipe_data import fitting_versions
from genai_lab.services.training.studies import Held
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from genai_lab.views import View

SHELF_NAMES = tuple(entry.name for entry in SHELF)


@dataclass(frozen=True)
class ModelChoice(View):
    """The models that a recipe asks here, and a sentence where the first of its list is not among them; `coming` where
    that one is being downloaded.
    """

    models: tuple[str, ...]
    note: str = ""
    coming: bool = False


def choose_models(lab: LabContext, recipe: Recipe) -> ModelChoice:
    """The first model of the recipe's list that is here, and every other that is to stand beside it.

    A recipe that fine-tunes takes one model, and its copy for torch where there is one. Raises LabError where none is
    here.
    """
    present = {name: model for name in dict.fromkeys((*recipe.models, *recipe.others)) if (model := _here(lab, name))}
    first = next((name for name in recipe.models if name in present), None)
    if first is None:
        raise LabError(f"None of {', '.join(recipe.models)} is here; get one from the shelf of the Models page.")
    names = [first] if recipe.tuning else [first, *(name for name in recipe.others if name in present)]
    chosen = tuple(_for_torch(lab, present[name]) if recipe.tuning else present[name] for name in names)
    coming = first != recipe.models[0] and _is_coming(lab, recipe.models[0])
    return ModelChoice(tuple(dict.fromkeys(chosen)), _note(recipe.models[0], first, coming), coming)


def matrix_plan(
    recipe: Recipe, dataset: str, names: Sequence[str], splits: Sequence[str], rows: int | None = None
) -> MatrixPlan:
    """The matrix of a recipe over a dataset that has these splits."""
    return MatrixPlan(
        dataset=dataset,
        models=tuple(names),
        templates=(recipe.template,),
        shots=recipe.shots,
        selectors=(recipe.selector,),
        samplings=(replace(BUILTIN[recipe.preset], max_new_tokens=recipe.max_new_tokens),),
        seeds=(recipe.seed,),
        rows=rows or recipe.rows,
        sample_seed=recipe.seed,
        split=measured_split(splits),
        shot_split="train",
        rendering=recipe.format,  # type: ignore[arg-type]
        metrics=recipe.metrics,
    )


def training_plan(recipe: Recipe, dataset: str, model: str, steps: int | None = None) -> TrainingPlan:
    """The plan of a recipe's first method; a bake-off takes the others with the same settings."""
    if recipe.tuning is None:
        raise LabError(f"{recipe.title} trains nothing; it is a matrix.")
    settings: dict[str, Any] = dict(recipe.tuning.settings)
    if steps:
        settings |= {"max_steps": steps, "eval_steps": max(1, steps // 2)}
    return TrainingPlan(
        model,
        (DatasetSpec(dataset, (recipe.template,)),),
        objective="instruction",
        method=recipe.tuning.methods[0],
        training=Training(**settings, seed=recipe.seed),
    )


def tuning_plan(lab: LabContext, name: str) -> TrainingPlan:
    """The plan of a recipe's first method on the newest dataset of this lab that fits; raises LabError."""
    recipe = RECIPES.get(name)
    version = next(iter(fitting_versions(lab, recipe)), None)
    if version is None:
        raise LabError(f"{recipe.title} needs {recipe.data.about}; the Recipes page takes a file with it.")
    return training_plan(recipe, version.name, choose_models(lab, recipe).models[0])


def held_out_rows(recipe: Recipe, splits: Sequence[str], rows: int | None = None) -> Held:
    return Held(rows or recipe.rows, measured_split(splits), recipe.max_new_tokens, recipe.metrics, recipe.seed)


def measured_split(splits: Sequence[str]) -> str:
    """The split whose rows are answered: the test rows, or those for validation where there are none."""
    return "test" if "test" in splits or "validation" not in splits else "validation"


def torch_model(lab: LabContext, name: str) -> str | None:
    """The model itself, or its copy, if torch can train it; None for a GGUF file without a copy yet."""
    card = models.show(lab, name).card
    return name if _is_for_torch(card) else models.torch_copy(lab, name)


def _for_torch(lab: LabContext, name: str) -> str:
    return torch_model(lab, name) or name


def _is_for_torch(card: Card) -> bool:
    return card.source.backend != "gguf"


def _here(lab: LabContext, name: str) -> str | None:
    """What the catalogue calls a model of the shelf or of itself; None where it is not here."""
    if name in SHELF_NAMES:
        return next(iter(shelf.item(lab, name).models), None)
    try:
        return models.show(lab, name).card.name
    except LabError:
        return None


def _is_coming(lab: LabContext, name: str) -> bool:
    return name in SHELF_NAMES and shelf.item(lab, name).status == "coming"


def _note(wanted: str, taken: str, coming: bool) -> str:
    if taken == wanted:
        return ""
    state = "is being downloaded" if coming else "is not here (the shelf on the Models page has it)"
    world = " which knows a small made-up world alone," if taken.startswith("starter-") else ""
    return f"{wanted} {state}; {taken},{world} is asked in its place."
