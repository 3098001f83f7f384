"""The datasets page: what is there, what is in it, and bringing more in."""

import math
from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.data import SPLITS
from genai_lab.errors import LabError
from genai_lab.services import datasets as service
from genai_lab.services import models
from pages.components import jobstrip
from pages.components.errors import PRIVATE, guarded, notice
from pages.components.head import empty_state_markup, page_head, section
from pages.components.opening import on_open
from pages.datasets import importing, pieces, profiles

TITLE = "Datasets"
ROUTE = "datasets"
PAGE = 20
LISTED = 100
AT_SIGHT = 5_000
KINDS = ("import", "import-hub", "profile")
ALL = "all rows"
SHOWN, TABLE, PROFILE = 12, 0, 9  # how many outputs draw() gives, and the places of two of them
_FETCH = """(path) => new Promise(done => setTimeout(() => {
  document.querySelector('#ds-file-out a, a#ds-file-out, #ds-file-out')?.click(); done();
}, 300))"""
Update = Any


def build(lab: LabContext) -> None:
    page_head(
        TITLE, "Tables of examples: imported once, never changed, so that every figure can be traced to its rows."
    )
    jobstrip.build(lab, KINDS)
    stuck, waiting, wait, drop, stop = _stuck()
    seen = gr.State([])
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            with gr.Row(elem_classes=["actions"]):
                search = gr.Textbox(label="Search", placeholder="Words in the name", max_lines=1, elem_id="ds-search")
            table = pieces.table("ds-table")
            archived = gr.Checkbox(
                False, label="Show archived", container=False, elem_classes=["quiet"], elem_id="ds-archived"
            )
        with gr.Column(scale=4, min_width=320):
            made, events = importing.build(lab)
    chosen = gr.Textbox("", visible="hidden", show_label=False, container=False, elem_id="ds-chosen")
    with gr.Column(visible=False, elem_id="ds-one") as one:
        detail = pieces.detail("ds-detail")
        csv, jsonl, file, archive, restore = _buttons()
        with gr.Accordion("Split again", open=False, elem_id="ds-again"):
            fields = importing.split_fields("ds-again")
            again = gr.Button("Split again", variant="primary", size="sm", scale=0, min_width=110, elem_id="ds-resplit")
        with gr.Tabs(elem_id="ds-tabs"):
            with gr.Tab("Rows", id="rows"):
                split, place, newer, older, goto, rows = _rows()
            with gr.Tab("Profile", id="profile"):
                model, run, profile = _profile()
    listing = [search, archived]
    shown = [table, one, detail, archive, restore, split, place, rows, model, profile, fields[4], chosen]
    on_open(opened, shown, lab)
    table.select(guarded(choose, lab), listing, shown, **PRIVATE)
    detail.select(guarded(choose, lab), listing, shown, **PRIVATE)
    for change in (search.change, archived.change):
        change(guarded(listed, lab), listing, table, trigger_mode="always_last", **PRIVATE)
    for event in events:
        event.success(guarded(draw_made, lab), [made, chosen, *listing], shown, **PRIVATE)
    turn = [chosen, split, place]
    split.input(guarded(first_page, lab), [chosen, split], [place, rows], **PRIVATE)
    newer.click(guarded(turned, lab, -1), turn, [place, rows], **PRIVATE)
    older.click(guarded(turned, lab, 1), turn, [place, rows], **PRIVATE)
    goto.submit(guarded(gone_to, lab), [chosen, split, goto], [place, rows], **PRIVATE)
    run.click(guarded(profiled, lab), [chosen, model], profile, **PRIVATE)
    model.input(guarded(profile_shown, lab), [chosen, model], profile, queue=False, **PRIVATE)
    for button, form in ((csv, "csv"), (jsonl, "jsonl")):
        button.click(guarded(exported, lab, form), [chosen, split], file, **PRIVATE).success(
            None, file, None, js=_FETCH, **PRIVATE
        )
    fields[0].change(importing.way_chosen, fields[0], fields[1:], queue=False, **PRIVATE)
    again.click(guarded(split_again, lab), [chosen, *listing, *fields], shown, **PRIVATE)
    archive.click(guarded(put_away, lab), [chosen, *listing], shown, **PRIVATE)
    restore.click(guarded(brought_back, lab), [chosen, *listing], shown, **PRIVATE)
    drop.click(guarded(drop_stuck, lab), waiting, [stuck, waiting, wait], **PRIVATE)
    stop.click(guarded(stop_stuck, lab), waiting, [stuck, waiting, wait], **PRIVATE)
    on_open(stuck_now, [stuck, waiting, wait], lab)
    gr.Timer(1.5).tick(
        guarded(tick, lab), [seen, chosen, *listing], [seen, stuck, waiting, wait, *shown], queue=False, **PRIVATE
    )


