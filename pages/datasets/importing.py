"""Bringing rows in: choose where from, look at the first of them, say what the columns mean, import."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.data import ROLES, SPLITS, BadRows, SplitPlan
from genai_lab.data.hub import Place
from genai_lab.errors import LabError
from genai_lab.services import datasets as service
from genai_lab.starter.tasks import TASKS
from pages.components.errors import PRIVATE, guarded, notice
from pages.components.head import section
from pages.datasets import pieces

SEVERAL = ("reference", "metadata")
WAYS = [("All rows in one split", "none"), ("By ratio", "ratio"), ("By column", "column"), ("By group", "group")]
HELP = {
    "input": "What is asked",
    "context": "What stands beside the input; may be empty",
    "reference": "What a good answer is; several are several answers",
    "label": "The class",
    "chosen": "The better answer of a pair",
    "rejected": "The worse answer of a pair",
    "messages": "A conversation",
    "system": "How the assistant is to behave",
    "metadata": "Kept, and good for buckets",
}
Update = Any
CERTAIN = ("", gr.update(visible=False), gr.skip())  # no question about the file: its sentence, buttons, the yes


@dataclass
class Form:
    """What is asked between preview and import."""

    panel: gr.Column
    preview: gr.HTML
    name: gr.Textbox
    roles: list[gr.Dropdown]
    by: gr.Dropdown
    ratios: list[gr.Number]
    column: gr.Dropdown
    only: gr.Dropdown
    seed: gr.Number

    @property
    def split(self) -> list[Any]:
        return [self.by, *self.ratios, self.column, self.only, self.seed]

    @property
    def filled(self) -> list[Any]:
        """What a preview fills, after the state."""
        return [self.panel, self.preview, self.name, *self.roles, self.by, self.column, self.seed]

    @property
    def values(self) -> list[Any]:
        return [self.name, *self.roles, *self.split]


def build(lab: LabContext) -> tuple[gr.Textbox, list[Any]]:
    """Draws the panel; returns the box that gets the new version's name, and the events that fill it."""
    section("Import", "Nothing is kept before you press Import.")
    state, made = gr.State({}), gr.Textbox("", visible="hidden", show_label=False, container=False)
    sources = _tabs()
    form = _form()
    bad = pieces.markup("ds-bad")
    with gr.Row(visible=False, elem_classes=["actions"]) as ask:
        drop = gr.Button("Drop these rows", variant="primary", size="sm", scale=0, min_width=120, elem_id="ds-drop")
        stop = gr.Button("Stop", size="sm", scale=0, min_width=70, elem_id="ds-stop")
    doubt = pieces.markup("ds-doubt")
    with gr.Row(visible=False, elem_classes=["actions"]) as sure:
        confirm = gr.Button("Go on", variant="primary", size="sm", scale=0, min_width=160, elem_id="ds-confirm")
        leave = gr.Button("Leave it", size="sm", scale=0, min_width=90, elem_id="ds-leave")
    filled = [state, *form.filled, bad, ask, doubt, sure, confirm]
    busy = {"concurrency_id": "datasets", **PRIVATE}
    for trigger, fn, inputs in sources:
        trigger(guarded(fn, lab), inputs, filled, concurrency_id="datasets", concurrency_limit=2, **PRIVATE)
    confirm.click(guarded(confirmed, lab), state, filled, **busy)
    leave.click(_nothing, None, filled, queue=False, **PRIVATE)
    form.by.change(way_chosen, form.by, form.split[1:], queue=False, **PRIVATE)
    ended = [made, form.panel, bad, ask, state, doubt, sure, confirm]
    with form.panel:
        run = gr.Button("Import", variant="primary", scale=0, min_width=110, elem_id="ds-import")
    events = [
        run.click(guarded(imported, lab), [state, *form.values], ended, **busy),
        drop.click(guarded(dropped, lab), [state, *form.values], ended, **busy),
    ]
    stop.click(stopped, None, ended[:4], queue=False, **PRIVATE)
    return made, events


