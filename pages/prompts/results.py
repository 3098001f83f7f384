"""A matrix as it stands: grid, charts, the predictions of a cell, and what can be done with it."""

from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import alignment, evaluation
from genai_lab.services import matrix as service
from genai_lab.services.evaluation import Key
from genai_lab.services.matrix import MatrixView, promoting, reading, thumbs
from pages.components.errors import INTERNAL, notice
from pages.components.forms import Form, Updates, Values
from pages.components.head import escaped_html
from pages.components.sending import send_to_ranking
from pages.prompts import cells, curves

PAGE = 20
LISTED = 40
TO_EVALUATION = """(run) => { if (run) location.href = '/evaluate?evaluation=' + run; }"""
# What `overview` updates; "figure" holds the figure of the open matrix, since the menu may hold one of another.
OUTPUTS = ("matrix_menu", "figure_menu", "figure", "grid", "plot", "beside", "head", "body", "progress")
PREDICTIONS_OF = ("run", "cell", "figure", "filter", "beside")
PREDICTIONS = ("first_row", "predictions", "position")


def build(lab: LabContext, form: Form) -> None:
    """Draws and wires the results of the matrix whose number the form calls "run"."""
    form.add(cell=gr.State(None), figure=gr.State(None), first_row=gr.State(0), progress=gr.State(None))
    with gr.Row(elem_classes=["actions"], visible=False) as head:
        form.add(
            matrix_menu=gr.Dropdown([], label="Matrix", interactive=True, elem_id="mx-listed", min_width=260),
            figure_menu=gr.Dropdown([], label="Figure", interactive=True, elem_id="mx-figure", min_width=220),
        )
    form.add(grid=cells.grid("mx-grid"))
    with gr.Column(visible=False) as body:
        buttons = _draw_actions(form)
        earlier, later = _draw_predictions(form)
    form.add(head=head, body=body, evaluation=gr.Textbox("", visible="hidden", show_label=False, container=False))
    _wire_grid(lab, form)
    _wire_predictions(lab, form, earlier, later)
    form.on(buttons["promote"].click, promote, lab, inputs=["run", "cell"])
    form.on(buttons["thumbs"].click, save_thumbs, lab, inputs=["run"])
    form.on(buttons["best"].click, save_best, lab, inputs=["run", "cell", "rewards"])
    form.on(
        buttons["evaluate"].click, evaluate_cells, lab, inputs=["run", "cell", "beside"], outputs=["evaluation"]
    ).success(None, form["evaluation"], None, js=TO_EVALUATION, **INTERNAL)
    send_to_ranking(buttons["rank"], form.reader(runs_to_rank), form.inputs(["run", "cell", "beside"]))


def _draw_actions(form: Form) -> dict[str, gr.Button]:
    """What can be done with the grid, and its chart."""
    with gr.Row(elem_classes=["actions"]):
        form.add(rerun=gr.Button("Run again", size="sm", scale=0, min_width=90, elem_id="mx-rerun"))
        buttons = {
            "promote": gr.Button("Save as default prompt", size="sm", scale=0, min_width=160, elem_id="mx-promote"),
            "evaluate": gr.Button("Evaluate cell", size="sm", scale=0, min_width=110, elem_id="mx-send"),
            "rank": gr.Button("Send to ranking", size="sm", scale=0, min_width=120, elem_id="mx-rank"),
            "thumbs": gr.Button("Save thumbs as dataset", size="sm", scale=0, min_width=170, elem_id="mx-thumbs"),
        }
    with gr.Accordion("Best of several completions", open=False), gr.Row(elem_classes=["actions"]):
        form.add(
            rewards=gr.Textbox(
                "", label="Rewards", lines=1, max_lines=4, elem_id="mx-rewards", elem_classes=["mono"],
                placeholder="reward_model:my-model",
                info="One per line: KIND, KIND:MODEL or WEIGHT * KIND. The open cell's best completion of each row "
                "becomes an example to learn from.",
            )
        )  # fmt: skip
        buttons["best"] = gr.Button("Save best as dataset", size="sm", scale=0, min_width=160, elem_id="mx-best")
    form.add(
        chart=gr.Radio(
            list(curves.KINDS), value="curve", label="Chart", container=False, interactive=True, elem_id="mx-kind"
        ),
        plot=gr.Plot(show_label=False, elem_id="mx-plot", elem_classes=["chart-scroll"]),
    )
    return buttons