def _stuck() -> tuple[Any, ...]:
    """What an import by a job could not read, with the question what to do."""
    box, waiting = pieces.markup("ds-stuck"), gr.State(0)
    with gr.Row(visible=False, elem_classes=["actions"]) as row:
        drop = gr.Button("Drop these rows", variant="primary", size="sm", scale=0, elem_id="ds-stuck-drop")
        stop = gr.Button("Stop", size="sm", scale=0, elem_id="ds-stuck-stop")
    return box, waiting, row, drop, stop


def _buttons() -> tuple[Any, ...]:
    with gr.Row(elem_classes=["actions"]):
        csv = gr.Button("Export CSV", size="sm", scale=0, elem_id="ds-csv")
        jsonl = gr.Button("Export JSONL", size="sm", scale=0, elem_id="ds-jsonl")
        file = gr.DownloadButton("File", elem_classes=["offstage"], elem_id="ds-file-out")
        archive = gr.Button("Archive", size="sm", scale=0, elem_id="ds-archive")
        restore = gr.Button("Undo archive", size="sm", scale=0, visible=False, elem_id="ds-restore")
    return csv, jsonl, file, archive, restore


def _rows() -> tuple[Any, ...]:
    place = gr.State(0)
    with gr.Row(elem_classes=["actions"]):
        split = gr.Dropdown(
            [ALL], value=ALL, label="Split", interactive=True, scale=0, min_width=160, elem_id="ds-split"
        )
        newer = gr.Button("Previous", size="sm", scale=0, elem_id="ds-previous")
        older = gr.Button("Next", size="sm", scale=0, elem_id="ds-next")
        goto = gr.Number(1, label="From row", precision=0, minimum=1, scale=0, min_width=120, elem_id="ds-goto")
    rows = pieces.markup("ds-rows", pieces.OPEN_ROWS)
    return split, place, newer, older, goto, rows


def _profile() -> tuple[Any, ...]:
    with gr.Row(elem_classes=["actions"]):
        model = gr.Dropdown(
            [], label="Lengths in tokens of", interactive=True, scale=0, min_width=220, elem_id="ds-model"
        )
        run = gr.Button("Profile", variant="primary", size="sm", scale=0, elem_id="ds-profile-run")
    section("What is in it")
    return model, run, pieces.markup("ds-profile")


# Drawing


def opened(lab: LabContext, request: gr.Request) -> Sequence[Update]:
    """The page as its address asks for it: ?dataset=NAME or NAME@2; a first file is then read at once."""
    service.warm()
    return draw(lab, request.query_params.get("dataset", ""), "", False)


def choose(lab: LabContext, search: str, archived: bool, event: gr.EventData) -> Sequence[Update]:
    return draw(lab, str(event.name), search, archived)


def listed(lab: LabContext, search: str, archived: bool) -> dict[str, Any]:
    views, total = service.find(lab, search or "", LISTED, archived=archived, newest=True)
    return pieces.listing(views, total, search)


def draw(lab: LabContext, name: str, search: str, archived: bool) -> Sequence[Update]:
    """Everything that depends on the chosen version, in the order of `shown`."""
    views, total = service.find(lab, search or "", LISTED, archived=archived, newest=True)
    view = _known(lab, name) if name else (views[0] if views and not search else None)
    table = pieces.listing(views, total, search)
    if view is None:
        return (table, gr.update(visible=False), {}, *[gr.skip()] * 8, "")
    known = [card.name for card in _countable(lab)]
    return (
        table,
        gr.update(visible=True),
        pieces.facts(view, service.versions(lab, view.dataset)),
        gr.update(visible=not view.archived),
        gr.update(visible=view.archived),
        gr.update(choices=[ALL, *view.splits], value=ALL),
        0,
        _page(lab, view, ALL, 0),
        gr.update(choices=known, value=_measured(view) or (known[0] if known else None)),
        _sight(lab, view),
        gr.update(choices=list(view.column_names)),
        view.name,
    )


def draw_made(lab: LabContext, made: str, chosen: str, search: str, archived: bool) -> Sequence[Update]:
    """After an import: its version, or what was there where a job goes on with it."""
    return draw(lab, made or chosen, search, archived)


def tick(lab: LabContext, seen: list[str], name: str, search: str, archived: bool) -> Sequence[Update]:
    """Draws again where versions came, went or were profiled, here or elsewhere.

    What is chosen stays: an import of this page draws its own version at the same time, and must win. The first tick
    draws the table, too: a version may have come between the page's opening and it.
    """
    views, total = service.find(lab, search or "", LISTED, archived=archived, newest=True)
    held = service.stuck(lab)
    mark = [
        repr([(view.name, view.archived) for view in views] + [total, held.job_id if held else 0]),
        repr([(view.name, sorted((view.profile or {}).get("lengths", ["none"]))) for view in views]),
    ]
    if mark == seen:
        return gr.skip()
    shown: list[Any] = [gr.skip()] * SHOWN
    if not seen or seen[0] != mark[0]:
        shown = shown if name else list(draw(lab, "", search, archived))
        shown[TABLE] = pieces.listing(views, total, search)
    elif (view := _known(lab, name)) is not None:
        shown[PROFILE] = profiles.markup(view.profile, _measured(view))
    return (mark, *stuck_now(lab), *shown)


