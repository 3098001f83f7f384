"""A run's report on held-out pairs: accuracy beside simple baselines, calibration, scores, what goes wrong."""

from typing import Any

import gradio as gr

from pages.components import plots
from pages.components.forms import Updates
from pages.components.head import html_part

TABLE = """
{{#if value.rows.length}}<h3>Held-out pairs</h3>{{#each value.sentences}}<p class="verdict">{{this}}</p>{{/each}}
<div class="grid-scroll" tabindex="0" role="region" aria-label="Accuracy on held-out pairs"><table class="grid scores">
<thead><tr><th scope="col">Pairwise accuracy</th><th scope="col">Value</th><th scope="col">95 % interval</th>
<th scope="col">Pairs</th></tr></thead><tbody>{{#each value.rows}}<tr><th scope="row">{{this.name}}</th>
<td>{{this.value}}</td><td>{{this.interval}}</td><td>{{this.n}}</td></tr>{{/each}}</tbody></table></div>
<p class="panel-note">{{value.note}}</p>{{/if}}
"""
WORST = """
{{#if value.length}}<details class="list"><summary>Pairs with the largest errors</summary>
<div class="grid-scroll" tabindex="0" role="region" aria-label="Pairs with the largest errors">
<table class="grid samples"><thead><tr>
<th scope="col">Prompt</th><th scope="col">Chosen</th><th scope="col">Rejected</th></tr></thead><tbody>
{{#each value}}<tr><td><p>{{this.prompt}}</p></td><td><p>{{this.chosen}}</p><small>{{this.first}}</small></td><td>
<p>{{this.rejected}}</p><small>{{this.second}}</small></td></tr>{{/each}}</tbody></table></div></details>{{/if}}
"""


OUTPUTS = ("report", "report_plot", "worst_pairs")


def draw() -> dict[str, Any]:
    """The panels by name: OUTPUTS."""
    return {
        "report": html_part({"rows": []}, TABLE, "ft-report", sheet="finetune.css"),
        "report_plot": gr.Plot(
            show_label=False, container=False, visible=False, elem_id="ft-report-plot", elem_classes=["chart-scroll"]
        ),
        "worst_pairs": html_part([], WORST, "ft-worst", sheet="finetune.css"),
    }


def updates(report: dict[str, Any], implicit: bool = False) -> Updates:
    """Nothing for a run that did not learn from pairs; `implicit` for a policy's own reward."""
    if not report:
        return {"report": {"rows": []}, "report_plot": gr.update(visible=False), "worst_pairs": []}
    rows = [_row("This policy's implicit reward" if implicit else "This reward model", report["accuracy"])]
    rows += [_row(f"Baseline: {name}", entry) for name, entry in report["baselines"].items()]
    for title, key in (("annotator", "by_annotator"), ("criterion", "by_criterion")):
        if len(report[key]) > 1:
            rows += [_row(f"On pairs of {title} {name}", entry) for name, entry in report[key].items()]
    length = report["length"]
    notes = [
        f"{report['n']:,} pairs of {report['prompts']:,} prompts held out; {report['training_pairs']:,} to train on.",
        f"Expected calibration error {report['calibration']['ece']:.3f}.",
    ]
    if length["score"] is not None:
        notes.append(f"Spearman's correlation of reward and length {length['score']:.2f}.")
    worst = [
        {
            **{name: entry[name][:600] for name in ("prompt", "chosen", "rejected")},
            "first": f"reward {entry['chosen_score']:.3f}",
            "second": f"reward {entry['rejected_score']:.3f}",
        }
        for entry in report["worst"]
    ]
    table = {"rows": rows, "sentences": report["sentences"], "note": " ".join(notes)}
    return {"report": table, "report_plot": gr.update(visible=True, value=_plot(report)), "worst_pairs": worst}


def _row(name: str, figure: dict[str, Any]) -> dict[str, str]:
    if figure["value"] is None:
        return {"name": name, "value": "undefined", "interval": "", "n": f"{figure['n']:,}"}
    interval = f"{figure['low']:.3f} to {figure['high']:.3f}"
    return {"name": name, "value": f"{figure['value']:.3f}", "interval": interval, "n": f"{figure['n']:,}"}


def _plot(report: dict[str, Any]) -> Any:
    """Left: reliability; right: rewards of chosen and rejected completions."""
    bins, scores = report["calibration"]["bins"], report["scores"]
    middles = [(a + b) / 2 for a, b in zip(scores["edges"], scores["edges"][1:], strict=False)]
    figure_layout = plots.layout(height=270, barmode="overlay")
    figure_layout["xaxis"] = {
        "domain": [0, 0.44],
        "range": [0, 1],
        "title": {"text": "Predicted"},
        "gridcolor": plots.GRID,
    }
    figure_layout["yaxis"] = {"range": [0, 1], "title": {"text": "Chosen"}, "gridcolor": plots.GRID, "anchor": "x"}
    figure_layout["xaxis2"] = {
        "domain": [0.56, 1],
        "title": {"text": "Reward"},
        "gridcolor": plots.GRID,
        "anchor": "y2",
    }
    figure_layout["yaxis2"] = {"title": {"text": "Completions"}, "gridcolor": plots.GRID, "anchor": "x2"}
    figure_layout["margin"] = {"l": 54, "r": 12, "t": 26, "b": 40}
    ideal = {"color": plots.GREY, "dash": "dot", "width": 1}
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "line": ideal, "showlegend": False},
        {
            "type": "scatter",
            "mode": "markers+lines",
            "name": "reliability",
            "x": [bin_[0] for bin_ in bins],
            "y": [bin_[1] for bin_ in bins],
            "customdata": [bin_[2] for bin_ in bins],
            "hovertemplate": "predicted %{x:.2f}, chosen %{y:.2f}, %{customdata} pairs<extra></extra>",
            "marker": {"color": plots.BLUE},
        },
    ]
    for name, colour in (("chosen", plots.GREEN), ("rejected", plots.ROSE)):
        data.append(
            {
                "type": "bar",
                "name": name,
                "x": middles,
                "y": scores[name],
                "xaxis": "x2",
                "yaxis": "y2",
                "opacity": 0.6,
                "marker": {"color": colour},
            }
        )
    return plots.figure(data, figure_layout)