def _draw_predictions(form: Form) -> tuple[gr.Button, gr.Button]:
    """The open cell's predictions, and the buttons to turn their pages."""
    with gr.Row(elem_classes=["actions"]):
        form.add(
            filter=gr.Radio(
                list(reading.FILTERS), value="all", label="Predictions", interactive=True, elem_id="mx-filter"
            ),
            beside=gr.Dropdown([], label="Compare with", interactive=True, elem_id="mx-other", min_width=220),
        )
    form.add(predictions=cells.predictions("mx-predictions"))
    with gr.Row(elem_classes=["actions"]):
        earlier = gr.Button("Previous", size="sm", scale=0, min_width=80, elem_id="mx-back")
        later = gr.Button("Next", size="sm", scale=0, min_width=80, elem_id="mx-on")
        position = escaped_html(
            "",
            html_template='<p class="panel-note" role="status">{{value}}</p>',
            elem_classes=["plain"],
            js_on_load=None,
            elem_id="mx-where",
        )
    form.add(position=position)
    return earlier, later


def _wire_grid(lab: LabContext, form: Form) -> None:
    selected = form.on(form["grid"].select, on_cell, lab, inputs=["run", "figure"], outputs=["cell", "grid"])
    show_predictions(lab, form, selected)
    redraw: dict[str, Any] = {"inputs": ["run", "figure", "chart", "cell"], "outputs": ["grid", "plot"]}
    figure_event = form.on(
        form["figure_menu"].input, on_figure_menu, inputs=["figure_menu"], outputs=["figure"], queue=False
    )
    show_predictions(lab, form, form.on(figure_event.success, draw_figure, lab, **redraw))
    form.on(form["chart"].input, draw_figure, lab, **redraw)


def _wire_predictions(lab: LabContext, form: Form, earlier: gr.Button, later: gr.Button) -> None:
    for name in ("filter", "beside"):
        show_predictions(lab, form, form.on(form[name].input, on_filter, outputs=["first_row"], queue=False))
    page: dict[str, Any] = {"inputs": [*PREDICTIONS_OF, "first_row"], "outputs": PREDICTIONS}
    form.on(earlier.click, turn_page, lab, -1, **page)
    form.on(later.click, turn_page, lab, 1, **page)
    # While the open cell is being answered, its predictions come in where the reader is.
    form.on(form["progress"].change, turn_page, lab, 0, **page)
    form.on(form["predictions"].rate, on_rate, lab, queue=False)
    form.on(form["predictions"].comment, on_comment, lab, queue=False)


def show_predictions(lab: LabContext, form: Form, event: Any) -> None:
    """After the event, the predictions of the open cell from the beginning."""
    form.on(event.success, first_page, lab, inputs=PREDICTIONS_OF, outputs=PREDICTIONS)


def runs_to_rank(values: Values) -> str:
    """The open cell and the one beside it, or the whole matrix."""
    if values["run"] is None:
        raise LabError("No matrix is open; run one first.")
    cell, beside = values["cell"], values["beside"]
    return f"{cell},{beside}" if cell and beside else str(values["run"])


def mark(lab: LabContext, run: int | None) -> str:
    """Changes whenever the page has something new to show."""
    newest = [(view.id, view.status) for view in service.find(lab, 5)]
    if run is None:
        return repr(newest)
    view = service.show(lab, run)
    progress = [(cell.system.n, len(cell.scores), cell.cached) for cell in view.cells]
    return repr((run, newest, view.status, progress))


def overview(
    lab: LabContext, run: int | None, packed: str | None, cell: int | None, chart: str, fresh: bool = False
) -> Updates:
    """OUTPUTS: menus, grid, chart and the cells to set beside; an invitation where there is no matrix."""
    matrices = [(f"{view.id}: {view.title} ({view.status})", view.id) for view in service.find(lab, LISTED)]
    if run is None:
        nothing = gr.update(choices=[], value=None)
        return {
            "matrix_menu": gr.update(choices=matrices, value=None),
            "figure_menu": nothing,
            "figure": None,
            "grid": cells.empty_value(),
            "plot": curves.chart(None, None, chart),
            "beside": nothing,
            "head": gr.update(visible=bool(matrices)),
            "body": gr.update(visible=False),
            "progress": None,
        }
    view = service.show(lab, run)
    keys = {key: packed_of(key) for key in reading.figures(view)}
    key = next((key for key, text in keys.items() if text == packed), None) or next(iter(keys), None)
    if run not in [number for _, number in matrices]:
        matrices.append((f"{view.id}: {view.title} ({view.status})", view.id))
    beside = [("no other cell", 0), *((row.system.label, row.system.id) for row in view.cells)]
    figure = keys[key] if key is not None else None
    return {
        "matrix_menu": gr.update(choices=matrices, value=run),
        "figure_menu": gr.update(choices=[(cells.key_title(key), text) for key, text in keys.items()], value=figure),
        "figure": figure,
        "grid": cells.grid_value(view, key, cell),
        "plot": curves.chart(view, key, chart),
        "beside": gr.update(choices=beside, value=0) if fresh else gr.update(choices=beside),
        "head": gr.update(visible=True),
        "body": gr.update(visible=True),
        "progress": _progress(view, cell),
    }


