"""The datasets page: what is there, what is in it, and importing more."""

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import datasets as service
from pages.components import jobstrip
from pages.components.errors import INTERNAL, notice
from pages.components.forms import Form, in_section, section
from pages.components.head import page_head
from pages.components.selection import Selection
from pages.components.settings_inputs import Updates, Values
from pages.datasets import importing, pieces, profiles, rows
from pages.datasets.splitting import FIELDS, draw_split_fields, read_split_plan, show_split_fields

TITLE = "Datasets"
ROUTE = "datasets"
MAX_LISTED = 100
JOB_KINDS = ("import", "import-hub", "profile")
LISTING = ["search", "show_archived"]
SELECTED = ["dataset", *LISTING]
SPLIT_FIELDS = [f"again.{name}" for name in FIELDS]
DETAIL = ["table", "selected", "detail", "archive", "restore", *rows.PANELS, "again.column"]
HELD_IMPORT = ["held_rows", "held_job", "held_buttons"]
_DOWNLOAD = """(path) => new Promise(done => setTimeout(() => {
  document.querySelector('#ds-file-out a, a#ds-file-out, #ds-file-out')?.click(); done();
}, 300))"""


def build(lab: LabContext) -> None:
    page_head(
        TITLE, "Tables of examples: imported once, never changed, so that every figure can be traced to its rows."
    )
    form = Form(dataset=gr.State(""), drawn_state=gr.State([]))
    jobstrip.build(lab, JOB_KINDS)
    _held_import(form)
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            with gr.Row(elem_classes=["actions"]):
                form.add(
                    search=gr.Textbox(label="Search", placeholder="Words in the name", max_lines=1, elem_id="ds-search")
                )
            form.add(table=pieces.table("ds-table"))
            form.add(
                show_archived=gr.Checkbox(
                    False, label="Show archived", container=False, elem_classes=["quiet"], elem_id="ds-archived"
                )
            )
        with gr.Column(scale=4, min_width=320):
            importing.build(lab, form)
    with gr.Column(visible=False, elem_id="ds-one") as selected:
        _selected_version(form)
    form.add(selected=selected)
    _wire(lab, form)


def _held_import(form: Form) -> None:
    """The rows that an import by a job could not read, with the question what to do."""
    form.add(held_rows=pieces.markup("ds-stuck"), held_job=gr.State(0))
    with gr.Row(visible=False, elem_classes=["actions"]) as held_buttons:
        form.add(
            held_drop=gr.Button("Drop these rows", variant="primary", size="sm", scale=0, elem_id="ds-stuck-drop"),
            held_stop=gr.Button("Stop", size="sm", scale=0, elem_id="ds-stuck-stop"),
        )
    form.add(held_buttons=held_buttons)


def _selected_version(form: Form) -> None:
    form.add(detail=pieces.detail("ds-detail"))
    with gr.Row(elem_classes=["actions"]):
        form.add(
            csv=gr.Button("Export CSV", size="sm", scale=0, elem_id="ds-csv"),
            jsonl=gr.Button("Export JSONL", size="sm", scale=0, elem_id="ds-jsonl"),
            file=gr.DownloadButton("File", elem_classes=["offstage"], elem_id="ds-file-out"),
            archive=gr.Button("Archive", size="sm", scale=0, elem_id="ds-archive"),
            restore=gr.Button("Undo archive", size="sm", scale=0, visible=False, elem_id="ds-restore"),
        )
    with gr.Accordion("Split again", open=False, elem_id="ds-again"):
        form.add(in_section(draw_split_fields("ds-again"), "again"))
        run = gr.Button("Split again", variant="primary", size="sm", scale=0, min_width=110, elem_id="ds-resplit")
        form.add({"again.run": run})
    with gr.Tabs(elem_id="ds-tabs"):
        with gr.Tab("Rows", id="rows"):
            rows.build_rows(form)
        with gr.Tab("Profile", id="profile"):
            rows.build_profile(form)


def _wire(lab: LabContext, form: Form) -> None:
    selection = Selection(key=lambda arguments: arguments[0]["dataset"])
    form.on_load(load_page, lab, selection, outputs=["dataset", "table"])
    form.on_load(start_reader)
    # Gradio tells a State's `change` event of answers from its queue only, so these handlers are queued.
    for pick in (form["table"].select, form["detail"].select):
        form.on(pick, select_version, selection, outputs=["dataset"], trigger_mode="multiple")
    form.on(form["dataset"].change, selection.on_choice(render, lab), inputs=SELECTED, outputs=DETAIL)
    for change in (form["search"].change, form["show_archived"].change):
        form.on(change, list_versions, lab, inputs=LISTING, outputs=["table"], trigger_mode="always_last")
    rows.wire(lab, form, selection)
    for format_name in ("csv", "jsonl"):
        exported = form.on(
            form[format_name].click, export, lab, format_name, inputs=["dataset", "rows.split"], outputs=["file"]
        )
        exported.success(None, form["file"], None, js=_DOWNLOAD, **INTERNAL)
    form.on(form["again.by"].change, on_split_change, inputs=["again.by"], outputs=SPLIT_FIELDS[1:], queue=False)
    form.on(form["again.run"].click, split_again, lab, inputs=["dataset", *SPLIT_FIELDS], outputs=["dataset"])
    for button, archived in (("archive", True), ("restore", False)):
        change_archive = selection.for_choice(archive, lab, archived)
        form.on(form[button].click, change_archive, inputs=SELECTED, outputs=DETAIL)
    for button, answer in (("held_drop", drop_held_rows), ("held_stop", stop_held_import)):
        form.on(form[button].click, answer, lab, inputs=["held_job"], outputs=HELD_IMPORT)
    form.on_load(held_import, lab, outputs=HELD_IMPORT)
    changed = ["drawn_state", *HELD_IMPORT, "dataset", "table", "profile.markup"]
    refresh_selected = selection.for_choice(refresh, lab)
    form.on(gr.Timer(1.5).tick, refresh_selected, inputs=["drawn_state", *SELECTED], outputs=changed)