def _tabs() -> list[tuple[Any, Any, list[Any]]]:
    """(event, handler, inputs) of every way to look at rows."""
    with gr.Tabs(elem_id="ds-sources"):
        with gr.Tab("Upload", id="upload"):
            file = gr.File(
                label="CSV, TSV, JSON, JSON Lines, Parquet or text, also as .gz, up to 1 GB",
                type="filepath",
                height=150,
                interactive=True,
                elem_id="ds-file",
            )
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
            paste = gr.Button("Preview", scale=0, min_width=90, elem_id="ds-paste")
        with gr.Tab("Hub", id="hub"):
            repo = gr.Textbox(label="Hub id", placeholder="owner/name", max_lines=1, elem_id="ds-repo")
            with gr.Row():
                configuration = gr.Textbox(label="Configuration", max_lines=1, min_width=110, elem_id="ds-config")
                split = gr.Textbox(label="Split", placeholder="all", max_lines=1, min_width=110, elem_id="ds-hub-split")
                revision = gr.Textbox(label="Revision", placeholder="main", max_lines=1, min_width=110)
            hub = gr.Button("Preview", scale=0, min_width=90, elem_id="ds-hub")
        with gr.Tab("Starter task", id="starter"):
            choices = [(TASKS.get(name).title, name) for name in TASKS]
            task = gr.Dropdown(
                choices,
                value="sentiment",
                label="Task",
                info="Rows made by the lab, for its starter models.",
                interactive=True,
                elem_id="ds-task",
            )
            starter = gr.Button("Preview", scale=0, min_width=90, elem_id="ds-starter")
    return [
        (file.change, uploaded, [file]),
        (paste.click, pasted, [text]),
        (hub.click, from_hub, [repo, configuration, split, revision]),
        (starter.click, from_starter, [task]),
    ]


def _form() -> Form:
    with gr.Column(visible=False, elem_id="ds-form") as panel:
        preview = pieces.markup("ds-preview", pieces.OPEN_ROWS)
        name = gr.Textbox(label="Name of the dataset", max_lines=1, interactive=True, elem_id="ds-name")
        roles = []
        with gr.Row():
            for role in ROLES:
                if role == "chosen":
                    break
                roles.append(_role(role))
        with gr.Accordion("More roles: preference pairs, conversations, metadata", open=False), gr.Row():
            roles += [_role(role) for role in ROLES[len(roles) :]]
        by, *ratios, column, only, seed = split_fields("ds")
    return Form(panel, preview, name, roles, by, ratios, column, only, seed)


def split_fields(start: str) -> list[Any]:
    """How rows are split: the way, three shares, the column, the one split of all rows, the seed."""
    with gr.Row():
        by = gr.Dropdown(WAYS, value="ratio", label="Split", interactive=True, min_width=140, elem_id=f"{start}-by")
        ratios = [
            gr.Number(share, label=split.capitalize(), minimum=0, maximum=1, step=0.05, min_width=80)
            for split, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True)
        ]
        column = gr.Dropdown(
            [], label="Split column", visible=False, interactive=True, min_width=140, elem_id=f"{start}-split-column"
        )
        only = gr.Dropdown(list(SPLITS), value="test", label="Which", visible=False, interactive=True, min_width=110)
        seed = gr.Number(0, label="Seed", precision=0, min_width=80, elem_id=f"{start}-seed")
    return [by, *ratios, column, only, seed]


def _role(role: str) -> gr.Dropdown:
    several = role in SEVERAL
    return gr.Dropdown(
        [],
        label=role.capitalize(),
        info=HELP[role],
        multiselect=several,
        interactive=True,
        min_width=150,
        elem_id=f"ds-role-{role}",
    )


# Previews


