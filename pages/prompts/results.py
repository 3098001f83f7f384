"""A matrix as it stands: grid, charts, the predictions of a cell, and what can be done with it."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import evaluation
from genai_lab.services import matrix as service
from genai_lab.services.evaluation import Key
from genai_lab.services.matrix import MatrixView, promoting, reading
from pages.components.errors import PRIVATE, guarded, notice
from pages.components.head import drawn
from pages.components.sending import send_to_ranking
from pages.prompts import cells, curves

PAGE = 20
LISTED = 40
TO_EVALUATION = """(run) => { if (run) location.href = '/evaluate?evaluation=' + run; }"""
Update = Any


class Results:
    """The components; `outputs` are drawn by `overview`, `follow` draws the predictions after an event."""

    def __init__(self, lab: LabContext, opened: gr.State) -> None:
        self.cell = gr.State(None)
        # The timer reads this and not the menu, whose value may be one of the matrix before.
        self.picked = gr.State(None)
        self.place = gr.State(0)
        with gr.Row(elem_classes=["actions"], visible=False) as self.head:
            self.listed = gr.Dropdown([], label="Matrix", interactive=True, elem_id="mx-listed", min_width=260)
            self.figure = gr.Dropdown([], label="Figure", interactive=True, elem_id="mx-figure", min_width=220)
        self.grid = cells.grid("mx-grid")
        with gr.Column(visible=False) as self.body:
            promote, send = self._below()
            back, on = self._predictions()
        self.opened = opened
        self.chosen = [self.picked, self.kind, self.cell]
        self.grown = gr.State(None)
        self.outputs = [self.listed, self.figure, self.picked, self.grid, self.plot, self.other]
        self.outputs += [self.head, self.body, self.grown]
        self._lab = lab
        self._read = [opened, self.cell, self.picked, self.filter, self.other]
        evaluated = gr.Textbox("", visible="hidden", show_label=False, container=False)
        self.follow(
            self.grid.select(guarded(opened_cell, lab), [opened, self.picked], [self.cell, self.grid], **PRIVATE)
        )
        drawn = (guarded(redrawn, lab), [opened, *self.chosen], [self.grid, self.plot])
        picking = self.figure.input(picked, self.figure, self.picked, queue=False, **PRIVATE)
        self.follow(picking.success(*drawn, **PRIVATE))
        self.kind.input(*drawn, **PRIVATE)
        for one in (self.filter, self.other):
            self.follow(one.input(lambda: 0, None, self.place, queue=False, **PRIVATE))
        back.click(guarded(turned, lab, -1), [*self._read, self.place], [self.place, self.lines, self.where], **PRIVATE)
        on.click(guarded(turned, lab, 1), [*self._read, self.place], [self.place, self.lines, self.where], **PRIVATE)
        # While the open cell is being answered, its predictions come in where the reader is.
        self.grown.change(
            guarded(turned, lab, 0), [*self._read, self.place], [self.place, self.lines, self.where], **PRIVATE
        )
        self.lines.rate(guarded(rated, lab), None, None, queue=False, **PRIVATE)
        self.lines.comment(guarded(commented, lab), None, None, queue=False, **PRIVATE)
        promote.click(guarded(promoted, lab), [opened, self.cell], None, **PRIVATE)
        send.click(guarded(evaluated_cells, lab), [opened, self.cell, self.other], evaluated, **PRIVATE).success(
            None, evaluated, None, js=TO_EVALUATION, **PRIVATE
        )

        send_to_ranking(self.rank, ranked, [opened, self.cell, self.other])

    def _below(self) -> tuple[gr.Button, gr.Button]:
        """What can be done with the grid, and its chart."""
        with gr.Row(elem_classes=["actions"]):
            self.rerun = gr.Button("Run again", size="sm", scale=0, min_width=90, elem_id="mx-rerun")
            promote = gr.Button("Save as default prompt", size="sm", scale=0, min_width=160, elem_id="mx-promote")
            send = gr.Button("Evaluate cell", size="sm", scale=0, min_width=110, elem_id="mx-send")
            self.rank = gr.Button("Send to ranking", size="sm", scale=0, min_width=120, elem_id="mx-rank")
        self.kind = gr.Radio(
            list(curves.KINDS), value="curve", label="Chart", container=False, interactive=True, elem_id="mx-kind"
        )
        self.plot = gr.Plot(show_label=False, elem_id="mx-plot", elem_classes=["chart-scroll"])
        return promote, send

    def _predictions(self) -> tuple[gr.Button, gr.Button]:
        """The open cell's predictions, and the buttons to turn their pages."""
        with gr.Row(elem_classes=["actions"]):
            self.filter = gr.Radio(
                list(reading.FILTERS), value="all", label="Predictions", interactive=True, elem_id="mx-filter"
            )
            self.other = gr.Dropdown([], label="Beside", interactive=True, elem_id="mx-other", min_width=220)
        self.lines = cells.predictions("mx-predictions")
        with gr.Row(elem_classes=["actions"]):
            back = gr.Button("Earlier", size="sm", scale=0, min_width=80, elem_id="mx-back")
            on = gr.Button("Later", size="sm", scale=0, min_width=80, elem_id="mx-on")
            self.where = drawn(
                "",
                html_template='<p class="panel-note" role="status">{{value}}</p>',
                elem_classes=["plain"],
                js_on_load=None,
                elem_id="mx-where",
            )
        return back, on

    def follow(self, event: Any) -> None:
        """After the event, the predictions of the open cell from the beginning."""
        event.success(guarded(first_page, self._lab), self._read, [self.place, self.lines, self.where], **PRIVATE)