def _progress(view: MatrixView, number: int | None) -> list[Any] | None:
    """Changes with every row of the open cell until a page is full, and once more when the cell is measured."""
    cell = next((cell for cell in view.cells if cell.system.id == number), None)
    return None if cell is None else [number, min(cell.system.n, PAGE), bool(cell.scores)]


def on_figure_menu(values: Values) -> Updates:
    return {"figure": values["figure_menu"]}


def draw_figure(lab: LabContext, values: Values) -> Updates:
    if values["run"] is None:
        return {}
    view, key = service.show(lab, values["run"]), unpack_key(values["figure"])
    return {"grid": cells.grid_value(view, key, values["cell"]), "plot": curves.chart(view, key, values["chart"])}


def on_cell(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    view = service.show(lab, _open(values["run"]))
    cell = promoting.cell_of(view, int(event.id)).system.id
    return {"cell": cell, "grid": cells.grid_value(view, unpack_key(values["figure"]), cell)}


def on_filter() -> Updates:
    return {"first_row": 0}


def first_page(lab: LabContext, values: Values) -> Updates:
    return turn_page(lab, 0, {**values, "first_row": 0})


def turn_page(lab: LabContext, pages: int, values: Values) -> Updates:
    """The open cell's predictions, so many pages further."""
    run, cell, beside = values["run"], values["cell"], values["beside"]
    if run is None or cell is None:
        note = "No cell is open" if run else ""
        empty = {"lines": [], "note": note, "next": "Choose a cell of the grid to read it."}
        return {"first_row": 0, "predictions": empty, "position": ""}
    view, key = service.show(lab, run), unpack_key(values["figure"])
    rows = reading.predictions(lab, view, cell, key, other=beside or None, kind=values["filter"])
    last = (len(rows) - 1) // PAGE * PAGE if rows else 0
    start = max(0, min(values["first_row"] + pages * PAGE, last))
    label, other = _label(view, cell), _label(view, beside) if beside else ""
    page = rows[start : start + PAGE]
    position = f"{start + 1} to {start + len(page)} of {len(rows):,} predictions of {label}" if page else label
    predictions = cells.predictions_value(page, "Nothing to show here", label, other, key)
    return {"first_row": start, "predictions": predictions, "position": position}


def on_rate(lab: LabContext, event: gr.EventData) -> None:
    reading.rate(lab, int(event.id), thumb=int(event.thumb))


def on_comment(lab: LabContext, event: gr.EventData) -> None:
    reading.rate(lab, int(event.id), comment=str(event.text))


def promote(lab: LabContext, values: Values) -> None:
    default = promoting.promote(lab, _open(values["run"]), values["cell"])
    notice(f"{default.template} is the default prompt now; its sampling is the preset {default.preset!r}.")


def save_thumbs(lab: LabContext, values: Values) -> None:
    version = thumbs.to_dataset(lab, _open(values["run"]))
    notice(f"Thumbs saved as {version.name}: {version.rows:,}. KTO on the Fine-tune page learns from them.")


def save_best(lab: LabContext, values: Values) -> None:
    cell = promoting.cell_of(service.show(lab, _open(values["run"])), values["cell"])
    rewards = [line for line in (values["rewards"] or "").splitlines() if line.strip()]
    best = alignment.best_to_dataset(lab, cell.system.id, rewards)
    notice(f"Saved as {best.dataset}. {best.sentence} Instruction tuning on the Fine-tune page learns from it.")


def evaluate_cells(lab: LabContext, values: Values) -> Updates:
    """The open cell, and the one beside it as its baseline, as an evaluation."""
    cell, beside = values["cell"], values["beside"]
    systems = [beside, cell] if beside else [cell]
    return {"evaluation": str(evaluation.run_cells(lab, _open(values["run"]), systems).run_id)}


def packed_of(key: Key) -> str:
    return "\n".join(key)


def unpack_key(packed: str | None) -> Key | None:
    if not packed:
        return None
    metric, figure, signature = packed.split("\n", 2)
    return metric, figure, signature


def _label(view: MatrixView, cell: int | None) -> str:
    return next((row.system.label for row in view.cells if row.system.id == cell), "")


def _open(run: int | None) -> int:
    if run is None:
        raise LabError("No matrix is open; run one first.")
    return run