def uploaded(lab: LabContext, file: str | None) -> Sequence[Update]:
    if not file:
        return _nothing()
    path = Path(file)
    return _read(lab, {"kind": "file", "file": file, "filename": path.name})


def pasted(lab: LabContext, text: str) -> Sequence[Update]:
    path = service.pasted(lab, text or "")
    return _read(lab, {"kind": "paste", "file": str(path), "filename": path.name})


def confirmed(lab: LabContext, state: dict[str, Any]) -> Sequence[Update]:
    """The file again, read in the way that was asked about."""
    if not state.get("asked"):
        return _nothing()
    return _read(lab, {**state, "options": {**state.get("options", {}), **state["asked"]}})


def _read(lab: LabContext, state: dict[str, Any]) -> Sequence[Update]:
    """The preview of a file, or the question that comes before it."""
    path = Path(state["file"])
    try:
        made = service.preview(path, options=service.FileOptions(**state.get("options", {})))
    except service.NeedsChoice as problem:
        waiting, *question = _asked(state, problem)
        return (waiting, *_nothing()[1:-3], *question)
    return _shown(lab, state, made, "pasted" if state["kind"] == "paste" else path.name)


def _asked(state: dict[str, Any], problem: service.NeedsChoice) -> tuple[Update, ...]:
    """The question about a file: (state, sentence, row of buttons, the button that says yes)."""
    doubt = pieces.question_markup(problem.sentence)
    return {**state, "asked": {problem.option: problem.value}}, doubt, gr.update(visible=True), problem.action


def from_hub(lab: LabContext, repo: str, configuration: str, split: str, revision: str) -> Sequence[Update]:
    words = [(one or "").strip() for one in (repo, configuration, split, revision)]
    place = Place(*words)
    state = {"kind": "hub", "place": words}
    by, column = ("none", "") if place.split else ("column", "split")
    return _shown(lab, state, service.preview_hub(place), place.repo.rpartition("/")[2], by, column)


def from_starter(lab: LabContext, task: str) -> Sequence[Update]:
    state = {"kind": "starter", "task": task}
    return _shown(lab, state, service.preview_starter(task), task, by="column", column="split", seed=1)


def _shown(
    lab: LabContext,
    state: dict[str, Any],
    made: service.Preview,
    title: str,
    by: str = "",
    column: str = "",
    seed: int = 0,
) -> Sequence[Update]:
    """The preview and the form, filled with what can be guessed."""
    columns = made.columns
    if not columns and not made.bad:
        raise LabError("There are no rows to import.")
    rows = [{**row, "_row": number} for number, row in enumerate(made.rows, 1)]
    known = service.versions_of_file(lab, Path(state["file"])) if "file" in state else ()
    note = f"The first {len(rows)} rows."
    if known:
        note = f"These very bytes are here already as {', '.join(known)}. {note}"
    if made.bad:
        note += f" {len(made.bad)} of the first rows cannot be read; Import names them all."
    note = " ".join([note, *made.notes])
    roles = {name: role for role, names in made.roles.items() for name in names}
    looked = pieces.note_markup(note) + pieces.short(pieces.grid(rows, columns, "Preview of the rows", roles))
    column = column or made.split
    by = by or ("column" if column else "group" if "chosen" in made.roles and made.roles.get("input") else "ratio")
    if by == "group":
        column = made.roles["input"][0]
    return (
        state,
        gr.update(visible=True),
        looked,
        re.sub(r"[^\w .:-]+", "-", re.sub(r"(\.(csv|tsv|jsonl?|ndjson|parquet|txt))?(\.gz)?$", "", title, flags=re.I))[
            :80
        ],
        *(_guessed(role, made.roles.get(role, ()), columns) for role in ROLES),
        by,
        gr.update(choices=columns, value=column if column in columns else None),
        seed,
        "",
        gr.update(visible=False),
        *CERTAIN,
    )


