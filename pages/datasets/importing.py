"""Importing rows: choose a source, look at its first rows, say what the columns mean, import."""

from pathlib import Path
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.data import ROLES, BadRows
from genai_lab.data.hub import HubDataset
from genai_lab.errors import LabError
from genai_lab.services import datasets as service
from genai_lab.starter import requests
from genai_lab.starter.tasks import TASKS
from pages.components.errors import notice
from pages.components.forms import Form, in_section
from pages.components.forms import section as section_of
from pages.components.head import section
from pages.components.settings_inputs import Updates, Values
from pages.datasets import pieces, previews
from pages.datasets.previews import MULTIPLE, NO_BAD_ROWS, NO_QUESTION, PREVIEWED, QUESTION, ROLE_FIELDS
from pages.datasets.splitting import FIELDS, draw_split_fields, read_split_plan, show_split_fields

SPLIT_FIELDS = [f"split.{name}" for name in FIELDS]
VALUES = ["source", "name", *ROLE_FIELDS, *SPLIT_FIELDS]
MORE_ROLES = ("chosen", "rejected", "messages", "system", "metadata")
IMPORTED = ["dataset", "panel", "bad_rows", "bad_buttons", "source", *QUESTION]
ROLE_HELP = {
    "input": "What the model is asked",
    "context": "Extra text next to the input; may be empty",
    "reference": "The expected answer; several columns give several answers",
    "label": "The class label",
    "chosen": "The better answer of a pair",
    "rejected": "The worse answer of a pair",
    "messages": "A conversation",
    "system": "How the assistant should behave",
    "metadata": "Stored with the row, for example for buckets",
}


def build(lab: LabContext, page: Form) -> None:
    """Draws the panel. An imported version becomes the page's `dataset`."""
    section("Import", "Nothing is saved until you press Import.")
    form = Form(dataset=page["dataset"], source=gr.State({}))
    _source_tabs(form)
    with gr.Column(visible=False, elem_id="ds-form") as panel:
        _columns_and_splits(form)
        run = gr.Button("Import", variant="primary", scale=0, min_width=110, elem_id="ds-import")
    form.add(panel=panel, bad_rows=pieces.markup("ds-bad"))
    with gr.Row(visible=False, elem_classes=["actions"]) as bad_buttons:
        drop = gr.Button("Drop these rows", variant="primary", size="sm", scale=0, min_width=120, elem_id="ds-drop")
        stop = gr.Button("Stop", size="sm", scale=0, min_width=70, elem_id="ds-stop")
    form.add(bad_buttons=bad_buttons, question=pieces.markup("ds-doubt"))
    with gr.Row(visible=False, elem_classes=["actions"]) as question_buttons:
        confirm = gr.Button("Continue", variant="primary", size="sm", scale=0, min_width=160, elem_id="ds-confirm")
        dismiss = gr.Button("Cancel", size="sm", scale=0, min_width=90, elem_id="ds-leave")
    form.add(question_buttons=question_buttons, confirm=confirm)
    _wire_previews(lab, form)
    limit: dict[str, Any] = {"concurrency_id": "datasets"}
    form.on(confirm.click, previews.confirm_question, lab, inputs=["source"], outputs=PREVIEWED, **limit)
    form.on(dismiss.click, previews.dismiss_question, outputs=PREVIEWED, queue=False)
    form.on(form["split.by"].change, on_split_change, inputs=["split.by"], outputs=SPLIT_FIELDS[1:], queue=False)
    form.on(run.click, import_rows, lab, False, inputs=VALUES, outputs=IMPORTED, **limit)
    form.on(drop.click, import_rows, lab, True, inputs=VALUES, outputs=IMPORTED, **limit)
    form.on(stop.click, stop_import, outputs=["bad_rows", "bad_buttons"], queue=False)


def _wire_previews(lab: LabContext, form: Form) -> None:
    sources = (
        (form["upload.file"].change, previews.preview_upload, ["upload.file"]),
        (form["paste.preview"].click, previews.preview_paste, ["paste.text"]),
        (
            form["hub.preview"].click,
            previews.preview_hub,
            ["hub.repo", "hub.configuration", "hub.split", "hub.revision"],
        ),
        (form["starter.preview"].click, previews.preview_starter, ["starter.task"]),
    )
    limits: dict[str, Any] = {"concurrency_id": "datasets", "concurrency_limit": 2}
    for event, preview, inputs in sources:
        form.on(event, preview, lab, inputs=inputs, outputs=PREVIEWED, **limits)


