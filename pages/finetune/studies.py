"""The tab "Studies": several runs begun together from the plan in the form, and what was measured of them."""

import html
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.metrics import METRICS
from genai_lab.services import evaluation, models
from genai_lab.services.evaluation import Choice, suites
from genai_lab.services.training import studies, study_results
from genai_lab.services.training.studies import Held, StudyView
from genai_lab.training.methods import METHODS
from genai_lab.yaml_io import read_yaml
from pages.components.errors import PRIVATE, guarded
from pages.components.head import PLAIN, empty_state_markup, section
from pages.components.stats import NOTHING, seconds_text, share_text, size_text
from pages.finetune import charts
from pages.finetune import form as forms

Update = Any
GRID_HINT = "training.learning_rate: 0.001, 0.003\nmethod_settings.rank: 4, 8"
STRONGEST = 50  # percent of colour in a cell, at which text on it is still read well
COMPARED = ("references", "labels")
DEFAULT = ["full", "lora", "ia3", "prompt_tuning"]


class Studies:
    """The tab; `inputs` are those of the form on the tab New."""

    def __init__(self, lab: LabContext, inputs: list[Any]) -> None:
        self.seen = gr.State("")
        with gr.Accordion("New study, from the plan on the tab New", open=True, elem_id="st-new"), gr.Tabs():
            parts = {
                "Bake-off": _bake, "Shots against tuning": _shots, "Sweep": _sweep, "Forgetting and gate": _forgetting,
            }  # fmt: skip
            made = []
            for name, part in parts.items():
                with gr.Tab(name, id=name):
                    made.append(part())
        with gr.Row():
            rows = gr.Number(200, label="Held-out rows", precision=0, minimum=1, elem_id="st-rows")
            split = gr.Dropdown(
                ["test", "validation"], value="test", label="Measured on", interactive=True, elem_id="st-split"
            )
            metric = gr.Dropdown(
                [(METRICS.get(one).title, one) for one in METRICS if METRICS.get(one).needs in COMPARED],
                value="rouge", label="Metric", interactive=True, elem_id="st-metric",
            )  # fmt: skip
            length = gr.Number(64, label="Max new tokens", precision=0, minimum=1, elem_id="st-tokens")
        section("Results")
        self.opened = gr.Dropdown([], label="Study", interactive=True, elem_id="st-opened")
        self.table = gr.HTML("", apply_default_css=False, elem_classes=PLAIN, js_on_load=None, elem_id="st-table")
        self.plot = gr.Plot(
            show_label=False, container=False, visible=False, elem_id="st-plot", elem_classes=["chart-scroll"]
        )
        held = [rows, split, metric, length]
        self.drawn = [self.opened, self.seen, self.table, self.plot]
        (methods, memory, bake), (numbers, tuned, shots), (grid, draws, sweep), (*self.offers, forgot, gate) = made
        base, after, tasks, saved = self.offers
        bake.click(
            guarded(baked, lab), [methods, memory, *held, *inputs], self.drawn, concurrency_id="models", **PRIVATE
        )
        shots.click(
            guarded(shot, lab), [numbers, tuned, *held, *inputs], self.drawn, concurrency_id="models", **PRIVATE
        )
        sweep.click(guarded(swept, lab), [grid, draws, *inputs], self.drawn, concurrency_id="models", **PRIVATE)
        forgot.click(guarded(forgotten, lab), [base, after, tasks], self.drawn, **PRIVATE)
        gate.click(guarded(gated, lab), [base, after, saved], self.drawn, **PRIVATE)
        self.opened.input(guarded(draw, lab), self.opened, self.drawn, **PRIVATE)
        gr.Timer(2).tick(guarded(tick, lab), [self.opened, self.seen], self.drawn, **PRIVATE)


def _bake() -> list[Any]:
    with gr.Row():
        methods = _methods("st-methods", DEFAULT)
        memory = gr.Number(
            0, label="Equal memory (MB)", info="0: equal steps. Else the largest batch that fits.", precision=0,
            elem_id="st-memory",
        )  # fmt: skip
    return [methods, memory, _button("Start bake-off", "st-bake")]


