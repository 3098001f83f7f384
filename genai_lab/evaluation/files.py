"""Predictions and references out of a file that somebody else made."""

from collections.abc import Sequence
from pathlib import Path

from genai_lab.data import guarded, readers
from genai_lab.data.sniffing import FileOptions
from genai_lab.errors import LabError

WHOLE = FileOptions(as_is=True)  # a column of predictions alone is enough for some metrics


def predictions_of(path: Path, prediction: str, references: Sequence[str]) -> tuple[list[list[str]], list[list[str]]]:
    """The completions and the references of each row; a list in a cell holds several of them.

    Raises LabError for a file that cannot be read, a missing column or an empty reference, naming the row.
    """
    if not path.is_file():
        raise LabError(f"There is no file {path}; give the path of a table of predictions.")
    predictions: list[list[str]] = []
    all_references: list[list[str]] = []
    for number, item in enumerate(readers.only_rows(guarded.read(path, options=WHOLE)), 1):
        for name in (prediction, *references):
            if name not in item:
                raise LabError(f"Row {number:,} has no column {name!r}. It has: {', '.join(item)}.")
        texts = item[prediction] if isinstance(item[prediction], list) else [item[prediction]]
        if not texts or any(text is None or isinstance(text, list | dict) for text in texts):
            raise LabError(
                f"Row {number:,}, column {prediction!r}: a prediction must be a text or a number, or a list of them."
            )
        row_references: list[str] = []
        for name in references:
            value = item[name]
            row_references += [
                readers.text_of(item_text)
                for item_text in (value if isinstance(value, list) else [value])
                if item_text is not None
            ]
        if references and not row_references:
            raise LabError(f"Row {number:,} has no reference in {', '.join(references)}.")
        predictions.append([readers.text_of(text) for text in texts])
        all_references.append(row_references)
    if not predictions:
        raise LabError("The file has no rows.")
    return predictions, all_references
