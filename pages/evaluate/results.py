"""An evaluation's figures: every metric side by side, one of them drawn with its tests, distributions and buckets."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.evaluation.figures import figure_of
from genai_lab.metrics.tokenizing import separate_words
from genai_lab.services import datasets
from genai_lab.services import evaluation as service
from genai_lab.services.evaluation import EvaluationView, Key, reading, report
from pages.components import plots
from pages.components.copying import download_computed
from pages.components.forms import Form
from pages.components.head import PLAIN, empty_state_markup
from pages.components.sending import send_to_ranking
from pages.components.settings_inputs import Updates, Values

EMPTY = empty_state_markup(
    "No evaluation is open",
    "Start one on the New tab: a suite for a first try, or systems of your own. Its figures appear here.",
)
VIEWS = (
    ("Intervals", "intervals"),
    ("Distribution", "distribution"),
    ("Score against length", "length"),
    ("Buckets by length", "buckets"),
    ("Buckets by label", "labels"),
)
COLUMN = "column:"


# What identifies a chart, what it is drawn into, and what an evaluation's overview fills.
INPUTS = ["run_id", "figure", "baseline", "chart"]
PANELS = ["verdicts", "plot"]
EMPTY_PANELS: Updates = {"verdicts": "", "plot": gr.update(value=None)}
OVERVIEW = ["head", "table", "figure", "baseline", "chart", "body"]


def build(lab: LabContext, form: Form) -> None:
    """Draws the tab and adds its components to the page's form."""
    markup: dict[str, Any] = {"apply_default_css": False, "elem_classes": PLAIN, "js_on_load": None}
    form.add(
        head=gr.HTML("", elem_id="ev-head", **markup),
        table=gr.HTML(EMPTY, elem_id="ev-table", **markup),
    )
    with gr.Column(visible=False) as body:
        with gr.Row(elem_classes=["actions"]):
            form.add(
                figure=gr.Dropdown([], label="Figure", interactive=True, elem_id="ev-figure", min_width=260),
                baseline=gr.Dropdown([], label="Baseline", interactive=True, elem_id="ev-baseline", min_width=260),
                chart=gr.Dropdown(
                    list(VIEWS), value="intervals", label="Chart", interactive=True, elem_id="ev-view", min_width=180
                ),
            )
        form.add(
            verdicts=gr.HTML("", elem_id="ev-verdicts", **markup),
            plot=gr.Plot(show_label=False, elem_id="ev-plot", elem_classes=["chart-scroll"]),
        )
        with gr.Row(elem_classes=["actions"]):
            report_button = gr.Button("Report (HTML)", size="sm", scale=0, min_width=110, elem_id="ev-html")
            csv = gr.Button("CSV", size="sm", scale=0, min_width=70, elem_id="ev-csv")
            jsonl = gr.Button("JSONL", size="sm", scale=0, min_width=70, elem_id="ev-jsonl")
            rank = gr.Button("Send to ranking", size="sm", scale=0, min_width=120, elem_id="ev-rank")
    form.add(body=body)
    run_id = [form["run_id"]]
    download_computed(report_button, as_html, run_id, "evaluation.html", lab)
    download_computed(csv, as_csv, run_id, "evaluation.csv", lab)
    download_computed(jsonl, as_jsonl, run_id, "evaluation.jsonl", lab)
    send_to_ranking(rank, run_number, run_id)
    for choice in ("figure", "baseline", "chart"):
        form.on(form[choice].input, render, lab, inputs=INPUTS, outputs=PANELS)


def run_number(run_id: int | None) -> str:
    return str(run_id or "")


