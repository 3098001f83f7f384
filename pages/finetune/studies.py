"""The tab "Studies": several runs started together from the plan in the form, and how they compare."""

from contextlib import suppress
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.metrics import METRICS
from genai_lab.services import evaluation, models
from genai_lab.services.evaluation import MetricSpec, suites
from genai_lab.services.training import studies
from genai_lab.services.training.studies import Held
from genai_lab.training.methods import METHODS
from genai_lab.yaml_io import read_yaml
from pages.components.forms import Form, Updates, Values
from pages.components.head import PLAIN, empty_state_markup, section
from pages.finetune import form, study_tables

GRID_HINT = "training.learning_rate: 0.001, 0.003\nmethod_settings.rank: 4, 8"
COMPARED = ("references", "labels")
METHODS_AT_FIRST = {"study.methods": ["full", "lora", "ia3", "prompt_tuning"], "study.tuned": ["lora", "full"]}
OUTPUTS = ("study", "study_mark", "study_table", "study_plot")
CHOICES = ("study.base", "study.after", "study.suites", "study.evaluations")
HELD_OUT = ("study.rows", "study.split", "study.metric", "study.max_new_tokens")


def build(lab: LabContext, page: Form) -> None:
    """Draws and wires the tab, whose studies begin from the plan in the form of `page`."""
    page.add(study_mark=gr.State(""))
    kinds = {
        "Bake-off": _draw_bake_off, "Shots against tuning": _draw_shots, "Sweep": _draw_sweep,
        "Forgetting and gate": _draw_forgetting,
    }  # fmt: skip
    with gr.Accordion("New study, from the plan on the New tab", open=True, elem_id="st-new"), gr.Tabs():
        for name, draw in kinds.items():
            with gr.Tab(name, id=name):
                draw(page)
    _draw_held_out(page)
    section("Results")
    page.add(
        study=gr.Dropdown([], label="Study", interactive=True, elem_id="st-opened"),
        study_table=gr.HTML("", apply_default_css=False, elem_classes=PLAIN, js_on_load=None, elem_id="st-table"),
        study_plot=gr.Plot(
            show_label=False, container=False, visible=False, elem_id="st-plot", elem_classes=["chart-scroll"]
        ),
    )
    _wire(lab, page)


def _wire(lab: LabContext, page: Form) -> None:
    plan = form.input_names()
    for button, start, inputs in (
        ("study.start_bake_off", start_bake_off, ["study.methods", "study.memory", *HELD_OUT, *plan]),
        ("study.start_shots", start_shots, ["study.shots", "study.tuned", *HELD_OUT, *plan]),
        ("study.start_sweep", start_sweep, ["study.grid", "study.draws", *plan]),
        ("study.start_forgetting", start_forgetting, ["study.base", "study.after", "study.suites"]),
        ("study.start_gate", start_gate, ["study.base", "study.after", "study.evaluations"]),
    ):
        page.on(page[button].click, start, lab, inputs=inputs, outputs=OUTPUTS, concurrency_id="models")
    page.on(page["study"].input, on_study, lab, inputs=["study"], outputs=OUTPUTS)
    page.on(gr.Timer(2).tick, on_tick, lab, inputs=["study", "study_mark"], outputs=OUTPUTS)


def _draw_bake_off(page: Form) -> None:
    with gr.Row():
        _draw_methods(page, "study.methods", "st-methods")
        memory = gr.Number(
            0, label="Equal memory (MB)", info="0: equal steps; otherwise the largest batch that fits.", precision=0,
            elem_id="st-memory",
        )  # fmt: skip
    page.add({"study.memory": memory, "study.start_bake_off": _button("Start bake-off", "st-bake")})


def _draw_shots(page: Form) -> None:
    with gr.Row():
        shots = gr.Textbox(
            "0, 1, 4", label="Shots for the base", info="Separated by commas.", max_lines=1, elem_id="st-shots"
        )
        _draw_methods(page, "study.tuned", "st-tuned")
    page.add({"study.shots": shots, "study.start_shots": _button("Start study", "st-start-shots")})