def _known(lab: LabContext, name: str) -> service.VersionView | None:
    try:
        return service.show(lab, name)
    except LabError:
        return None


def _one(lab: LabContext, name: str) -> service.VersionView:
    if not name:
        raise LabError("No dataset is chosen; choose one in the table.")
    return service.show(lab, name)


# Rows


def first_page(lab: LabContext, name: str, split: str) -> tuple[int, str]:
    return 0, _page(lab, _one(lab, name), split, 0)


def turned(lab: LabContext, way: int, name: str, split: str, place: int) -> tuple[int, str]:
    view = _one(lab, name)
    last = max(0, math.ceil(_total(view, split) / PAGE) - 1) * PAGE
    place = min(max(0, int(place) + way * PAGE), max(last, int(place) if way > 0 else last))
    place = min(place, max(0, _total(view, split) - 1))
    return place, _page(lab, view, split, place)


def gone_to(lab: LabContext, name: str, split: str, row: float) -> tuple[int, str]:
    view = _one(lab, name)
    place = min(max(0, int(row or 1) - 1), max(0, _total(view, split) - 1))
    return place, _page(lab, view, split, place)


def _page(lab: LabContext, view: service.VersionView, split: str, place: int) -> str:
    try:
        rows = service.page(lab, view.id, place, PAGE, split if split in SPLITS else None)
    except LabError as problem:
        return empty_state_markup("The rows cannot be read", str(problem))
    return pieces.rows_markup(view, rows, place, _total(view, split))


def _total(view: service.VersionView, split: str) -> int:
    return view.splits.get(split, 0) if split in SPLITS else view.rows


# Profile


def profiled(lab: LabContext, name: str, model: str | None) -> str | Update:
    """Computed at once where that is quick, else by a job."""
    view = _one(lab, name)
    if view.rows > service.SMALL:
        service.start_profile(lab, view.id, model or "")
        notice(f"{view.name} is being profiled; you may leave this page.")
        return gr.skip()
    return profiles.markup(service.profile(lab, view.id, model or ""), model or "")


def profile_shown(lab: LabContext, name: str, model: str | None) -> str:
    return profiles.markup(_one(lab, name).profile, model or "")


def _sight(lab: LabContext, view: service.VersionView) -> str:
    """The profile that is known; a small version's is computed at sight."""
    try:
        known = service.profile(lab, view.id) if view.profile is None and view.rows <= AT_SIGHT else view.profile
    except LabError:
        known = view.profile
    return profiles.markup(known, _measured(view))


def _measured(view: service.VersionView) -> str:
    """The first model in whose tokens it has been measured."""
    return next(iter((view.profile or {}).get("lengths", {})), "")


def _countable(lab: LabContext) -> list[Any]:
    """Models whose tokenizer lies on this machine."""
    return [view.card for view in models.catalogue(lab) if view.card.path is not None]


# Out and away


def exported(lab: LabContext, form: str, name: str, split: str) -> str:
    view = _one(lab, name)
    return str(service.export_file(lab, view.id, form, split if split in SPLITS else None))


def split_again(lab: LabContext, name: str, search: str, archived: bool, *fields: Any) -> Sequence[Update]:
    """The chosen version's rows in other splits, here and now or by a job."""
    view, plan = _one(lab, name), importing.plan_of(*fields)
    if view.rows > service.SMALL:
        service.start(lab, service.split_order(view, plan))
        notice(f"{view.dataset} is being split again; you may leave this page.")
        return [gr.skip()] * SHOWN
    made = service.split_again(lab, name, plan)
    told = ", ".join(f"{split} {count:,}" for split, count in made.splits.items())
    notice(f"These splits are here already as {made.name}." if made.again else f"Split again as {made.name}: {told}.")
    return draw(lab, made.name, search, archived)


def put_away(lab: LabContext, name: str, search: str, archived: bool) -> Sequence[Update]:
    view = _one(lab, name)
    service.archive(lab, view.dataset)
    notice(f"{view.dataset} is archived; Undo archive brings it back.")
    return draw(lab, name, search, archived)


def brought_back(lab: LabContext, name: str, search: str, archived: bool) -> Sequence[Update]:
    service.archive(lab, _one(lab, name).dataset, archived=False)
    return draw(lab, name, search, archived)


# Imports that wait for a word


def stuck_now(lab: LabContext) -> tuple[str, int, Update]:
    held = service.stuck(lab)
    if held is None:
        return "", 0, gr.update(visible=False)
    return pieces.bad_markup(held.rows, held.count, held.name), held.job_id, gr.update(visible=True)


def drop_stuck(lab: LabContext, job_id: int) -> tuple[str, int, Update]:
    if job_id:
        service.without_bad(lab, job_id)
    return stuck_now(lab)


def stop_stuck(lab: LabContext, job_id: int) -> tuple[str, int, Update]:
    if job_id:
        service.give_up(lab, job_id)
    return stuck_now(lab)
