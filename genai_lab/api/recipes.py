"""Recipes: experiments that run as they stand, and what came of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from genai_lab.api.base import Future, Table, names_of
from genai_lab.api.datasets import Dataset
from genai_lab.api.evaluation import Evaluation
from genai_lab.api.training import Study
from genai_lab.context import LabContext
from genai_lab.recipes import RECIPES, Recipe, all_recipes
from genai_lab.services import jobs, recipes
from genai_lab.services.recipes import Answer, FileMatch


class RecipeRun(Future):
    """A run of a recipe: an evaluation, or a study where it fine-tunes; `answer` says what came of it."""

    def __init__(self, context: LabContext, name: str, id: int) -> None:
        super().__init__(context, id)
        self.recipe = name

    @property
    def view(self) -> Answer:
        return recipes.answer(self.context, self.recipe, self.id)

    @property
    def answer(self) -> Answer:
        return self.view

    @property
    def job_id(self) -> int | None:
        """The job that ends it."""
        view = self.view
        numbers = [view.evaluation]
        if view.forgetting is not None:
            numbers += Study(self.context, view.forgetting).view.evaluations.values()
        found_jobs = [job.id for number in numbers if number and (job := jobs.of_run(self.context, number))]
        return max(found_jobs, default=None)

    @property
    def evaluation(self) -> Evaluation | None:
        number = self.view.evaluation
        return None if number is None else Evaluation(self.context, number)

    @property
    def study(self) -> Study | None:
        number = self.view.study
        return None if number is None else Study(self.context, number)

    def table(self) -> Table[Any]:
        return Table(self.view.rows)

    def __repr__(self) -> str:
        view = self.view
        return "\n".join([super().__repr__(), *view.sentences, *view.verdicts])

    @property
    def title(self) -> str:
        return f"{RECIPES.get(self.recipe).title}, on {self.view.dataset}, {self.view.status}"

    def _address(self) -> str:
        return f"/recipes?recipe={self.recipe}&run={self.id}"


class Recipes:
    """The recipes of this lab; called, it lists them."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def __call__(self) -> Table[Recipe]:
        return self.list()

    def list(self) -> Table[Recipe]:
        """Every recipe, in the order in which they are to be tried."""
        return Table(all_recipes(), _summary)

    def get(self, name: str) -> Recipe:
        return RECIPES.get(name)

    def recognise(self, path: str | Path) -> FileMatch:
        """The recipe whose data a file is; raises LabError where it is that of none."""
        return recipes.recognise(self.context, Path(path))

    def models(self, name: str) -> tuple[str, ...]:
        """The models of this lab that the recipe asks unless others are named."""
        return recipes.choose_models(self.context, RECIPES.get(name)).models

    def run(
        self,
        name: str,
        data: Any = "",
        *,
        models: Any = (),
        rows: int | None = None,
        max_steps: int | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> RecipeRun:
        """Runs a recipe on a file, a dataset of the lab or "hub", and returns once its runs are queued.

        Without `data` the newest dataset of the recipe's name. `models`, `rows` and `max_steps` replace its own.
        """
        source = data.name if isinstance(data, Dataset) else str(data)
        names: Sequence[str] = names_of(models)
        started = recipes.run(
            self.context, name, source, models=names, rows=rows, steps=max_steps, tell=tell
        )  # fmt: skip
        return RecipeRun(self.context, name, started.run_id)

    def latest(self, name: str) -> RecipeRun | None:
        """The newest run of a recipe; None where it has not been run."""
        number = recipes.latest(self.context, name)
        return None if number is None else RecipeRun(self.context, name, number)


def _summary(recipe: Recipe) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "title": recipe.title,
        "data": recipe.data.about,
        "licence": recipe.data.licence,
        "models": ", else ".join(recipe.models),
    }
