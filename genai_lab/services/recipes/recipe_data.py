"""The data of recipes: which recipe a file suits, and its rows as a dataset with the recipe's roles and labels."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.data import BadRow, BadRows, Note, SplitPlan, guarded, hub, readers
from genai_lab.data.hub import HubDataset
from genai_lab.data.sniffing import FileOptions
from genai_lab.errors import LabError
from genai_lab.recipes import RECIPES, Recipe, RecipeData, all_recipes
from genai_lab.services import datasets
from genai_lab.services.datasets.importing import ImportPreview, file_hash
from genai_lab.services.datasets.views import VersionView
from genai_lab.views import View

LOOKED_AT = 200
MOST_ROWS = 20_000  # of the Hub's copy
SPLIT = SplitPlan("auto", (0.7, 0.1, 0.2), seed=1)


@dataclass(frozen=True)
class FileMatch(View):
    """A file as the data of a recipe: the column of each role, what else was told of the file, and whether its labels
    are to be written as the recipe writes them; `by_line` where the recipe's own pattern reads its lines.
    """

    recipe: str
    filename: str
    roles: dict[str, str]
    renames: bool
    notes: tuple[str, ...] = ()
    by_line: bool = False


def recognise(lab: LabContext, path: Path, filename: str = "", preferred: str = "") -> FileMatch:
    """The recipe whose data the file is, `preferred` first; raises LabError where it is that of none."""
    filename = filename or path.name
    recipes = sorted(all_recipes(), key=lambda recipe: recipe.name != preferred)
    if _is_plain_text(filename):
        for recipe in (recipe for recipe in recipes if recipe.data.line):
            if (match := _match_lines(recipe, path, filename)) is not None:
                return match
    preview = datasets.preview(path, filename, LOOKED_AT)
    for recipe in recipes:
        if (roles := _roles(recipe.data, preview)) is not None:
            renames = _renames(recipe.data, preview.rows, roles)
            return FileMatch(recipe.name, filename, roles, renames, tuple(preview.notes))
    raise LabError(
        f"{filename} is the data of no recipe: its columns are {', '.join(preview.columns)}. {_needs(recipes)}"
    )


def _is_plain_text(filename: str) -> bool:
    """Whether the name is that of no table: of a text, or with an ending of the data's publisher, such as .label."""
    try:
        return readers.kind_of(filename)[0] in ("", ".txt")
    except LabError:
        return True


def _match_lines(recipe: Recipe, path: Path, filename: str) -> FileMatch | None:
    """The file as the recipe's lines; None where one of its first lines is none of them."""
    data = recipe.data
    try:
        rows = list(itertools.islice(_rows_of_lines(data, path, filename), LOOKED_AT))
    except LabError:
        return None
    roles = data.roles_of(list(rows[0]), rows, {}) if rows else None
    return FileMatch(recipe.name, filename, roles, True, by_line=True) if roles else None


def _rows_of_lines(data: RecipeData, path: Path, filename: str) -> Iterator[dict[str, Any]]:
    """The rows that the lines hold; raises LabError at the first that is none, and where the file cannot be read."""
    as_text = "lines.txt.gz" if filename.lower().endswith(".gz") else "lines.txt"
    items = readers.only_rows(guarded.read(path, as_text, FileOptions(encoding=data.encoding)))
    for number, item in enumerate(items, 1):
        if (row := data.row_of_line(item["text"])) is None:
            raise LabError(f"Line {number:,} of {filename} is none of {data.name}; mend or remove it.")
        yield row


def fitting_versions(lab: LabContext, recipe: Recipe) -> list[VersionView]:
    """The datasets of this lab that the recipe can run on, newest first: they have its roles, and its labels alone."""
    fitting = []
    for view in datasets.find(lab, "", 200)[0]:
        if all(view.roles.get(role) for role in recipe.data.columns) and "train" in view.splits:
            names = datasets.labels(lab, view.id) if recipe.data.labels else ()
            if set(names) <= set(recipe.data.labels) and bool(names) == bool(recipe.data.labels):
                fitting.append(view)
    return fitting


def import_file(lab: LabContext, match: FileMatch, path: Path) -> VersionView:
    """The file as a dataset of the recipe's name; the version that is there already where it is the same."""
    data = RECIPES.get(match.recipe).data
    mapping = {role: [column] for role, column in match.roles.items()}
    if not match.renames:
        order = datasets.file_order(path, data.name, filename=match.filename, mapping=mapping, split=SPLIT)
        return datasets.make(lab, order)
    source = {"kind": "rows", "name": match.filename, "sha256": file_hash(path)}
    items = _rows_of_lines(data, path, match.filename) if match.by_line else guarded.read(path, match.filename)
    rows = _named_rows(data, match.roles, items)
    return datasets.import_rows(lab, list(rows), data.name, source, mapping=mapping, split=SPLIT)


def import_from_hub(lab: LabContext, recipe: Recipe) -> VersionView:
    """The Hub's copy of the recipe's data, its first rows; raises LabError where it has none or cannot be reached."""
    data = recipe.data
    if data.hub is None:
        raise LabError(f"The Hub has no copy of {data.name} that could be read; drop a file with its rows.")
    place = HubDataset(data.hub.repo, data.hub.configuration, data.hub.split, data.hub.revision)
    preview = datasets.preview_hub(place)
    roles = _roles(data, preview)
    if roles is None:
        raise LabError(f"{data.hub.repo} has other columns today ({', '.join(preview.columns)}); drop a file instead.")
    rows = list(_named_rows(data, roles, itertools.islice(hub.rows(place), MOST_ROWS)))
    mapping = {role: [column] for role, column in roles.items()}
    source = {"kind": "hub", **data.hub.as_dict(), "rows": len(rows)}
    return datasets.import_rows(lab, rows, data.name, source, mapping=mapping, split=SPLIT)


def _roles(data: RecipeData, preview: ImportPreview) -> dict[str, str] | None:
    return data.roles_of(preview.columns, preview.rows, preview.roles)


def _renames(data: RecipeData, rows: Iterable[Mapping[str, Any]], roles: Mapping[str, str]) -> bool:
    column = roles.get("label")
    return column is not None and any(data.label_of(row.get(column)) != row.get(column) for row in rows)


def _named_rows(data: RecipeData, roles: Mapping[str, str], items: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """The rows with the recipe's names for their labels; rows without one of the labels are left out."""
    column = roles.get("label")
    for item in items:
        if isinstance(item, BadRow):
            raise BadRows((item,), 1)
        if isinstance(item, Note):
            continue
        if column is None:
            yield item
        elif (label := data.label_of(item.get(column))) is not None:
            yield {**item, column: label}


def _needs(recipes: Iterable[Recipe]) -> str:
    """What columns the recipes need, in a sentence."""
    parts = []
    for data in {recipe.data.name: recipe.data for recipe in recipes}.values():
        names = " and ".join(columns[0] for columns in data.columns.values())
        labels = f" ({', '.join(data.labels)})" if data.labels else ""
        parts.append(f"{data.name} {names}{labels}")
    return f"They need: {'; '.join(parts)}."
