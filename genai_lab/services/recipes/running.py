"""Running a recipe: its data into the lab, its models as it needs them, and then one matrix or study, queued."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.recipes import RECIPES, Recipe
from genai_lab.services import datasets, evaluation, jobs, models
from genai_lab.services.datasets import VersionView
from genai_lab.services.recipes.planning import (
    choose_models,
    held_out_rows,
    matrix_plan,
    torch_model,
    training_plan,
)
from genai_lab.services.recipes.recipe_data import import_file, import_from_hub, recognise
from genai_lab.services.training import studies
from genai_lab.views import Linked, View

HUB = "hub"
Steps = Generator[str, None, "StartedRecipe"]


@dataclass(frozen=True)
class StartedRecipe(View, Linked):
    """A recipe that is under way: `run_id` is its evaluation, or its study where it fine-tunes; `job_ids` are all that
    it has queued, the last of which ends it.
    """

    _computed = ("address",)
    recipe: str
    dataset: str
    models: tuple[str, ...]
    run_id: int
    job_ids: tuple[int, ...]

    @property
    def address(self) -> str:
        return f"/recipes?recipe={self.recipe}&run={self.run_id}"


def run(
    lab: LabContext,
    name: str,
    data: str = "",
    *,
    models: Sequence[str] = (),
    rows: int | None = None,
    steps: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> StartedRecipe:
    """Runs a recipe; see `run_steps`. `tell` hears what is being done before the runs are queued."""
    going = run_steps(lab, name, data, models=models, rows=rows, steps=steps)
    while True:
        try:
            tell(next(going))
        except StopIteration as end:
            started: StartedRecipe = end.value
            return started


def run_steps(
    lab: LabContext,
    name: str,
    data: str = "",
    *,
    filename: str = "",
    models: Sequence[str] = (),
    rows: int | None = None,
    steps: int | None = None,
) -> Steps:
    """Says what it does, step by step, and returns what it has started. Raises LabError for what cannot work.

    `data` is a file, the name of a dataset of the lab, or "hub" for the Hub's copy; without it the newest dataset that
    came of the recipe's data. `models`, `rows` and `steps` stand in place of the recipe's own.
    """
    recipe = RECIPES.get(name)
    for number in (rows, steps):
        if number is not None and number < 1:
            raise LabError(f"{number} rows or steps are asked for; give a whole number from 1.")
    names = tuple(models) or choose_models(lab, recipe).models
    version = yield from _data_steps(lab, recipe, data, filename)
    if recipe.tuning is not None:
        return (yield from _tuning_steps(lab, recipe, version, names, rows, steps))
    plan = matrix_plan(recipe, version.name, names, list(version.splits), rows)
    queued = evaluation.run_models(lab, plan, title=recipe.title)
    return StartedRecipe(recipe.name, version.name, names, queued.run_id, (queued.matrix.job_id, queued.job_id))


def _data_steps(lab: LabContext, recipe: Recipe, data: str, filename: str) -> Generator[str, None, VersionView]:
    if data == HUB:
        yield f"Reading {recipe.data.hub.repo if recipe.data.hub else recipe.data.name} from the Hub."
        return import_from_hub(lab, recipe)
    path = Path(data)
    if data and (path.is_file() or filename):
        yield f"Importing {filename or path.name}."
        match = recognise(lab, path, filename, recipe.name)
        if match.recipe != recipe.name:
            title = RECIPES.get(match.recipe).title
            raise LabError(f"{match.filename} is not the data of {recipe.title} but of {title}; choose that one.")
        return import_file(lab, match, path)
    if not data:
        version = next((view for view in datasets.find(lab, recipe.data.name)[0] if _is_of(recipe, view)), None)
        if version is None:
            where = f", or take {recipe.data.hub.repo} from the Hub" if recipe.data.hub else ""
            raise LabError(f"{recipe.title} needs {recipe.data.about}; drop a file with it{where}.")
        return version
    return datasets.show(lab, data)


def _is_of(recipe: Recipe, view: VersionView) -> bool:
    return view.dataset == recipe.data.name and not view.archived


def _tuning_steps(
    lab: LabContext, recipe: Recipe, version: VersionView, names: Sequence[str], rows: int | None, steps: int | None
) -> Steps:
    if recipe.tuning is None or len(names) != 1:
        raise LabError(f"{recipe.title} tunes one model; {len(names)} are named.")
    base = torch_model(lab, names[0])
    if base is None:
        yield f"Making a copy of {names[0]} that torch can train, once."
        base = _converted(lab, names[0])
    yield f"Looking at what training {base} takes."
    plan = training_plan(recipe, version.name, base, steps)
    test_set = held_out_rows(recipe, list(version.splits), rows)
    study = studies.bake_off(lab, plan, recipe.tuning.methods, test_set, title=recipe.title)
    view = studies.show(lab, study)
    jobs_of_study = [job.id for run_id in view.evaluations.values() if (job := jobs.of_run(lab, run_id))]
    if recipe.tuning.suites:
        tuned = [run.model for run in view.runs if run.model]
        forgetting = studies.forgetting(lab, base, tuned, recipe.tuning.suites, title=f"{recipe.title}: forgotten")
        ids = studies.show(lab, forgetting).evaluations.values()
        jobs_of_study += [job.id for run_id in ids if (job := jobs.of_run(lab, run_id))]
    return StartedRecipe(recipe.name, version.name, (base,), study, tuple(jobs_of_study))


def _converted(lab: LabContext, name: str) -> str:
    job = jobs.wait(lab, models.convert_model(lab, name).job_id)
    copy = models.torch_copy(lab, name)
    if job.status != "finished" or copy is None:
        raise LabError(f"{name} could not be copied for torch ({job.error or job.status}).")
    return copy
