"""What a recipe is made of: the data that it needs, as they are published, and everything of the run's plan."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from genai_lab.metrics import MetricSpec
from genai_lab.registry import Registry
from genai_lab.views import View

SMOLLM2 = "SmolLM2-135M-Instruct"


@dataclass(frozen=True)
class HubCopy(View):
    """Where the Hub has the data: an id, and the configuration, split and revision to read ("": all, the newest)."""

    repo: str
    configuration: str = ""
    split: str = ""
    revision: str = ""


@dataclass(frozen=True)
class RecipeData(View):
    """The data of a recipe. `columns` names, by role, the columns that published copies have, the best first.

    `labels` are the classes by name, and `label_names` what copies write for them, such as 0 and 1. Nothing of the data
    comes with the lab: a user drops a file, or the Hub has it. Where copies are plain text, a row a line, `line` is the
    pattern of a line, whose groups are columns, and `encoding` that of the text.
    """

    name: str
    about: str
    licence: str
    columns: Mapping[str, tuple[str, ...]]
    labels: tuple[str, ...] = ()
    label_names: Mapping[str, str] = field(default_factory=dict)
    hub: HubCopy | None = None
    published_at: str = ""
    line: str = ""
    encoding: str = "utf-8"

    def row_of_line(self, text: str) -> dict[str, str] | None:
        """The columns that a line of plain text holds, None where it is no line of the data."""
        match = re.fullmatch(self.line, text.strip())
        return match.groupdict() if match else None

    def label_of(self, value: Any) -> str | None:
        """The class that a cell names, None where it names none of them."""
        text = str(value).strip()
        by_key = {label.lower(): label for label in self.labels}
        return by_key.get(text.lower()) or by_key.get(str(self.label_names.get(text.lower(), "")).lower())

    def roles_of(
        self, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], guessed: Mapping[str, Sequence[str]]
    ) -> dict[str, str] | None:
        """The column of each role in a table of these columns; None where it is no copy of the data.

        A table without a header has the columns that were guessed by its content.
        """
        by_key = {name.lower().strip(): name for name in columns}
        roles: dict[str, str] = {}
        for role, names in self.columns.items():
            unnamed = [name for name in guessed.get(role, ()) if name.startswith("column ")]
            fitting = [by_key[name] for name in names if name in by_key] or unnamed
            if role == "label":
                fitting = [name for name in fitting if self._holds_labels(name, rows)]
            if not fitting:
                return None
            roles[role] = fitting[0]
        return roles if len(set(roles.values())) == len(roles) else None

    def _holds_labels(self, column: str, rows: Sequence[Mapping[str, Any]]) -> bool:
        values = [row.get(column) for row in rows]
        return bool(values) and all(self.label_of(value) is not None for value in values)


@dataclass(frozen=True)
class Tuning(View):
    """How a recipe fine-tunes: by which methods, with which settings of training, and what may be forgotten by it.

    `suites` are measured before and after; `rows` held-out rows of the recipe's own data too.
    """

    methods: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    suites: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Recipe(View):
    """A question, and the plan that answers it. Without `tuning` it is a matrix and the evaluation of its cells.

    `models` names models of the shelf or the catalogue in the order of preference: the first that is here is asked;
    every one of `others` that is here stands beside it. `figure` is the one that the answer is about.
    """

    name: str
    title: str
    question: str
    position: int
    data: RecipeData
    template: str
    metrics: tuple[MetricSpec, ...]
    figure: str
    shots: tuple[int, ...] = (0,)
    selector: str = "random"
    format: str = "by model"
    rows: int = 200
    seed: int = 1
    preset: str = "greedy"
    max_new_tokens: int = 64
    models: tuple[str, ...] = (SMOLLM2, "starter-causal")
    others: tuple[str, ...] = ()
    tuning: Tuning | None = None

    @property
    def page(self) -> str:
        """The page whose form runs such a plan."""
        return "finetune" if self.tuning else "prompts"


RECIPES: Registry[Recipe] = Registry("recipe", "genai_lab.recipes")


def all_recipes() -> list[Recipe]:
    """Every recipe, in the order in which they are to be tried."""
    return sorted((RECIPES.get(name) for name in RECIPES), key=lambda recipe: (recipe.position, recipe.title))