def _draw_sweep(page: Form) -> None:
    with gr.Row():
        grid = gr.Textbox(
            GRID_HINT, label="Grid", info="One setting per line: path: value, value.", lines=3, elem_id="st-grid",
            elem_classes=["mono"],
        )  # fmt: skip
        draws = gr.Number(0, label="Random samples", info="0: every combination.", precision=0, elem_id="st-draws")
    page.add({"study.grid": grid, "study.draws": draws, "study.start_sweep": _button("Start sweep", "st-sweep")})


def _draw_forgetting(page: Form) -> None:
    with gr.Row():
        base = gr.Dropdown([], label="Before", interactive=True, elem_id="st-base")
        after = gr.Dropdown([], label="After", multiselect=True, interactive=True, elem_id="st-after")
    with gr.Row():
        suite_menu = gr.Dropdown([], label="Suites", multiselect=True, interactive=True, elem_id="st-suites")
        saved = gr.Dropdown(
            [], label="Saved evaluations", info="Repeated with the first tuned model instead of the base.",
            multiselect=True, interactive=True, elem_id="st-saved",
        )  # fmt: skip
    page.add({"study.base": base, "study.after": after, "study.suites": suite_menu, "study.evaluations": saved})
    with gr.Row(elem_classes=["actions"]):
        page.add(
            {
                "study.start_forgetting": _button("Measure forgetting", "st-forgot"),
                "study.start_gate": _button("Run gate", "st-gate"),
            }
        )


def _draw_held_out(page: Form) -> None:
    metrics = [(METRICS.get(name).title, name) for name in METRICS if METRICS.get(name).needs in COMPARED]
    with gr.Row():
        page.add(
            {
                "study.rows": gr.Number(200, label="Held-out rows", precision=0, minimum=1, elem_id="st-rows"),
                "study.split": gr.Dropdown(
                    ["test", "validation"], value="test", label="Split", interactive=True, elem_id="st-split"
                ),
                "study.metric": gr.Dropdown(
                    metrics, value="rouge", label="Metric", interactive=True, elem_id="st-metric"
                ),
                "study.max_new_tokens": gr.Number(
                    64, label="Max new tokens", precision=0, minimum=1, elem_id="st-tokens"
                ),
            }
        )


def _draw_methods(page: Form, name: str, elem_id: str) -> None:
    choices = [(METHODS.get(method).title, method) for method in METHODS]
    at_first = METHODS_AT_FIRST[name]
    menu = gr.Dropdown(choices, value=at_first, label="Methods", multiselect=True, interactive=True, elem_id=elem_id)
    page.add({name: menu})


def _button(name: str, elem_id: str) -> gr.Button:
    return gr.Button(name, variant="primary", size="sm", scale=0, min_width=130, elem_id=elem_id)


def first_values(lab: LabContext, study: str = "") -> Updates:
    """The newest study, or the one that the address names, and what can be chosen."""
    newest = studies.find(lab, 1)
    number = newest[0].id if newest else None
    if study.isdecimal() and len(study) < 10:
        with suppress(LabError):  # the newest stands in for one that is not there
            number = studies.show(lab, int(study)).id
    return {**draw(lab, number), **choices(lab)}


def choices(lab: LabContext) -> Updates:
    views = models.catalogue(lab)
    names = [view.card.name for view in views if view.card.modes]
    tuned = [view.card.name for view in views if view.made_by_run and view.card.modes]
    saved = [(f"{view.id}: {view.title}", view.id) for view in evaluation.find(lab, 40)]
    return {
        "study.base": gr.update(choices=names, value=names[0] if names else None),
        "study.after": gr.update(choices=tuned or names),
        "study.suites": gr.update(choices=[suite.name for suite in suites.load_all()]),
        "study.evaluations": gr.update(choices=saved),
    }


def read_held_out(values: Values) -> Held:
    """What the models of a study are measured on."""
    metric = values["study.metric"]
    settings = {"lsum": False} if metric == "rouge" else {}
    rows, length = int(values["study.rows"] or 0), int(values["study.max_new_tokens"] or 0)
    return Held(rows, values["study.split"], length, (MetricSpec(metric, settings),))