def _guessed(role: str, names: Sequence[str], columns: Sequence[str]) -> Update:
    if role in SEVERAL:
        return gr.update(choices=list(columns), value=list(names))
    return gr.update(choices=[("–", ""), *((name, name) for name in columns)], value=names[0] if names else "")


def _nothing() -> Sequence[Update]:
    return (
        *({}, gr.update(visible=False), "", *[gr.skip()] * (len(ROLES) + 4), "", gr.update(visible=False)),
        *CERTAIN,
    )


def way_chosen(by: str) -> Sequence[Update]:
    """Shows what the way of splitting needs."""
    drawn = by in ("ratio", "group")
    return (
        *[gr.update(visible=drawn)] * len(SPLITS),
        gr.update(visible=by in ("column", "group")),
        gr.update(visible=by == "none"),
        gr.update(visible=drawn),
    )


# Imports


def imported(lab: LabContext, state: dict[str, Any], *values: Any) -> Sequence[Update]:
    return _imported(lab, state, values, drop_bad=False)


def dropped(lab: LabContext, state: dict[str, Any], *values: Any) -> Sequence[Update]:
    return _imported(lab, state, values, drop_bad=True)


def stopped() -> Sequence[Update]:
    """Nothing has been kept, and the form stays for another try."""
    return gr.skip(), gr.skip(), "", gr.update(visible=False)


def _imported(lab: LabContext, state: dict[str, Any], values: Sequence[Any], drop_bad: bool) -> Sequence[Update]:
    """Imports here and now, or as a job where it may take long: (name, panel, bad rows, their question)."""
    order = _order(state, values, drop_bad)
    closed = gr.update(visible=False), "", gr.update(visible=False), gr.skip(), *CERTAIN
    if service.long(order):
        service.start(lab, order)
        notice(f"{order.name} is being imported; you may leave this page.")
        return gr.skip(), *closed
    try:
        view = service.make(lab, order)
    except BadRows as problem:
        bad = pieces.bad_markup(problem.rows, problem.count)
        return gr.skip(), gr.skip(), bad, gr.update(visible=True), gr.skip(), *CERTAIN
    except service.NeedsChoice as problem:
        return gr.skip(), *closed[:3], *_asked(state, problem)
    left = f" without {view.left_out_count:,} bad rows" if view.left_out_count else ""
    same = f"These rows are here already as {view.name}; nothing was added."
    notice(same if view.again else f"{view.rows:,} rows imported as {view.name}{left}.")
    return view.name, *closed


def _order(state: dict[str, Any], values: Sequence[Any], drop_bad: bool) -> service.Order:
    if not state:
        raise LabError("Nothing is chosen to import; upload a file, paste rows, or choose a task first.")
    name, rest = values[0], list(values[1:])
    roles, (by, *ratios, column, only, seed) = rest[: len(ROLES)], rest[len(ROLES) :]
    given: dict[str, list[str]] = {
        role: value if role in SEVERAL else [value] for role, value in zip(ROLES, roles, strict=True) if value
    }
    if state["kind"] == "starter":
        return service.starter_order(state["task"], name, seed=int(seed or 1))
    plan = plan_of(by, *ratios, column, only, seed)
    if state["kind"] == "hub":
        return service.hub_order(Place(*state["place"]), name, mapping=given, split=plan, drop_bad=drop_bad)
    return service.file_order(
        Path(state["file"]),
        name,
        filename=state["filename"],
        kind=state["kind"],
        mapping=given,
        split=plan,
        drop_bad=drop_bad,
        options=service.FileOptions(**state.get("options", {})),
    )


def plan_of(by: str, *values: Any) -> SplitPlan:
    """The fields of `split_fields` as a plan; raises LabError."""
    *ratios, column, only, seed = values
    shares = tuple(float(one or 0) for one in ratios) if by in ("ratio", "group") else (0.8, 0.1, 0.1)
    return SplitPlan(by, shares, column or "", int(seed or 0), only)  # type: ignore[arg-type]
