"""Copies of the whole lab: make one while the lab works, download it, delete it, and how to restore it."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import backup_store as service
from pages.components import jobstrip
from pages.components.confirm import Confirm
from pages.components.copying import copy_component
from pages.components.errors import INTERNAL, event_handler, notice
from pages.components.forms import Form
from pages.components.head import html_part, page_head
from pages.components.settings_inputs import Updates, Values
from pages.components.stats import size_text

TITLE = "Backup"
ROUTE = "backup"
TICK_SECONDS = 1.0
_TABLE = """
{{#if value.waiting}}<div class="empty-state"><b>Reading the backups</b><p>One moment.</p></div>
{{else if value.problem}}<div class="empty-state" data-ready="yes"><b>The backups cannot be listed</b>
<p role="alert">{{value.problem}}</p></div>
{{else if value.rows.length}}<div class="grid-scroll" tabindex="0" role="region" aria-label="Backups">
<table class="grid backups" data-ready="yes"><thead><tr><th scope="col">Backup</th><th scope="col">Made (UTC)</th>
<th scope="col">Size</th><th scope="col">File</th></tr></thead><tbody>{{#each value.rows}}
<tr data-name="{{this.name}}" class="{{#if this.selected}}picked{{/if}}"><td><button type="button"
aria-label="Select {{this.name}}">{{this.name}}</button></td><td>{{this.date}}</td><td>{{this.size}}</td>
<td><a href="{{this.address}}" download="{{this.name}}" aria-label="Download {{this.name}}">Download</a></td></tr>
{{/each}}</tbody></table></div>
{{else}}<div class="empty-state" data-ready="yes"><b>No backups yet</b><p>Make one: it holds the database, data, models
and votes of this lab in one file.</p></div>{{/if}}
"""
_SELECT = """
element.addEventListener('click', event => {
  const row = event.target.closest('tr[data-name]');
  if (row && !event.target.closest('a')) trigger('select', { name: row.dataset.name });
});
"""
_STYLE = "backup.css"
_GUIDE = """
{{#if value.name}}<div class="restore-guide"><h2>Restore {{value.name}}</h2>
<p>A restore needs the app stopped: end it with Ctrl-C where it runs. Then run the commands below there. The first one
moves this lab aside, so that nothing is lost; the last one starts the app on what the backup holds.</p>
{{#if value.note}}<p>{{value.note}}</p>{{/if}}</div>{{/if}}
"""
SELECTED = ["name"]
CHANGED = ["table", "guide", "commands", "copy", "delete", "drawn_state"]


def build(lab: LabContext) -> None:
    page_head(TITLE, "A copy of the whole lab in one file, made while it works: database, data, models and votes.")
    form = Form(name=gr.State(""), drawn_state=gr.State(""))
    with gr.Row(elem_classes=["actions"]):
        make = gr.Button("Make a backup", variant="primary", scale=0, min_width=140, elem_id="backup-make")
    jobstrip.build(lab, (service.KIND,))
    form.add(table=html_part({"waiting": True}, _TABLE, "backup-table", _SELECT, sheet=_STYLE))
    with gr.Row(elem_classes=["actions"]):
        form.add(
            delete=gr.Button("Delete", size="sm", scale=0, min_width=70, visible=False, elem_id="backup-delete"),
            copy=gr.Button(
                "Copy commands", size="sm", scale=0, min_width=120, visible=False, elem_id="backup-copy"
            ),
        )  # fmt: skip
    confirm = Confirm("Delete", "backup-confirm")
    form.add(
        guide=html_part({}, _GUIDE, "backup-guide", sheet=_STYLE),
        commands=gr.Textbox(
            show_label=False, container=False, interactive=False, lines=3, visible=False, elem_classes=["mono"],
            elem_id="backup-commands",
        ),
    )  # fmt: skip
    _wire(lab, form, make, confirm)


def _wire(lab: LabContext, form: Form, make: gr.Button, confirm: Confirm) -> None:
    form.on_load(load_page, lab, outputs=["name", *CHANGED])
    form.on(make.click, start_backup, lab)
    form.on(form["table"].select, select_backup, lab, outputs=["name", *CHANGED])
    form["delete"].click(event_handler(ask_to_delete, confirm), form["name"], confirm.outputs, **INTERNAL)
    form.on(confirm.yes.click, delete_backup, lab, inputs=SELECTED, outputs=["name", *CHANGED]).then(
        confirm.close, None, confirm.outputs, **INTERNAL
    )
    copy_component(form["copy"], form["commands"])
    # A late tick must not undo a selection, so it never says which backup is selected.
    form.on(gr.Timer(TICK_SECONDS).tick, refresh, lab, inputs=["name", "drawn_state"], outputs=CHANGED, queue=False)


def load_page(lab: LabContext) -> Updates:
    """The newest backup is selected."""
    return {"name": "", **render(lab, {"name": ""})}


def start_backup(lab: LabContext) -> Updates:
    service.start(lab)
    return {}


def select_backup(lab: LabContext, event: gr.EventData) -> Updates:
    return {"name": str(event.name), **render(lab, {"name": str(event.name)})}


def ask_to_delete(confirm: Confirm, name: str) -> Sequence[Any]:
    if not name:
        raise LabError("No backup is selected; select the one to delete.")
    return confirm.ask(f"Delete {name}? Its file is removed from this machine and cannot be brought back.")


def delete_backup(lab: LabContext, values: Values) -> Updates:
    service.delete(lab, values["name"])
    notice(f"{values['name']} is deleted.")
    return {"name": "", **render(lab, {"name": ""})}


def refresh(lab: LabContext, values: Values) -> Updates:
    """Draws the page again where a backup was made or deleted; otherwise nothing leaves the server."""
    return {} if _state(lab, values["name"]) == values["drawn_state"] else render(lab, values)


def render(lab: LabContext, values: Values) -> Updates:
    """The list, and how the selected backup is restored."""
    state, name = _state(lab, values["name"]), values["name"]
    hidden = gr.update(visible=False)
    try:
        views = service.find(lab)
    except LabError as problem:
        table: dict[str, Any] = {"problem": str(problem)}
        views = []
    else:
        table = {"rows": [_row(view, view.name == name) for view in views]}
    selected = next((view for view in views if view.name == name), None)
    if selected is None:
        commands, guide = hidden, {}
    else:
        commands = gr.update(value="\n".join(service.restore_commands(lab, name)), visible=True)
        guide = {"name": name, "note": _note(lab)}
    buttons = gr.update(visible=selected is not None)
    return {
        "table": table,
        "guide": guide,
        "commands": commands,
        "copy": buttons,
        "delete": buttons,
        "drawn_state": state,
    }


def _state(lab: LabContext, name: str) -> str:
    """What the page shows, as one text."""
    try:
        return repr((name, [(view.name, view.bytes) for view in service.find(lab)]))
    except LabError as problem:
        return str(problem)


def _note(lab: LabContext) -> str:
    """What is different where the database is not a file of the lab's home."""
    if lab.database.reader.dialect.name == "sqlite":
        return ""
    return "This lab's database is a server's: let GENAI_LAB_DATABASE_URL name an empty database before the second one."


def _row(view: service.StoredBackup, selected: bool) -> dict[str, Any]:
    return {
        "name": view.name,
        "date": f"{view.created_at:%Y-%m-%d %H:%M:%S}",
        "size": size_text(view.bytes),
        "address": view.address,
        "selected": selected,
    }
