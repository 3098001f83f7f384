"""The first rows of a source that may be imported, with a guess at what its columns mean.

`source` is what an import has to read, as JSON: {"kind": "file" or "paste", "file", "filename", "options"},
{"kind": "hub", "place"} or {"kind": "starter", "task"}. Where the file can be read in two ways, a question comes before
the preview, and "answer" holds the option that a yes sets.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.data import ROLES
from genai_lab.data.hub import HubDataset
from genai_lab.errors import LabError
from genai_lab.services import datasets as service
from pages.components.forms import in_section
from pages.components.settings_inputs import Updates, Values
from pages.datasets import pieces

MULTIPLE = ("reference", "metadata")  # roles that several columns may have
ROLE_FIELDS = [f"role.{role}" for role in ROLES]
QUESTION = ["question", "question_buttons", "confirm"]
PREVIEWED = [
    *("source", "panel", "preview", "name"),
    *ROLE_FIELDS,
    *("split.by", "split.column", "split.seed", "bad_rows", "bad_buttons"),
    *QUESTION,
]
NO_QUESTION: Updates = {"question": "", "question_buttons": gr.update(visible=False)}
NO_BAD_ROWS: Updates = {"bad_rows": "", "bad_buttons": gr.update(visible=False)}
NOTHING: Updates = {"source": {}, "panel": gr.update(visible=False), "preview": "", **NO_BAD_ROWS, **NO_QUESTION}
_EXTENSIONS = re.compile(r"(\.(csv|tsv|jsonl?|ndjson|parquet|txt))?(\.gz)?$", re.IGNORECASE)


def preview_upload(lab: LabContext, values: Values) -> Updates:
    file = values["upload.file"]
    if not file:
        return NOTHING
    return _preview_file(lab, {"kind": "file", "file": file, "filename": Path(file).name})


def preview_paste(lab: LabContext, values: Values) -> Updates:
    path = service.save_pasted_text(lab, values["paste.text"] or "")
    return _preview_file(lab, {"kind": "paste", "file": str(path), "filename": path.name})


def preview_hub(lab: LabContext, values: Values) -> Updates:
    parts = [(values[f"hub.{name}"] or "").strip() for name in ("repo", "configuration", "split", "revision")]
    dataset = HubDataset(*parts)
    by, column = ("none", "") if dataset.split else ("column", "split")
    source = {"kind": "hub", "place": parts}
    return _show(lab, source, service.preview_hub(dataset), dataset.repo.rpartition("/")[2], by, column)


def preview_starter(lab: LabContext, values: Values) -> Updates:
    task = values["starter.task"]
    source = {"kind": "starter", "task": task}
    return _show(lab, source, service.preview_starter(task), task, by="column", column="split", seed=1)


def confirm_question(lab: LabContext, values: Values) -> Updates:
    """The file again, read in the way that the question was about."""
    source = values["source"]
    if not source.get("answer"):
        return NOTHING
    return _preview_file(lab, {**source, "options": {**source.get("options", {}), **source["answer"]}})


def dismiss_question() -> Updates:
    return NOTHING


def ask(source: dict[str, Any], question: service.NeedsChoice) -> Updates:
    """The question about a file, with the button that says yes."""
    return {
        "source": {**source, "answer": {question.option: question.value}},
        "question": pieces.question_markup(question.sentence),
        "question_buttons": gr.update(visible=True),
        "confirm": question.action,
    }


def _preview_file(lab: LabContext, source: dict[str, Any]) -> Updates:
    """The preview of a file, or the question that comes before it."""
    path = Path(source["file"])
    try:
        preview = service.preview(path, options=service.FileOptions(**source.get("options", {})))
    except service.NeedsChoice as question:
        return {**NOTHING, **ask(source, question)}
    return _show(lab, source, preview, "pasted" if source["kind"] == "paste" else path.name)


def _show(
    lab: LabContext,
    source: dict[str, Any],
    preview: service.ImportPreview,
    title: str,
    by: str = "",
    column: str = "",
    seed: int = 0,
) -> Updates:
    """The preview and the form, filled with guesses."""
    columns = preview.columns
    if not columns and not preview.bad:
        raise LabError("There are no rows to import.")
    rows = [{**row, "_row": number} for number, row in enumerate(preview.rows, 1)]
    roles = {name: role for role, names in preview.roles.items() for name in names}
    table = pieces.short(pieces.grid(rows, columns, "Preview of the rows", roles))
    column = column or preview.split
    if not by:
        pairs = "chosen" in preview.roles and preview.roles.get("input")
        by = "column" if column else "group" if pairs else "ratio"
    if by == "group":
        column = preview.roles["input"][0]
    return {
        "source": source,
        "panel": gr.update(visible=True),
        "preview": pieces.note_markup(_note(lab, source, preview)) + table,
        "name": re.sub(r"[^\w .:-]+", "-", _EXTENSIONS.sub("", title))[:80],
        **in_section({role: _guess(role, preview.roles.get(role, ()), columns) for role in ROLES}, "role"),
        "split.by": by,
        "split.column": gr.update(choices=columns, value=column if column in columns else None),
        "split.seed": seed,
        **NO_BAD_ROWS,
        **NO_QUESTION,
    }


def _note(lab: LabContext, source: dict[str, Any], preview: service.ImportPreview) -> str:
    sentences = [f"The first {len(preview.rows)} rows."]
    versions = service.versions_of_file(lab, Path(source["file"])) if "file" in source else ()
    if versions:
        sentences.insert(0, f"This file has already been imported as {', '.join(versions)}.")
    if preview.bad:
        sentences.append(f"{len(preview.bad)} of the first rows cannot be read; Import lists them all.")
    return " ".join([*sentences, *preview.notes])


def _guess(role: str, names: Sequence[str], columns: Sequence[str]) -> Any:
    if role in MULTIPLE:
        return gr.update(choices=list(columns), value=list(names))
    return gr.update(choices=[("–", ""), *((name, name) for name in columns)], value=names[0] if names else "")
