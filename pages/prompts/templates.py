"""The library and the editor: their inputs, panels and wiring; `actions` holds what the buttons do."""

from dataclasses import fields
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.prompts import PARTS, Template
from genai_lab.prompts.library import TASKS
from genai_lab.services import prompting
from pages.components.copying import copy_computed
from pages.components.forms import Form
from pages.components.head import escaped_html, section
from pages.prompts import actions, pieces, preview, trying
from pages.prompts.separators import CHOICES

HELP = {item.name: item.metadata["help"] for item in fields(Template)}
HINTS = {"shot": "The instruction, a space and {{ reference }}"}
LINES = {"system": (2, 12), "instruction": (4, 24), "shot": (3, 16)}


def build(lab: LabContext) -> Form:
    form = Form(
        version=gr.Textbox("", visible="hidden", show_label=False, container=False, elem_id="prompts-open"),
        draft=gr.BrowserState(None, storage_key="genai-lab-prompts", secret="genai-lab"),
    )
    rows = prompting.KeptRows(lab)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=230):
            section("Library")
            form.add(_library())
        with gr.Column(scale=4, min_width=320):
            section("Template")
            form.add(_editor())
            buttons = _buttons(form)
            section("Versions")
            form.add(_versions())
            tag, untag = _tags(form)
        with gr.Column(scale=4, min_width=320):
            preview.build(lab, form, rows)
            trying.build(lab, form, rows)
    names = [*actions.EDITOR, *preview.START]
    opened = form.on_load(actions.load_page, lab, inputs=["draft"], outputs=[*actions.OUTPUTS, *preview.START])
    preview.draw(lab, form, rows, opened.then)
    _wire_library(lab, form)
    _wire_editor(lab, form, buttons, tag, untag)
    form.keep_draft(form["draft"], ["version", *names], names)
    return form


def _wire_library(lab: LabContext, form: Form) -> None:
    listing = [*actions.LISTING, "version"]
    form.on(
        form["library"].select,
        actions.on_library_select,
        lab,
        inputs=["source", *actions.LISTING],
        outputs=[*actions.OUTPUTS, "source"],
    )
    form.on(form["new"].click, actions.on_new, lab, inputs=actions.LISTING, outputs=actions.OUTPUTS)
    for name in actions.LISTING:
        form.on(
            form[name].change,
            actions.on_search,
            lab,
            inputs=listing,
            outputs=["library"],
            trigger_mode="always_last",
            queue=False,
        )


def _wire_editor(lab: LabContext, form: Form, buttons: dict[str, gr.Button], tag: gr.Button, untag: gr.Button) -> None:
    listing = [*actions.LISTING, "version"]
    parts = ["version", *PARTS]
    form.on(form["versions"].select, actions.on_version_select, lab, inputs=listing, outputs=actions.OUTPUTS)
    form.on(form["versions"].compare, actions.on_compare, lab, inputs=parts, outputs=["difference"])
    form.on(
        buttons["save"].click,
        actions.save,
        lab,
        inputs=[*actions.EDITOR, "message", *actions.LISTING],
        outputs=actions.OUTPUTS,
    )
    form.on(buttons["copy"].click, actions.copy, lab, inputs=listing, outputs=actions.OUTPUTS)
    copy_computed(buttons["link"], actions.version_link, [form["version"]])
    form.on(form["archive"].click, actions.archive, lab, inputs=listing, outputs=actions.OUTPUTS)
    form.on(form["restore"].click, actions.restore, lab, inputs=listing, outputs=actions.OUTPUTS)
    tags: dict[str, Any] = {"inputs": ["version", "tag"], "outputs": ["versions", "library", "tag"]}
    form.on(tag.click, actions.add_tag, lab, **tags)
    form.on(untag.click, actions.remove_tag, lab, **tags)
    for name in PARTS:
        form.on(
            form[name].change,
            actions.on_edit,
            lab,
            inputs=parts,
            outputs=["unsaved"],
            trigger_mode="always_last",
            queue=False,
        )


def _library() -> dict[str, Any]:
    with gr.Group():
        search = gr.Textbox(label="Search", placeholder="Words in name or task", max_lines=1, elem_id="prompts-search")
        task = gr.Dropdown(
            [("All tasks", ""), *((name, name) for name in TASKS)],
            value="",
            label="Task",
            interactive=True,
            elem_id="prompts-filter",
        )
    library = pieces.library("prompts-library")
    with gr.Row(elem_classes=["actions"]):
        new = gr.Button("New", size="sm", scale=0, min_width=70, elem_id="prompts-new")
        archived = gr.Checkbox(
            False, label="Show archived", container=False, elem_classes=["quiet"], elem_id="prompts-archived"
        )
    return {"search": search, "task_filter": task, "archived": archived, "library": library, "new": new}


def _editor() -> dict[str, Any]:
    with gr.Group():
        with gr.Row():
            name = gr.Textbox(label="Name", max_lines=1, scale=3, interactive=True, elem_id="prompts-name")
            task = gr.Dropdown(
                list(TASKS), label="Task", scale=2, interactive=True, allow_custom_value=True, elem_id="prompts-task"
            )
        texts = {
            part: gr.Textbox(
                label=part.capitalize(),
                info=HELP[part],
                lines=lines,
                max_lines=max_lines,
                interactive=True,
                elem_id=f"prompts-{part}",
                elem_classes=["mono"],
                placeholder=HINTS.get(part),
            )
            for part, (lines, max_lines) in LINES.items()
        }
        separator = gr.Dropdown(
            list(CHOICES),
            label="Separator",
            info=f"{HELP['separator']} Choose one, or type a text; \\n in it is a line break.",
            allow_custom_value=True,
            interactive=True,
            elem_id="prompts-separator",
        )
    message = gr.Textbox(
        label="Message",
        placeholder="What is new in this version",
        max_lines=1,
        interactive=True,
        elem_id="prompts-message",
    )
    return {"name": name, "task": task, **texts, "separator": separator, "message": message}


def _buttons(form: Form) -> dict[str, gr.Button]:
    with gr.Row(elem_classes=["actions"]):
        buttons = {
            "save": gr.Button("Save version", variant="primary", scale=0, min_width=110, elem_id="prompts-save"),
            "copy": gr.Button("Copy", scale=0, min_width=70, elem_id="prompts-copy"),
            "link": gr.Button("Copy link", scale=0, min_width=90, elem_id="prompts-link"),
        }
        form.add(
            archive=gr.Button("Archive", scale=0, min_width=80, elem_id="prompts-archive"),
            restore=gr.Button("Undo archive", scale=0, min_width=110, visible=False, elem_id="prompts-restore"),
            unsaved=escaped_html(
                "",
                html_template='{{#if value}}<p class="panel-note" role="status">{{value}}</p>{{/if}}',
                elem_classes=["plain"],
                js_on_load=None,
                elem_id="prompts-mark",
            ),
        )
    return buttons


def _versions() -> dict[str, Any]:
    return {
        "versions": pieces.version_table("prompts-versions"),
        "difference": pieces.difference("prompts-difference"),
    }


def _tags(form: Form) -> tuple[gr.Button, gr.Button]:
    with gr.Row(elem_classes=["actions"]):
        tag = gr.Textbox(
            placeholder="best",
            label="Tag of the open version",
            max_lines=1,
            scale=1,
            min_width=120,
            elem_id="prompts-tag",
        )
        form.add(tag=tag)
        add = gr.Button("Tag", size="sm", scale=0, min_width=60, elem_id="prompts-tag-put")
        remove = gr.Button("Remove tag", size="sm", scale=0, min_width=90, elem_id="prompts-tag-drop")
    return add, remove
