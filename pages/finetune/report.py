"""A run's report on held-out pairs: accuracy beside simple baselines, calibration, scores, what goes wrong."""

from typing import Any

import gradio as gr

from pages.components import plots
from pages.components.forms import Updates
from pages.components.head import piece

TABLE = """
{{#if value.rows.length}}<h3>Held-out pairs</h3>{{#each value.sentences}}<p class="verdict">{{this}}</p>{{/each}}
<div class="grid-scroll" tabindex="0" role="region" aria-label="Accuracy on held-out pairs"><table class="grid scores">
<thead><tr><th scope="col">Pairwise accuracy</th><th scope="col">Value</th><th scope="col">95 % interval</th>
<th scope="col">Pairs</th></tr></thead><tbody>{{#each value.rows}}<tr><th scope="row">{{this.name}}</th>
<td>{{this.value}}</td><td>{{this.interval}}</td><td>{{this.n}}</td></tr>{{/each}}</tbody></table></div>
<p class="panel-note">{{value.note}}</p>{{/if}}
"""
WORST = """
{{#if value.length}}<details class="list"><summary>Pairs that it gets most wrong</summary>
<div class="grid-scroll" tabindex="0" role="region" aria-label="Pairs that it gets most wrong">
<table class="grid samples"><thead><tr>
<th scope="col">Prompt</th><th scope="col">Chosen</th><th scope="col">Rejected</th></tr></thead><tbody>
{{#each value}}<tr><td><p>{{this.prompt}}</p></td><td><p>{{this.chosen}}</p><small>{{this.first}}</small></td><td>
<p>{{this.rejected}}</p><small>{{this.second}}</small></td></tr>{{/each}}</tbody></table></div></details>{{/if}}
"""


OUTPUTS = ("report", "report_plot", "worst_pairs")


def draw() -> dict[str, Any]:
    """The panels by name: OUTPUTS."""
    return {
        "report": piece({"rows": []}, TABLE, "ft-report", sheet="finetune.css"),
        "report_plot": gr.Plot(
            show_label=False, container=False, visible=False, elem_id="ft-report-plot", elem_classes=["chart-scroll"]
        ),
        "worst_pairs": piece([], WORST, "ft-worst", sheet="finetune.css"),
    }


def updates(report: dict[str, Any], implicit: bool = False) -> Updates:
    """Nothing for a run that did not learn from pairs; `implicit` for a policy's own reward."""
    if not report:
        return {"report": {"rows": []}, "report_plot": gr.update(visible=False), "worst_pairs": []}
    rows = [_row("This policy's implicit reward" if implicit else "This reward model", report["accuracy"])]
    rows += [_row(f"Baseline: {name}", one) for name, one in report["baselines"].items()]
    for title, key in (("annotator", "by_annotator"), ("criterion", "by_criterion")):
        if len(report[key]) > 1:
            rows += [_row(f"On pairs of {title} {name}", one) for name, one in report[key].items()]
    length = report["length"]
    notes = [
        f"{report['n']:,} pairs of {report['prompts']:,} prompts held out; {report['training_pairs']:,} to learn from.",
        f"Expected calibration error {report['calibration']['ece']:.3f}.",
    ]
    if length["score"] is not None:
        notes.append(f"Spearman's correlation of reward and length {length['score']:.2f}.")
    worst = [
        {
            **{name: one[name][:600] for name in ("prompt", "chosen", "rejected")},
            "first": f"reward {one['chosen_score']:.3f}",
            "second": f"reward {one['rejected_score']:.3f}",
        }
        for one in report["worst"]
    ]
    table = {"rows": rows, "sentences": report["sentences"], "note": " ".join(notes)}
    return {"report": table, "report_plot": gr.update(visible=True, value=_plot(report)), "worst_pairs": worst}


def _row(name: str, one: dict[str, Any]) -> dict[str, str]:
    if one["value"] is None:
        return {"name": name, "value": "undefined", "interval": "", "n": f"{one['n']:,}"}
    interval = f"{one['low']:.3f} to {one['high']:.3f}"
    return {"name": name, "value": f"{one['value']:.3f}", "interval": interval, "n": f"{one['n']:,}"}


def _plot(report: dict[str, Any]) -> Any:
    """Left: reliability; right: rewards of chosen and rejected completions."""
    bins, scores = report["calibration"]["bins"], report["scores"]
    middles = [(a + b) / 2 for a, b in zip(scores["edges"], scores["edges"][1:], strict=False)]
    made = plots.layout(height=270, barmode="overlay")
    made["xaxis"] = {"domain": [0, 0.44], "range": [0, 1], "title": {"text": "Predicted"}, "gridcolor": plots.GRID}
    made["yaxis"] = {"range": [0, 1], "title": {"text": "Chosen"}, "gridcolor": plots.GRID, "anchor": "x"}
    made["xaxis2"] = {"domain": [0.56, 1], "title": {"text": "Reward"}, "gridcolor": plots.GRID, "anchor": "y2"}
    made["yaxis2"] = {"title": {"text": "Completions"}, "gridcolor": plots.GRID, "anchor": "x2"}
    made["margin"] = {"l": 54, "r": 12, "t": 26, "b": 40}
    ideal = {"color": plots.GREY, "dash": "dot", "width": 1}
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "line": ideal, "showlegend": False},
        {
            "type": "scatter",
            "mode": "markers+lines",
            "name": "reliability",
            "x": [one[0] for one in bins],
            "y": [one[1] for one in bins],
            "customdata": [one[2] for one in bins],
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
    return plots.figure(data, made)
