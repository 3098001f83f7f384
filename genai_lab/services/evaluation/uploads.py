"""Predictions that were made elsewhere, as systems: one a column of a file, on a dataset made of its other columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.data import Example
from genai_lab.data.readers import text_of
from genai_lab.errors import LabError
from genai_lab.services import datasets, runs
from storage import evaluation as queries
from storage.tables import RunInput


def systems(
    lab: LabContext, path: Path, predictions: Sequence[str], references: Sequence[str], source: str | None = None
) -> list[int]:
    """Imports the file as a dataset version and each prediction column as a system; returns their run ids.

    A cell that is a list holds several completions of its row. Raises LabError for bad rows and missing columns; then
    nothing is stored.
    """
    if not predictions:
        raise LabError("No prediction column is chosen; choose at least one.")
    both = sorted(set(predictions) & set(references))
    if both:
        raise LabError(f"The column {both[0]!r} is both prediction and reference; choose another for one of them.")
    mapping: dict[str, Sequence[str]] = {"reference": list(references), "metadata": list(predictions)}
    if source:
        mapping["input"] = [source]
    name = f"predictions {path.name.split('.')[0]}"[:60]
    name = "".join(letter if letter.isalnum() or letter in " ._-" else "-" for letter in name)
    version = datasets.import_file(lab, path, name, mapping=mapping, options=datasets.FileOptions(as_is=True))
    rows = datasets.examples(lab, version.id)
    ids = []
    with lab.database.session() as session:
        for column in predictions:
            run = runs.begin(
                session,
                queries.SYSTEM,
                [RunInput(role="dataset", dataset_version_id=version.id, content_hash=version.content_hash)],
                settings={
                    "label": column,
                    "uploaded": path.name,
                    "column": column,
                    "completions_per_row": max(len(_texts(row, column)) for row in rows),
                    "rows": len(rows),
                },
                seed=0,
                device=lab.config.device,
                status="finished",
            )
            generations = [
                (run.id, _generation(row, sample, text))
                for row in rows
                for sample, text in enumerate(_texts(row, column))
            ]
            queries.add_generations(session, generations)
            ids.append(run.id)
    return ids


def _texts(row: Example, column: str) -> list[str]:
    """The completions of a row: the items of a list, one empty text for an empty list, or the text of its cell."""
    value = row.values.get(column)
    if isinstance(value, list):
        return [text_of(item) for item in value] or [""]
    return [row.fields[column]]


def _generation(row: Example, sample: int, text: str) -> dict[str, Any]:
    return {
        "example": row.key,
        "row_index": row.key,
        "sample_index": sample,
        "rendered_prompt": row.input,
        "text": text,
        "finish_reason": "end of text",
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "seconds": 0.0,
        "seed": 0,
        "detail": {"uploaded": True},
    }