def _shots() -> list[Any]:
    with gr.Row():
        numbers = gr.Textbox("0, 1, 4", label="Shots of the base", info="With commas.", max_lines=1, elem_id="st-shots")
        tuned = _methods("st-tuned", ["lora", "full"])
    return [numbers, tuned, _button("Start study", "st-start-shots")]


def _sweep() -> list[Any]:
    with gr.Row():
        grid = gr.Textbox(
            GRID_HINT, label="Varied", info="One setting a line: path: value, value.", lines=3, elem_id="st-grid",
            elem_classes=["mono"],
        )  # fmt: skip
        draws = gr.Number(0, label="Random draws", info="0: every combination.", precision=0, elem_id="st-draws")
    return [grid, draws, _button("Start sweep", "st-sweep")]


def _forgetting() -> list[Any]:
    with gr.Row():
        base = gr.Dropdown([], label="Before", interactive=True, elem_id="st-base")
        after = gr.Dropdown([], label="After", multiselect=True, interactive=True, elem_id="st-after")
    with gr.Row():
        tasks = gr.Dropdown([], label="Suites", multiselect=True, interactive=True, elem_id="st-suites")
        saved = gr.Dropdown(
            [], label="Saved evaluations", info="Run again with the first tuned model in the base's place.",
            multiselect=True, interactive=True, elem_id="st-saved",
        )  # fmt: skip
    with gr.Row(elem_classes=["actions"]):
        buttons = [_button("Measure forgetting", "st-forgot"), _button("Run gate", "st-gate")]
    return [base, after, tasks, saved, *buttons]


def _methods(elem_id: str, chosen: list[str]) -> gr.Dropdown:
    every = [(METHODS.get(name).title, name) for name in METHODS]
    return gr.Dropdown(every, value=chosen, label="Methods", multiselect=True, interactive=True, elem_id=elem_id)


def _button(name: str, elem_id: str) -> gr.Button:
    return gr.Button(name, variant="primary", size="sm", scale=0, min_width=130, elem_id=elem_id)


def arrived(lab: LabContext, study: str = "") -> list[Update]:
    """The newest study, or the one that the address asks for, and what can be chosen."""
    newest = studies.find(lab, 1)
    number = newest[0].id if newest else None
    if study.isdecimal() and len(study) < 10:
        with suppress(LabError):  # the newest stands in for one that is not there
            number = studies.show(lab, int(study)).id
    return [*draw(lab, number), *offers(lab)]


def offers(lab: LabContext) -> list[Update]:
    views = models.catalogue(lab)
    names = [view.card.name for view in views if view.card.modes]
    made = [view.card.name for view in views if view.made_by_run and view.card.modes]
    saved = [(f"{one.id}: {one.title}", one.id) for one in evaluation.find(lab, 40)]
    every = [one.name for one in suites.load_all()]
    return [
        gr.update(choices=names, value=names[0] if names else None),
        gr.update(choices=made or names),
        gr.update(choices=every),
        gr.update(choices=saved),
    ]


def held_of(rows: float | None, split: str, metric: str, length: float | None) -> Held:
    settings = {"lsum": False} if metric == "rouge" else {}
    return Held(int(rows or 0), split, int(length or 0), (Choice(metric, settings),))


def baked(
    lab: LabContext,
    methods: list[str],
    memory: float | None,
    rows: Any,
    split: str,
    metric: str,
    length: Any,
    *values: Any,
) -> Sequence[Update]:
    plan, _ = forms.plan_of(*values)
    budget = int(memory * 1e6) if memory else None
    return draw(lab, studies.bake_off(lab, plan, methods or [], held_of(rows, split, metric, length), memory=budget))


def shot(
    lab: LabContext, numbers: str, methods: list[str], rows: Any, split: str, metric: str, length: Any, *values: Any
) -> Sequence[Update]:
    plan, _ = forms.plan_of(*values)
    held = held_of(rows, split, metric, length)
    return draw(lab, studies.shots_against_tuning(lab, plan, whole_numbers(numbers), methods or [], held))


def swept(lab: LabContext, text: str, draws: float | None, *values: Any) -> Sequence[Update]:
    plan, _ = forms.plan_of(*values)
    return draw(lab, studies.sweep(lab, plan, grid_of(text), draws=int(draws or 0)))


def forgotten(lab: LabContext, base: str, after: list[str], tasks: list[str]) -> Sequence[Update]:
    return draw(lab, studies.forgetting(lab, base, after or [], tasks or []))