def ranked(run: int | None, cell: int | None, other: int | None) -> str:
    """The open cell and the one beside it, or the whole matrix."""
    if run is None:
        raise LabError("No matrix is open; run one first.")
    return f"{cell},{other}" if cell and other else str(run)


def mark(lab: LabContext, run: int | None) -> str:
    """Changes whenever the page has something new to show."""
    newest = [(one.id, one.status) for one in service.find(lab, 5)]
    if run is None:
        return repr(newest)
    view = service.show(lab, run)
    return repr((run, newest, view.status, [(one.system.n, len(one.scores), one.cached) for one in view.cells]))


def overview(
    lab: LabContext, run: int | None, packed: str | None, cell: int | None, kind: str, fresh: bool = False
) -> Sequence[Update]:
    """List, figures, grid, chart and the cells to set beside; an invitation where there is no matrix."""
    known = [(f"{one.id}: {one.title} ({one.status})", one.id) for one in service.find(lab, LISTED)]
    if run is None:
        nothing = gr.update(choices=[], value=None)
        return (
            gr.update(choices=known, value=None),
            nothing,
            None,
            cells.empty_value(),
            curves.chart(None, None, kind),
            nothing,
            gr.update(visible=bool(known)),
            gr.update(visible=False),
            None,
        )
    view = service.show(lab, run)
    keys = {key: packed_of(key) for key in reading.figures(view)}
    key = next((one for one, text in keys.items() if text == packed), None) or next(iter(keys), None)
    if run not in [value for _, value in known]:
        known.append((f"{view.id}: {view.title} ({view.status})", view.id))
    beside = [("no other cell", 0), *((one.system.label, one.system.id) for one in view.cells)]
    chosen = keys[key] if key is not None else None
    return (
        gr.update(choices=known, value=run),
        gr.update(choices=[(cells.key_title(one), text) for one, text in keys.items()], value=chosen),
        chosen,
        cells.grid_value(view, key, cell),
        curves.chart(view, key, kind),
        gr.update(choices=beside, value=0) if fresh else gr.update(choices=beside),
        gr.update(visible=True),
        gr.update(visible=True),
        _grown(view, cell),
    )


def _grown(view: MatrixView, cell: int | None) -> Any:
    """Changes with every row of the open cell until a page is full, and once more when the cell is measured."""
    one = next((one for one in view.cells if one.system.id == cell), None)
    return None if one is None else [cell, min(one.system.n, PAGE), bool(one.scores)]


def picked(packed: str | None) -> str | None:
    return packed


def redrawn(lab: LabContext, run: int | None, packed: str | None, kind: str, cell: int | None) -> Sequence[Update]:
    if run is None:
        return gr.skip()
    view = service.show(lab, run)
    key = unpacked(packed)
    return cells.grid_value(view, key, cell), curves.chart(view, key, kind)


def opened_cell(lab: LabContext, run: int | None, packed: str | None, event: gr.EventData) -> Sequence[Update]:
    view = service.show(lab, _open(run))
    cell = promoting.cell_of(view, int(event.id)).system.id
    return cell, cells.grid_value(view, unpacked(packed), cell)


def first_page(
    lab: LabContext, run: int | None, cell: int | None, packed: str | None, kind: Any, other: int | None
) -> Sequence[Update]:
    return turned(lab, 0, run, cell, packed, kind, other, 0)


def turned(
    lab: LabContext,
    by: int,
    run: int | None,
    cell: int | None,
    packed: str | None,
    kind: Any,
    other: int | None,
    place: int,
) -> Sequence[Update]:
    """One page of the open cell's predictions."""
    if run is None or cell is None:
        note: dict[str, Any] = {
            "lines": [],
            "note": "No cell is open" if run else "",
            "next": "Choose a cell of the grid to read it.",
        }
        return 0, note, ""
    view, key = service.show(lab, run), unpacked(packed)
    found = reading.predictions(lab, view, cell, key, other=other or None, kind=kind)
    start = max(0, min(place + by * PAGE, (len(found) - 1) // PAGE * PAGE if found else 0))
    label, beside = _label(view, cell), _label(view, other) if other else ""
    part = found[start : start + PAGE]
    where = f"{start + 1} to {start + len(part)} of {len(found):,} predictions of {label}" if part else label
    return start, cells.predictions_value(part, "Nothing to show here", label, beside, key), where


def rated(lab: LabContext, event: gr.EventData) -> None:
    reading.rate(lab, int(event.id), thumb=int(event.thumb))


def commented(lab: LabContext, event: gr.EventData) -> None:
    reading.rate(lab, int(event.id), comment=str(event.text))


def promoted(lab: LabContext, run: int | None, cell: int | None) -> None:
    made = promoting.promote(lab, _open(run), cell)
    notice(f"{made.template} is the default prompt now; its sampling is the preset {made.preset!r}.")


def evaluated_cells(lab: LabContext, run: int | None, cell: int | None, other: int | None) -> str:
    """The open cell, and the one beside it as its baseline, as an evaluation."""
    chosen = [cell] if not other else [other, cell]
    return str(evaluation.run_cells(lab, _open(run), chosen).run_id)


def packed_of(key: Key) -> str:
    return "\n".join(key)


def unpacked(packed: str | None) -> Key | None:
    if not packed:
        return None
    metric, figure, signature = packed.split("\n", 2)
    return metric, figure, signature


def _label(view: MatrixView, cell: int | None) -> str:
    return next((one.system.label for one in view.cells if one.system.id == cell), "")


def _open(run: int | None) -> int:
    if run is None:
        raise LabError("No matrix is open; run one first.")
    return run