def _source_tabs(form: Form) -> None:
    def preview_button(elem_id: str) -> gr.Button:
        return gr.Button("Preview", scale=0, min_width=90, elem_id=elem_id)

    with gr.Tabs(elem_id="ds-sources"):
        with gr.Tab("Upload", id="upload"):
            label = "CSV, TSV, JSON, JSON Lines, Parquet or text, also as .gz, up to 1 GB"
            file = gr.File(label=label, type="filepath", height=150, interactive=True, elem_id="ds-file")
            form.add({"upload.file": file})
        with gr.Tab("Paste", id="paste"):
            text = gr.Textbox(
                label="Rows as CSV, TSV, JSON or JSON Lines",
                info="The first line of CSV and TSV names the columns.",
                placeholder="text,label\nWhat a fine day,positive",
                lines=5,
                max_lines=12,
                interactive=True,
                elem_id="ds-text",
                elem_classes=["mono"],
            )
            form.add({"paste.text": text, "paste.preview": preview_button("ds-paste")})
        with gr.Tab("Hub", id="hub"):
            fields = {"repo": gr.Textbox(label="Hub id", placeholder="owner/name", max_lines=1, elem_id="ds-repo")}
            with gr.Row():
                fields |= {
                    "configuration": gr.Textbox(label="Configuration", max_lines=1, min_width=110, elem_id="ds-config"),
                    "split": gr.Textbox(
                        label="Split", placeholder="all", max_lines=1, min_width=110, elem_id="ds-hub-split"
                    ),
                    "revision": gr.Textbox(label="Revision", placeholder="main", max_lines=1, min_width=110),
                }
            form.add(in_section({**fields, "preview": preview_button("ds-hub")}, "hub"))
        with gr.Tab("Starter task", id="starter"):
            task = gr.Dropdown(
                [*((TASKS.get(name).title, name) for name in TASKS), (requests.TITLE, requests.RUDE_REQUESTS)],
                value="sentiment",
                label="Task",
                info="Rows generated by the lab for its starter models.",
                interactive=True,
                elem_id="ds-task",
            )
            form.add({"starter.task": task, "starter.preview": preview_button("ds-starter")})


def _columns_and_splits(form: Form) -> None:
    form.add(
        preview=pieces.markup("ds-preview", pieces.OPEN_ROWS),
        name=gr.Textbox(label="Dataset name", max_lines=1, interactive=True, elem_id="ds-name"),
    )
    with gr.Row():
        roles: dict[str, gr.Dropdown] = {role: _role(role) for role in ROLES if role not in MORE_ROLES}
    with gr.Accordion("More roles: preference pairs, conversations, metadata", open=False), gr.Row():
        roles |= {role: _role(role) for role in ROLES if role in MORE_ROLES}
    form.add(in_section(roles, "role"))
    form.add(in_section(draw_split_fields("ds"), "split"))


def _role(role: str) -> gr.Dropdown:
    return gr.Dropdown(
        [],
        label=role.capitalize(),
        info=ROLE_HELP[role],
        multiselect=role in MULTIPLE,
        interactive=True,
        min_width=150,
        elem_id=f"ds-role-{role}",
    )


def on_split_change(values: Values) -> Updates:
    return in_section(show_split_fields(values["split.by"]), "split")


def stop_import() -> Updates:
    """Nothing has been saved; the form stays for another try."""
    return NO_BAD_ROWS


def import_rows(lab: LabContext, drop_bad: bool, values: Values) -> Updates:
    """Imports at once, or by a job where it may take long; bad rows and a doubtful file are asked about first."""
    order = read_order(values, drop_bad)
    closed = {"panel": gr.update(visible=False), **NO_BAD_ROWS}
    if service.long(order):
        service.start(lab, order)
        notice(f"{order.name} is being imported; you can leave this page.")
        return {**closed, **NO_QUESTION}
    try:
        view = service.make(lab, order)
    except BadRows as problem:
        markup = pieces.bad_markup(problem.rows, problem.count)
        return {"bad_rows": markup, "bad_buttons": gr.update(visible=True), **NO_QUESTION}
    except service.NeedsChoice as question:
        return {**closed, **previews.ask(values["source"], question)}
    omitted = f" without {view.left_out_count:,} bad rows" if view.left_out_count else ""
    existing = f"These rows have already been imported as {view.name}; nothing was added."
    notice(existing if view.again else f"{view.rows:,} rows imported as {view.name}{omitted}.")
    return {"dataset": view.name, **closed, **NO_QUESTION}


def read_order(values: Values, drop_bad: bool) -> service.Order:
    """What to import, from the form's values; raises LabError."""
    source, name = values["source"], values["name"]
    if not source:
        raise LabError("There is nothing to import; upload a file, paste rows, or choose a task first.")
    columns = section_of(values, "role")
    mapping: dict[str, list[str]] = {
        role: column if role in MULTIPLE else [column] for role in ROLES if (column := columns[role])
    }
    fields = section_of(values, "split")
    if source["kind"] == "starter":
        return service.starter_order(source["task"], name, seed=int(fields["seed"] or 1))
    plan = read_split_plan(fields)
    if source["kind"] == "hub":
        return service.hub_order(HubDataset(*source["place"]), name, mapping=mapping, split=plan, drop_bad=drop_bad)
    return service.file_order(
        Path(source["file"]),
        name,
        filename=source["filename"],
        kind=source["kind"],
        mapping=mapping,
        split=plan,
        drop_bad=drop_bad,
        options=service.FileOptions(**source.get("options", {})),
    )