def gated(lab: LabContext, base: str, after: list[str], saved: list[int]) -> Sequence[Update]:
    if not after:
        raise LabError("Choose the tuned model that takes the base's place.")
    return draw(lab, studies.gate(lab, saved or [], base, after[0]))


def whole_numbers(text: str | None) -> list[int]:
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    wrong = next((part for part in parts if not part.isdecimal() or len(part) > 3), None)
    if wrong is not None or not parts:
        raise LabError(f"Shots are {(text or '')[:40]!r}; write whole numbers with commas between them.")
    return [int(part) for part in parts]


def grid_of(text: str | None) -> dict[str, list[Any]]:
    """Lines of 'path: value, value'; values are read as YAML reads them."""
    made: dict[str, list[Any]] = {}
    for number, line in enumerate((text or "").splitlines(), 1):
        if not line.strip():
            continue
        name, colon, values = line.partition(":")
        found = [
            read_yaml(part, f"A value in line {number} of what is varied") for part in values.split(",") if part.strip()
        ]
        if not colon or not found:
            raise LabError(f"Line {number} of what is varied is {line.strip()[:60]!r}; write path: value, value.")
        made[name.strip()] = found
    return made


def tick(lab: LabContext, study: int | None, seen: str) -> Any:
    if study is None and not studies.find(lab, 1):
        return gr.skip()
    if seen == mark(lab, study):
        return gr.skip()
    listed, *rest = draw(lab, study)
    return [gr.update(choices=listed["choices"]), *rest]  # late, it must not undo a choice


def mark(lab: LabContext, study: int | None) -> str:
    every = [(one.id, one.title) for one in studies.find(lab)]
    if study is None:
        return repr(every)
    view = studies.show(lab, study)
    told = [(run.id, run.status, run.outcome, run.job and run.job.done) for run in view.runs]
    found = [evaluation.show(lab, one) for one in view.evaluations.values()]
    return repr((every, study, told, [(one.status, len(one.scores)) for one in found]))


def draw(lab: LabContext, study: int | None) -> Sequence[Update]:
    """(the list, the mark, the table, the chart)."""
    every = studies.find(lab)
    choices = [(f"{one.id}: {one.title}", one.id) for one in every]
    if study is None:
        empty = empty_state_markup("No studies yet", "Start a bake-off above: the runs and their scores appear here.")
        return gr.update(choices=choices, value=None), mark(lab, None), empty, gr.update(visible=False)
    view = studies.show(lab, study)
    if study not in [number for _, number in choices]:
        choices.append((f"{study}: {view.title}", study))
    table, figure = _shown(lab, view)
    plot = gr.update(visible=figure is not None, value=figure)
    return gr.update(choices=choices, value=study), mark(lab, study), table, plot


def _shown(lab: LabContext, view: StudyView) -> tuple[str, Any]:
    links = ", ".join(
        f'<a href="/evaluate?evaluation={number}">{html.escape(name)}</a>' for name, number in view.evaluations.items()
    )
    note = f'<p class="panel-note">Read every prediction: {links}.</p>' if links else ""
    if view.kind == "sweep":
        return _sweep_table(view), charts.sweep(view.runs, list(view.settings.get("grid", {})))
    if view.kind in ("forgetting", "gate"):
        found = study_results.changes(lab, view)
        matrix = _matrix(study_results.forgotten(lab, found)) if view.kind == "forgetting" else ""
        return matrix + _changes(found, view.kind) + note, None
    lines = study_results.lines(lab, view)
    name = next(iter(evaluation.show(lab, view.evaluations["held out"]).choices)).metric if lines else ""
    measured = any(line.value is not None for line in lines)
    figure = charts.scores(lines, name, costs=view.kind == "shots") if measured else None
    return _lines(lines, view) + note, figure


def _lines(lines: Sequence[study_results.Line], view: StudyView) -> str:
    """One row a system: what it took and what it scored."""
    if not lines:
        return empty_state_markup("Nothing measured yet", "The runs are queued; scores come in when they have ended.")
    what = ("System", "State", "Score, 95 % interval", "n", "Against the baseline", "Trained")
    head = (*what, "Training", "Peak memory", "Artefact", "Prompt tokens", "A completion")
    return _table(head, [_cells(line) for line in lines])