def overview(lab: LabContext, run_id: int | None) -> Updates:
    """Head, table and the choices of the evaluation; empty where none is open."""
    if not run_id:
        none = gr.update(choices=[], value=None)
        return {"head": "", "table": EMPTY, "figure": none, "baseline": none, "body": gr.update(visible=False)}
    view = service.show(lab, run_id)
    columns: Sequence[str] = datasets.show(lab, view.dataset_version_id).roles.get("metadata", [])
    keys = [(_title(key), _pack_key(key)) for key in view.figures()]
    systems = [(system.label, system.id) for system in view.systems]
    return {
        "head": _head(view),
        "table": _table(view),
        "figure": gr.update(choices=keys, value=keys[0][1] if keys else None),
        "baseline": gr.update(choices=systems, value=view.baseline),
        "chart": gr.update(choices=[*VIEWS, *[(f"Buckets by {name}", COLUMN + name) for name in columns]]),
        "body": gr.update(visible=True),
    }


def render(lab: LabContext, values: Values) -> Updates:
    """Verdicts and the chart of the selected figure."""
    run_id, packed, kind = values["run_id"], values["figure"], values["chart"]
    if not run_id or not packed:
        nothing = plots.layout(120, xaxis={"visible": False}, yaxis={"visible": False})
        return {"verdicts": "", "plot": plots.figure([], nothing)}
    view, key = service.show(lab, run_id), unpack_key(packed)
    chart = report.chart(lab, view, key, values["baseline"])
    sentences = [comparison.verdict for comparison in chart.compared]
    if not sentences and len(view.systems) == 1:
        sentences = ["There is only one system: start an evaluation with two to compare them."]
    verdicts = "".join(f"<p class='verdict'>{html.escape(text)}</p>" for text in sentences)
    return {"verdicts": verdicts, "plot": _plot(lab, view, key, kind, chart)}


def _plot(lab: LabContext, view: EvaluationView, key: Key, kind: str, chart: report.Chart) -> Any:
    if kind.startswith(COLUMN):
        return _buckets(lab, view, key, kind.removeprefix(COLUMN))
    if kind == "distribution":
        return _distribution(view, key)
    if kind == "length":
        return _against_length(lab, view, key)
    if kind in ("buckets", "labels"):
        return _buckets(lab, view, key, "label" if kind == "labels" else "length")
    return _intervals(chart)


def as_html(lab: LabContext, run_id: int | None) -> str:
    return report.to_html(lab, service.show(lab, _open_run(run_id)))


def as_csv(lab: LabContext, run_id: int | None) -> str:
    return report.to_csv(service.show(lab, _open_run(run_id)))


def as_jsonl(lab: LabContext, run_id: int | None) -> str:
    return report.to_jsonl(service.show(lab, _open_run(run_id)))


def unpack_key(packed: str) -> Key:
    metric, figure, signature = packed.split("\n", 2)
    return metric, figure, signature


def _pack_key(key: Key) -> str:
    return "\n".join(key)


def _title(key: Key) -> str:
    return figure_of(key[0], key[1]).title


def _open_run(run_id: int | None) -> int:
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
    scores = {(score.system, score.metric, score.figure, score.signature): score for score in view.scores}
    head = "".join(_column(system) for system in view.systems)
    main: list[str] = []
    secondary: list[str] = []
    for chart in report.figures(view):
        (secondary if chart.figure.more else main).append(_row(view, chart, scores))
    if not secondary:
        return _grid(head, main)
    summary = f"<summary>More figures ({len(secondary)})</summary>"
    return f"{_grid(head, main)}<details class='list'>{summary}{_grid(head, secondary)}</details>"


def _column(system: service.SystemView) -> str:
    rows = f"n = {system.n}"
    if system.completions_per_row > 1:
        most = "" if system.n == system.rows * system.completions_per_row else "up to "
        rows = f"{system.rows} rows x {most}{system.completions_per_row} completions"
    return f'<th scope="col">{html.escape(system.label)}<br><small>{rows}</small></th>'


def _row(view: EvaluationView, chart: report.Chart, scores: dict[Any, service.ScoreView]) -> str:
    cells = []
    for system in view.systems:
        best = chart.best == system.id and len(view.systems) > 1
        cells.append(f"<td>{_cell(scores.get((system.id, *chart.key)), best)}</td>")
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