def start_bake_off(lab: LabContext, values: Values) -> Updates:
    plan, _ = form.read_plan(values)
    memory = int(values["study.memory"] * 1e6) if values["study.memory"] else None
    methods = values["study.methods"] or []
    return draw(lab, studies.bake_off(lab, plan, methods, read_held_out(values), memory=memory))


def start_shots(lab: LabContext, values: Values) -> Updates:
    plan, _ = form.read_plan(values)
    shots, methods = read_numbers(values["study.shots"]), values["study.tuned"] or []
    return draw(lab, studies.shots_against_tuning(lab, plan, shots, methods, read_held_out(values)))


def start_sweep(lab: LabContext, values: Values) -> Updates:
    plan, _ = form.read_plan(values)
    return draw(lab, studies.sweep(lab, plan, read_grid(values["study.grid"]), draws=int(values["study.draws"] or 0)))


def start_forgetting(lab: LabContext, values: Values) -> Updates:
    after, suite_names = values["study.after"] or [], values["study.suites"] or []
    return draw(lab, studies.forgetting(lab, values["study.base"], after, suite_names))


def start_gate(lab: LabContext, values: Values) -> Updates:
    if not values["study.after"]:
        raise LabError("Choose the tuned model that takes the base's place.")
    saved = values["study.evaluations"] or []
    return draw(lab, studies.gate(lab, saved, values["study.base"], values["study.after"][0]))


def read_numbers(text: str | None) -> list[int]:
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    wrong = next((part for part in parts if not part.isdecimal() or len(part) > 3), None)
    if wrong is not None or not parts:
        raise LabError(f"Shots are {(text or '')[:40]!r}; write whole numbers with commas between them.")
    return [int(part) for part in parts]


def read_grid(text: str | None) -> dict[str, list[Any]]:
    """Lines of 'path: value, value'; values are read as YAML reads them."""
    grid: dict[str, list[Any]] = {}
    for number, line in enumerate((text or "").splitlines(), 1):
        if not line.strip():
            continue
        name, colon, parts = line.partition(":")
        values = [read_yaml(part, f"A value in line {number} of the grid") for part in parts.split(",") if part.strip()]
        if not colon or not values:
            raise LabError(f"Line {number} of the grid is {line.strip()[:60]!r}; write path: value, value.")
        grid[name.strip()] = values
    return grid


def on_study(lab: LabContext, values: Values) -> Updates:
    return draw(lab, values["study"])


def on_tick(lab: LabContext, values: Values) -> Updates:
    study = values["study"]
    if (study is None and not studies.find(lab, 1)) or values["study_mark"] == mark(lab, study):
        return {}
    updates = draw(lab, study)
    return {**updates, "study": gr.update(choices=updates["study"]["choices"])}  # late, it must not undo a choice


def mark(lab: LabContext, study: int | None) -> str:
    """Changes whenever the tab has something new to show."""
    titles = [(view.id, view.title) for view in studies.find(lab)]
    if study is None:
        return repr(titles)
    view = studies.show(lab, study)
    runs = [(run.id, run.status, run.outcome, run.job and run.job.done) for run in view.runs]
    scores = [evaluation.show(lab, number) for number in view.evaluations.values()]
    return repr((titles, study, runs, [(measured.status, len(measured.scores)) for measured in scores]))


def draw(lab: LabContext, study: int | None) -> Updates:
    """The list, its mark, the table and the chart: OUTPUTS."""
    state = mark(lab, study)  # read first: what changes while the rest is read is drawn at the next tick
    menu = [(f"{view.id}: {view.title}", view.id) for view in studies.find(lab)]
    if study is None:
        table = empty_state_markup("No studies yet", "Start a bake-off above: the runs and their scores appear here.")
        plot = gr.update(visible=False)
    else:
        view = studies.show(lab, study)
        if study not in [number for _, number in menu]:
            menu.append((f"{study}: {view.title}", study))
        table, figure = study_tables.render(lab, view)
        plot = gr.update(visible=figure is not None, value=figure)
    return {
        "study": gr.update(choices=menu, value=study),
        "study_mark": state,
        "study_table": table,
        "study_plot": plot,
    }