# Drawing


def load_page(lab: LabContext, selection: Selection, request: gr.Request) -> Updates:
    """The page as its address asks for it: ?dataset=NAME or NAME@2, else the newest dataset.

    On a busy machine a version may be selected before this answer is there; then it stays selected.
    """
    view = _version_or_newest(lab, request.query_params.get("dataset", ""))
    name = view.name if view else ""
    table = list_versions(lab, {"search": "", "show_archived": False})
    return {"dataset": name, **table} if selection.holds(request.session_hash, name) else table


def start_reader() -> None:
    """So that the first file is read at once."""
    service.warm()


def select_version(selection: Selection, request: gr.Request, event: gr.EventData) -> Updates:
    """Rows of another version that are still being read are dropped from now on."""
    selection.choose(request.session_hash, str(event.name))
    return {"dataset": str(event.name)}


def list_versions(lab: LabContext, values: Values) -> Updates:
    views, total = _find(lab, values)
    return {"table": pieces.listing(views, total, values["search"] or "")}


def render(lab: LabContext, values: Values) -> Updates:
    """The table, and everything about the selected version."""
    view = _version(lab, values["dataset"])
    table = list_versions(lab, values)
    if view is None:
        return {**table, "selected": gr.update(visible=False), "detail": {}}
    return {
        **table,
        "selected": gr.update(visible=True),
        "detail": pieces.facts(view, service.versions(lab, view.dataset)),
        "archive": gr.update(visible=not view.archived),
        "restore": gr.update(visible=view.archived),
        **rows.render(lab, view),
        "again.column": gr.update(choices=list(view.column_names)),
    }


def refresh(lab: LabContext, values: Values) -> Updates:
    """Draws again where versions were added, removed or profiled, here or elsewhere.

    The selection stays, except where nothing was selected: then it is the newest version.
    """
    views, total = _find(lab, values)
    waiting = service.stuck(lab)
    drawn_state = [
        repr([(view.name, view.archived) for view in views] + [total, waiting.job_id if waiting else 0]),
        repr([(view.name, sorted((view.profile or {}).get("lengths", ["none"]))) for view in views]),
    ]
    if drawn_state == values["drawn_state"]:
        return {}
    updates = {"drawn_state": drawn_state, **held_import(lab)}
    selected = _version(lab, values["dataset"])
    if not values["drawn_state"] or values["drawn_state"][0] != drawn_state[0]:
        updates |= list_versions(lab, values)
        if selected is None and views and not values["search"]:
            updates["dataset"] = views[0].name
    elif selected is not None:
        updates["profile.markup"] = profiles.markup(selected.profile, rows.measured_model(selected))
    return updates


def _find(lab: LabContext, values: Values) -> tuple[list[service.VersionView], int]:
    return service.find(lab, values["search"] or "", MAX_LISTED, archived=values["show_archived"], newest=True)


def _version(lab: LabContext, name: str) -> service.VersionView | None:
    try:
        return service.show(lab, name) if name else None
    except LabError:
        return None


def _version_or_newest(lab: LabContext, name: str) -> service.VersionView | None:
    if name:
        return _version(lab, name)
    return next(iter(service.find(lab, "", 1, newest=True)[0]), None)


# Exporting, splitting again, archiving


def export(lab: LabContext, format_name: str, values: Values) -> Updates:
    view, split = rows.version(lab, values["dataset"]), rows.selected_split(values["rows.split"])
    return {"file": str(service.export_file(lab, view.id, format_name, split))}


def on_split_change(values: Values) -> Updates:
    return in_section(show_split_fields(values["again.by"]), "again")


def split_again(lab: LabContext, values: Values) -> Updates:
    """The selected version's rows in other splits, at once or by a job."""
    view, plan = rows.version(lab, values["dataset"]), read_split_plan(section(values, "again"))
    if view.rows > service.SMALL:
        service.start(lab, service.split_order(view, plan))
        notice(f"{view.dataset} is being split again; you can leave this page.")
        return {}
    new = service.split_again(lab, view.name, plan)
    sizes = ", ".join(f"{split} {count:,}" for split, count in new.splits.items())
    notice(f"These splits exist already as {new.name}." if new.again else f"Split again as {new.name}: {sizes}.")
    return {"dataset": new.name}


def archive(lab: LabContext, archived: bool, values: Values) -> Updates:
    """Archives the selected dataset, or brings it back."""
    view = rows.version(lab, values["dataset"])
    service.archive(lab, view.dataset, archived=archived)
    if archived:
        notice(f"{view.dataset} is archived; Undo archive brings it back.")
    return render(lab, values)


# Imports that wait for an answer


def held_import(lab: LabContext) -> Updates:
    waiting = service.stuck(lab)
    if waiting is None:
        return {"held_rows": "", "held_job": 0, "held_buttons": gr.update(visible=False)}
    markup = pieces.bad_markup(waiting.rows, waiting.count, waiting.name)
    return {"held_rows": markup, "held_job": waiting.job_id, "held_buttons": gr.update(visible=True)}


def drop_held_rows(lab: LabContext, values: Values) -> Updates:
    if values["held_job"]:
        service.without_bad(lab, values["held_job"])
    return held_import(lab)


def stop_held_import(lab: LabContext, values: Values) -> Updates:
    if values["held_job"]:
        service.give_up(lab, values["held_job"])
    return held_import(lab)