def _cell(score: service.ScoreView | None, best: bool) -> str:
    if score is None:
        return "…"
    value = report.number(score.value)
    value = f"<b>{value}</b>" if best else value
    return f"{value}<br><small>{report.number(score.low)} to {report.number(score.high)}, {score.n_text}</small>"


def _intervals(chart: report.Chart) -> Any:
    names = [bar.system.label for bar in chart.bars]
    values = [bar.score.value for bar in chart.bars]
    up = [(bar.score.high or 0) - (bar.score.value or 0) for bar in chart.bars]
    down = [(bar.score.value or 0) - (bar.score.low or 0) for bar in chart.bars]
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
    layout = plots.layout(80 + 34 * len(names), showlegend=False)
    layout["margin"] = {"l": 12, "r": 16, "t": 8, "b": 44}
    layout["xaxis"] = layout["xaxis"] | {"range": [chart.low, chart.high], "title": {"text": chart.title}}
    layout["yaxis"] = {
        "tickvals": list(range(len(names))),
        "ticktext": [html.escape(name) for name in names],
        "range": [len(names) - 0.5, -0.5],
        "automargin": True,
        "showgrid": False,
        "fixedrange": True,
    }
    return plots.figure([data], layout)


def _distribution(view: EvaluationView, key: Key) -> Any:
    data = []
    for number, system in enumerate(view.systems):
        values = view.score(key, system.id).per_example
        if values is None:
            raise LabError(f"{_title(key)} is computed over the whole set; choose a figure that has a value per row.")
        data.append(
            {
                "type": "histogram",
                "x": [value for value in values if value is not None],
                "name": html.escape(system.label),
                "opacity": 0.55,
                "nbinsx": 24,
                "marker": {"color": plots.PALETTE[number % len(plots.PALETTE)]},
            }
        )
    layout = plots.layout(300, barmode="overlay")
    layout["xaxis"] = layout["xaxis"] | {"title": {"text": _title(key)}}
    layout["yaxis"] = layout["yaxis"] | {"title": {"text": "rows"}}
    return plots.figure(data, layout)


def _against_length(lab: LabContext, view: EvaluationView, key: Key) -> Any:
    data = []
    for number, system in enumerate(view.systems):
        lines = reading.lines(lab, view, key, system.id, system.id)
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [len(separate_words(line.source)) for line in lines],
                "y": [line.values[0] for line in lines],
                "name": html.escape(system.label),
                "marker": {"size": 5, "opacity": 0.6, "color": plots.PALETTE[number % len(plots.PALETTE)]},
                "text": [f"row {line.example + 1}" for line in lines],
                "hovertemplate": "%{text}: %{y:.3f}, %{x} words<extra></extra>",
            }
        )
    layout = plots.layout(320)
    layout["xaxis"] = layout["xaxis"] | {"title": {"text": "input length (words)"}}
    layout["yaxis"] = layout["yaxis"] | {"title": {"text": _title(key)}}
    return plots.figure(data, layout)


def _buckets(lab: LabContext, view: EvaluationView, key: Key, by: str) -> Any:
    buckets = reading.buckets(lab, view, key, by, view.seed)
    names = [html.escape(f"{bucket.name} (n = {bucket.n})") for bucket in buckets]
    data = []
    for number, system in enumerate(view.systems):
        means = [bucket.means[number] for bucket in buckets]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": names,
                "y": [mean.value if mean else None for mean in means],
                "error_y": {
                    "type": "data",
                    "array": [(mean.high - mean.value) if mean else None for mean in means],
                    "arrayminus": [(mean.value - mean.low) if mean else None for mean in means],
                },
                "name": html.escape(system.label),
                "marker": {"size": 9, "color": plots.PALETTE[number % len(plots.PALETTE)]},
            }
        )
    layout = plots.layout(320)
    layout["yaxis"] = layout["yaxis"] | {"title": {"text": _title(key)}}
    return plots.figure(data, layout)
