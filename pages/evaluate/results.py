"""An evaluation's figures: every metric side by side, one of them drawn with its tests, distributions and buckets."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.evaluation.figures import figure_of
from genai_lab.metrics.tokenizing import spaced
from genai_lab.services import datasets
from genai_lab.services import evaluation as service
from genai_lab.services.evaluation import EvaluationView, Key, reading, report
from pages.components import plots
from pages.components.copying import download_computed
from pages.components.errors import PRIVATE, guarded
from pages.components.head import PLAIN, empty_state_markup
from pages.components.sending import send_to_ranking

EMPTY = empty_state_markup(
    "No evaluation is open",
    "Start one under New: a suite to try it at once, or systems of your own. Its figures appear here.",
)
VIEWS = (
    ("Intervals", "intervals"),
    ("Distribution", "distribution"),
    ("Score against length", "length"),
    ("Buckets by length", "buckets"),
    ("Buckets by label", "labels"),
)
COLUMN = "column:"
Update = Any


class Results:
    """The components, for the page that opens an evaluation and for the reading tab."""

    def __init__(self, lab: LabContext, opened: gr.State) -> None:
        self.head = gr.HTML("", apply_default_css=False, elem_classes=PLAIN, js_on_load=None, elem_id="ev-head")
        self.table = gr.HTML(EMPTY, apply_default_css=False, elem_classes=PLAIN, js_on_load=None, elem_id="ev-table")
        with gr.Column(visible=False) as self.body:
            with gr.Row(elem_classes=["actions"]):
                self.figure = gr.Dropdown([], label="Figure", interactive=True, elem_id="ev-figure", min_width=260)
                self.baseline = gr.Dropdown(
                    [], label="Baseline", interactive=True, elem_id="ev-baseline", min_width=260
                )
                self.view = gr.Dropdown(
                    list(VIEWS), value="intervals", label="Chart", interactive=True, elem_id="ev-view", min_width=180
                )
            self.verdicts = gr.HTML(
                "", apply_default_css=False, elem_classes=PLAIN, js_on_load=None, elem_id="ev-verdicts"
            )
            self.plot = gr.Plot(show_label=False, elem_id="ev-plot", elem_classes=["chart-scroll"])
            with gr.Row(elem_classes=["actions"]):
                page = gr.Button("Report (HTML)", size="sm", scale=0, min_width=110, elem_id="ev-html")
                csv = gr.Button("CSV", size="sm", scale=0, min_width=70, elem_id="ev-csv")
                jsonl = gr.Button("JSONL", size="sm", scale=0, min_width=70, elem_id="ev-jsonl")
                rank = gr.Button("Send to ranking", size="sm", scale=0, min_width=120, elem_id="ev-rank")
        self.outputs = [self.head, self.table, self.figure, self.baseline, self.view, self.body]
        self.chosen = [opened, self.figure, self.baseline]
        self.drawn = [self.verdicts, self.plot]
        download_computed(page, as_html, [opened], "evaluation.html", lab)
        download_computed(csv, as_csv, [opened], "evaluation.csv", lab)
        download_computed(jsonl, as_jsonl, [opened], "evaluation.jsonl", lab)
        send_to_ranking(rank, number, [opened])
        for one in (self.figure, self.baseline, self.view):
            one.input(guarded(draw, lab), [*self.chosen, self.view], self.drawn, **PRIVATE)


def number(run_id: int | None) -> str:
    return str(run_id or "")


def overview(lab: LabContext, run_id: int | None) -> Sequence[Update]:
    """Head, table and the choices of the evaluation; empty where none is open."""
    if not run_id:
        none = gr.update(choices=[], value=None)
        return "", EMPTY, none, none, gr.skip(), gr.update(visible=False)
    view = service.show(lab, run_id)
    columns: Sequence[str] = datasets.show(lab, view.dataset_version_id).roles.get("metadata", [])
    keys = [(_title(key), _packed(key)) for key in view.figures()]
    systems = [(one.label, one.id) for one in view.systems]
    return (
        _head(view),
        _table(view),
        gr.update(choices=keys, value=keys[0][1] if keys else None),
        gr.update(choices=systems, value=view.baseline),
        gr.update(choices=[*VIEWS, *[(f"Buckets by {name}", COLUMN + name) for name in columns]]),
        gr.update(visible=True),
    )


def draw(lab: LabContext, run_id: int | None, packed: str | None, baseline: int | None, kind: str) -> Sequence[Update]:
    """Verdicts and the chart of the chosen figure."""
    if not run_id or not packed:
        return "", plots.figure([], plots.layout(120, xaxis={"visible": False}, yaxis={"visible": False}))
    view, key = service.show(lab, run_id), unpacked(packed)
    one = report.chart(lab, view, key, baseline)
    words = [found.verdict for found in one.compared]
    if not words and len(view.systems) == 1:
        words = ["One system alone: start an evaluation with two to compare them."]
    verdicts = "".join(f"<p class='verdict'>{html.escape(text)}</p>" for text in words)
    if kind.startswith(COLUMN):
        return verdicts, _bucketed(lab, view, key, kind.removeprefix(COLUMN))
    made = {"distribution": _distribution, "length": _against_length, "buckets": _bucketed, "labels": _bucketed}
    if kind in made:
        return verdicts, made[kind](lab, view, key, "label" if kind == "labels" else "length")
    return verdicts, _intervals(one)


def as_html(lab: LabContext, run_id: int | None) -> str:
    return report.to_html(lab, service.show(lab, _chosen(run_id)))


def as_csv(lab: LabContext, run_id: int | None) -> str:
    return report.to_csv(service.show(lab, _chosen(run_id)))


def as_jsonl(lab: LabContext, run_id: int | None) -> str:
    return report.to_jsonl(service.show(lab, _chosen(run_id)))


def unpacked(packed: str) -> Key:
    metric, figure, signature = packed.split("\n", 2)
    return metric, figure, signature


def _packed(key: Key) -> str:
    return "\n".join(key)


def _title(key: Key) -> str:
    return figure_of(key[0], key[1]).title


def _chosen(run_id: int | None) -> int:
    if not run_id:
        raise LabError("No evaluation is open; choose one in the list first.")
    return run_id


def _head(view: EvaluationView) -> str:
    state = "" if view.status == "finished" else f' <span class="state {view.status}">{view.status}</span>'
    problem = f'<p class="problem">{html.escape(view.error)}</p>' if view.error else ""
    return (
        f'<div class="section-head" data-evaluation="{view.id}"><h2>{html.escape(view.title)}{state}</h2>'
        f"<p>Evaluation {view.id} on {html.escape(view.dataset)}, {view.created_at:%Y-%m-%d %H:%M} UTC, "
        f"seed {view.seed}. Every interval is a 95 % interval.</p>{problem}</div>"
    )


def _table(view: EvaluationView) -> str:
    if not view.scores:
        return empty_state_markup("Nothing measured yet", "The figures appear here while the job runs.")
    found = {(one.system, one.metric, one.figure, one.signature): one for one in view.scores}
    head = "".join(
        f'<th scope="col">{html.escape(one.label)}<br><small>n = {one.n}</small></th>' for one in view.systems
    )
    first: list[str] = []
    rest: list[str] = []
    for chart in report.figures(view):
        (rest if chart.figure.more else first).append(_row(view, chart, found))
    every = _grid(head, first)
    if not rest:
        return every
    return f"{every}<details class='list'><summary>More figures ({len(rest)})</summary>{_grid(head, rest)}</details>"


def _row(view: EvaluationView, chart: report.Chart, found: dict[Any, service.ScoreView]) -> str:
    cells = []
    for system in view.systems:
        best = chart.best == system.id and len(view.systems) > 1
        cells.append(f"<td>{_cell(found.get((system.id, *chart.key)), best)}</td>")
    arrow = "↑" if chart.figure.higher_is_better else "↓"
    name = f'{html.escape(chart.title)} <span title="{_better(chart.figure)}">{arrow}</span>'
    note = f"<br><small>{html.escape(chart.key[2])}</small>"
    note += "".join(f'<p class="problem"><small>{html.escape(text)}</small></p>' for text in chart.warnings)
    return f'<tr><th scope="row">{name}{note}</th>{"".join(cells)}</tr>'


def _grid(head: str, rows: Sequence[str]) -> str:
    return (
        '<div class="grid-scroll" tabindex="0" role="region" aria-label="Figures of all systems">'
        f'<table class="grid scores"><thead><tr><th scope="col">Figure</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _better(figure: Any) -> str:
    return "higher is better" if figure.higher_is_better else "lower is better"


def _cell(one: service.ScoreView | None, best: bool) -> str:
    if one is None:
        return "…"
    value = report.number(one.value)
    shown = f"<b>{value}</b>" if best else value
    return f"{shown}<br><small>{report.number(one.low)} to {report.number(one.high)}, n = {one.n}</small>"


def _intervals(one: report.Chart) -> Any:
    names = [bar.system.label for bar in one.bars]
    values = [bar.score.value for bar in one.bars]
    up = [(bar.score.high or 0) - (bar.score.value or 0) for bar in one.bars]
    down = [(bar.score.value or 0) - (bar.score.low or 0) for bar in one.bars]
    data = {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": list(range(len(names))),
        "error_x": {"type": "data", "array": up, "arrayminus": down, "thickness": 2, "width": 6},
        "marker": {"size": 10, "color": plots.BLUE},
        "text": [f"{name}: {report.number(v)}" for name, v in zip(names, values, strict=True)],
        "hovertemplate": "%{text}<extra></extra>",
    }
    made = plots.layout(80 + 34 * len(names), showlegend=False)
    made["margin"] = {"l": 12, "r": 16, "t": 8, "b": 44}
    made["xaxis"] = made["xaxis"] | {"range": [one.low, one.high], "title": {"text": one.title}}
    made["yaxis"] = {
        "tickvals": list(range(len(names))),
        "ticktext": [html.escape(name) for name in names],
        "range": [len(names) - 0.5, -0.5],
        "automargin": True,
        "showgrid": False,
        "fixedrange": True,
    }
    return plots.figure([data], made)


def _distribution(lab: LabContext, view: EvaluationView, key: Key, by: str) -> Any:
    data = []
    for number, system in enumerate(view.systems):
        values = view.score(key, system.id).per_example
        if values is None:
            raise LabError(f"{_title(key)} is a figure of the whole set; choose one that is measured row by row.")
        data.append(
            {
                "type": "histogram",
                "x": [one for one in values if one is not None],
                "name": html.escape(system.label),
                "opacity": 0.55,
                "nbinsx": 24,
                "marker": {"color": plots.PALETTE[number % len(plots.PALETTE)]},
            }
        )
    made = plots.layout(300, barmode="overlay")
    made["xaxis"] = made["xaxis"] | {"title": {"text": _title(key)}}
    made["yaxis"] = made["yaxis"] | {"title": {"text": "rows"}}
    return plots.figure(data, made)


def _against_length(lab: LabContext, view: EvaluationView, key: Key, by: str) -> Any:
    data = []
    for number, system in enumerate(view.systems):
        found = reading.lines(lab, view, key, system.id, system.id)
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [len(spaced(line.source)) for line in found],
                "y": [line.values[0] for line in found],
                "name": html.escape(system.label),
                "marker": {"size": 5, "opacity": 0.6, "color": plots.PALETTE[number % len(plots.PALETTE)]},
                "text": [f"row {line.example + 1}" for line in found],
                "hovertemplate": "%{text}: %{y:.3f}, %{x} words<extra></extra>",
            }
        )
    made = plots.layout(320)
    made["xaxis"] = made["xaxis"] | {"title": {"text": "words of the input"}}
    made["yaxis"] = made["yaxis"] | {"title": {"text": _title(key)}}
    return plots.figure(data, made)


def _bucketed(lab: LabContext, view: EvaluationView, key: Key, by: str) -> Any:
    found = reading.buckets(lab, view, key, by, view.seed)
    names = [html.escape(f"{bucket.name} (n = {bucket.n})") for bucket in found]
    data = []
    for number, system in enumerate(view.systems):
        means = [bucket.means[number] for bucket in found]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": names,
                "y": [one.value if one else None for one in means],
                "error_y": {
                    "type": "data",
                    "array": [(one.high - one.value) if one else None for one in means],
                    "arrayminus": [(one.value - one.low) if one else None for one in means],
                },
                "name": html.escape(system.label),
                "marker": {"size": 9, "color": plots.PALETTE[number % len(plots.PALETTE)]},
            }
        )
    made = plots.layout(320)
    made["yaxis"] = made["yaxis"] | {"title": {"text": _title(key)}}
    return plots.figure(data, made)
