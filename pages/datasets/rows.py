"""The rows of the selected version, page by page, and its profile."""

import math
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.data import SPLITS
from genai_lab.errors import LabError
from genai_lab.models import Card
from genai_lab.services import datasets as service
from genai_lab.services import models
from pages.components.errors import notice
from pages.components.forms import Form
from pages.components.head import empty_state_markup, section
from pages.components.selection import Selection
from pages.components.settings_inputs import Updates, Values
from pages.datasets import pieces, profiles

PAGE_SIZE = 20
MAX_PROFILED_AT_ONCE = 5_000  # rows of a version that is profiled when it is first shown
ALL_ROWS = "all rows"
PLACE = ["dataset", "rows.split", "rows.first"]
PANELS = ["rows.split", "rows.first", "rows.table", "profile.model", "profile.markup"]


def build_rows(form: Form) -> None:
    with gr.Row(elem_classes=["actions"]):
        split = gr.Dropdown(
            [ALL_ROWS], value=ALL_ROWS, label="Split", interactive=True, scale=0, min_width=160, elem_id="ds-split"
        )
        previous = gr.Button("Previous", size="sm", scale=0, elem_id="ds-previous")
        following = gr.Button("Next", size="sm", scale=0, elem_id="ds-next")
        row = gr.Number(1, label="From row", precision=0, minimum=1, scale=0, min_width=120, elem_id="ds-goto")
    table = pieces.markup("ds-rows", pieces.OPEN_ROWS)
    form.add({"rows.split": split, "rows.previous": previous, "rows.next": following, "rows.row": row})
    form.add({"rows.table": table, "rows.first": gr.State(0)})


def build_profile(form: Form) -> None:
    with gr.Row(elem_classes=["actions"]):
        model = gr.Dropdown([], label="Count tokens with", interactive=True, scale=0, min_width=220, elem_id="ds-model")
        run = gr.Button("Profile", variant="primary", size="sm", scale=0, elem_id="ds-profile-run")
    section("Contents")
    form.add({"profile.model": model, "profile.run": run, "profile.markup": pieces.markup("ds-profile")})


def wire(lab: LabContext, form: Form, selection: Selection) -> None:
    def on(event: Any, fn: Any, *bound: Any, inputs: list[str], outputs: list[str], **options: Any) -> None:
        form.on(event, selection.for_choice(fn, *bound), inputs=inputs, outputs=outputs, **options)

    page = ["rows.first", "rows.table"]
    on(form["rows.split"].input, first_page, lab, inputs=PLACE, outputs=page)
    # A click while the last page is still being read counts too.
    on(form["rows.previous"].click, turn_page, lab, -1, inputs=PLACE, outputs=page, trigger_mode="multiple")
    on(form["rows.next"].click, turn_page, lab, 1, inputs=PLACE, outputs=page, trigger_mode="multiple")
    on(form["rows.row"].submit, go_to_row, lab, inputs=[*PLACE, "rows.row"], outputs=page)
    profile = {"inputs": ["dataset", "profile.model"], "outputs": ["profile.markup"]}
    on(form["profile.run"].click, run_profile, lab, **profile)
    on(form["profile.model"].input, show_profile, lab, queue=False, **profile)


def render(lab: LabContext, view: service.VersionView) -> Updates:
    """The first rows of a version and its profile."""
    names = [card.name for card in _cards_with_tokenizer(lab)]
    model = measured_model(view) or (names[0] if names else None)
    return {
        "rows.split": gr.update(choices=[ALL_ROWS, *view.splits], value=ALL_ROWS),
        "rows.first": 0,
        "rows.table": _page(lab, view, ALL_ROWS, 0),
        "profile.model": gr.update(choices=names, value=model),
        "profile.markup": _first_profile(lab, view),
    }


def first_page(lab: LabContext, values: Values) -> Updates:
    return _go_to(lab, values, 0)


def turn_page(lab: LabContext, step: int, values: Values) -> Updates:
    """The next page (step 1), or the one before (-1); the last page may begin anywhere."""
    total = _total(version(lab, values["dataset"]), values["rows.split"])
    last = max(0, math.ceil(total / PAGE_SIZE) - 1) * PAGE_SIZE
    first = int(values["rows.first"])
    return _go_to(lab, values, min(max(0, first + step * PAGE_SIZE), max(last, first) if step > 0 else last))


def go_to_row(lab: LabContext, values: Values) -> Updates:
    return _go_to(lab, values, int(values["rows.row"] or 1) - 1)


def _go_to(lab: LabContext, values: Values, first: int) -> Updates:
    view, split = version(lab, values["dataset"]), values["rows.split"]
    first = min(max(0, first), max(0, _total(view, split) - 1))
    return {"rows.first": first, "rows.table": _page(lab, view, split, first)}


def _page(lab: LabContext, view: service.VersionView, split: str, first: int) -> str:
    try:
        rows = service.page(lab, view.id, first, PAGE_SIZE, selected_split(split))
    except LabError as problem:
        return empty_state_markup("The rows cannot be read", str(problem))
    return pieces.rows_markup(view, rows, first, _total(view, split))


def selected_split(split: str) -> str | None:
    return split if split in SPLITS else None


def _total(view: service.VersionView, split: str) -> int:
    return view.splits.get(split, 0) if split in SPLITS else view.rows


def version(lab: LabContext, name: str) -> service.VersionView:
    """The selected version; raises LabError where none is."""
    if not name:
        raise LabError("No dataset is selected; select one in the table.")
    return service.show(lab, name)


def run_profile(lab: LabContext, values: Values) -> Updates:
    """Computes the profile at once where that is quick, else by a job."""
    view, model = version(lab, values["dataset"]), values["profile.model"] or ""
    if view.rows > service.SMALL:
        service.start_profile(lab, view.id, model)
        notice(f"{view.name} is being profiled; you can leave this page.")
        return {}
    return {"profile.markup": profiles.markup(service.profile(lab, view.id, model), model)}


def show_profile(lab: LabContext, values: Values) -> Updates:
    view = version(lab, values["dataset"])
    return {"profile.markup": profiles.markup(view.profile, values["profile.model"] or "")}


def _first_profile(lab: LabContext, view: service.VersionView) -> str:
    """The saved profile; that of a small version is computed when it is first shown."""
    profile = view.profile
    if profile is None and view.rows <= MAX_PROFILED_AT_ONCE:
        try:
            profile = service.profile(lab, view.id)
        except LabError:
            profile = None
    return profiles.markup(profile, measured_model(view))


def measured_model(view: service.VersionView) -> str:
    """The first model in whose tokens the version has been measured."""
    return next(iter((view.profile or {}).get("lengths", {})), "")


def _cards_with_tokenizer(lab: LabContext) -> list[Card]:
    """Models whose tokenizer lies on this machine."""
    return [view.card for view in models.catalogue(lab) if view.card.has_weights]