def _cells(line: study_results.Line) -> list[str]:
    run = line.run
    out = run.outcome if run else {}
    score = NOTHING
    if line.value is not None:
        score = f"{line.value:.3f}" + (f" ({line.low:.3f} to {line.high:.3f})" if line.low is not None else "")
    against = "baseline" if line.baseline else NOTHING
    if line.compared is not None:
        found = line.compared.comparison
        against = f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f}), p = {line.compared.p:.2g}"
    share = share_text(out.get("trained"), out.get("parameters"))
    return [
        line.label,
        run.status if run else "base",
        score,
        f"{line.n:,}" if line.n else NOTHING,
        against,
        share,
        seconds_text(out.get("seconds")),
        size_text(out.get("peak")),
        size_text(out.get("bytes")),
        f"{line.prompt_tokens:.0f}" if line.prompt_tokens is not None else NOTHING,
        seconds_text(line.seconds),
    ]


def _sweep_table(view: StudyView) -> str:
    rows = []
    ended = [run.outcome["best_loss"] for run in view.runs if run.outcome.get("best_loss") is not None]
    for run in view.runs:
        loss = run.outcome.get("best_loss")
        shown = f"{loss:.4f}{' (best)' if loss == min(ended) else ''}" if loss is not None else NOTHING
        rows.append([f"{run.id}: {run.title}", run.status, shown, seconds_text(run.outcome.get("seconds"))])
    return _table(("Run", "State", "Validation loss", "Training"), rows)


def _changes(found: Sequence[study_results.Change], kind: str) -> str:
    """Every figure of every suite, and a sentence that names what got worse."""
    rows = []
    for one in found:
        values = [f"{v:.3f}" if v is not None else NOTHING for v in (one.before, one.after)]
        p = f"{one.p:.2g}" if one.p is not None else NOTHING
        rows.append([one.suite, one.model, one.figure or NOTHING, *values, change_text(one), p, one.verdict])
    what = "Saved evaluation" if kind == "gate" else "Suite"
    words = study_results.got_worse(found, "saved evaluations" if kind == "gate" else "suites")
    return f'<p class="verdict" role="status">{html.escape(words)}</p>' + _table(
        (what, "Model", "Figure", "Before", "After", "Change, 95 % interval", "p", "Verdict"), rows
    )


def _matrix(made: study_results.Forgotten) -> str:
    """Suites by models: each cell the change with its interval, the more coloured the larger it is."""
    changes = [one for _, _, row in made.rows for one in row if one is not None and one.compared is not None]
    if not changes:
        return ""
    most = max(abs(one.gain) for one in changes) or 1.0
    kinds = [(kind, sum(one == kind for one, _ in made.columns)) for kind in study_results.KINDS]
    groups = "".join(f'<th scope="colgroup" colspan="{n}">{html.escape(kind)}</th>' for kind, n in kinds if n)
    names = "".join(f'<th scope="col">{html.escape(name)}</th>' for _, name in made.columns)
    body = "".join(
        f'<tr><th scope="row">{html.escape(suite)} <small>{html.escape(figure)}</small></th>'
        + "".join(_change_cell(one, most) for one in row)
        + "</tr>"
        for suite, figure, row in made.rows
    )
    return (
        '<div class="grid-scroll" tabindex="0" role="region" aria-label="Change by suite and model">'
        f'<table class="grid changes"><thead><tr><th scope="col" rowspan="2">Change, 95 % interval</th>{groups}</tr>'
        f"<tr>{names}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _change_cell(one: study_results.Change | None, most: float) -> str:
    if one is None or one.compared is None:
        return f"<td>{NOTHING}</td>"
    much = round(STRONGEST * abs(one.gain) / most)
    tone = "fell" if one.gain < 0 else "rose"
    value, _, interval = change_text(one).partition(" ")
    told = f" <small>{one.verdict}</small>" if one.verdict in ("worse", "better") else ""
    return f'<td class="change {tone}" style="--much:{much}%"><b>{value}</b> <small>{interval}</small>{told}</td>'


def change_text(one: study_results.Change) -> str:
    if one.compared is None:
        return NOTHING
    found = one.compared.comparison
    return f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="grid-scroll" tabindex="0" role="region" aria-label="Study"><table class="grid">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )
