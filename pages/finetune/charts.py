"""Charts of fine-tuning: curves of one or several runs, scores with intervals, settings against losses."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from genai_lab.services.training import TrainingView
from genai_lab.services.training.study_results import SystemResult
from pages.components.plots import GRID, PALETTE, figure, layout

Points = Sequence[tuple[int, float]]
POINTS = 400
SPARE = 0.32  # of the height of a row, between two rows of charts
PANELS = (
    ("Loss (nats per token or pair)", ("training loss", "validation loss")),
    ("Learning rate", ("learning rate",)),
    ("Gradient norm", ("gradient norm",)),
    ("Tokens per second", ("tokens per second",)),
    ("Memory (MB)", ("memory",)),
    ("Task score on validation rows", ("validation exact match", "validation ROUGE-L F1", "validation accuracy")),
)
OF_SOME = (
    ("Token accuracy without the end token", ("validation token accuracy",)),
    ("Accuracy on training pairs", ("training accuracy",)),
    ("Reward margin", ("training reward margin", "validation reward margin")),
    (
        "Rewards of chosen and rejected",
        (
            *("training chosen reward", "validation chosen reward"),
            *("training rejected reward", "validation rejected reward"),
        ),
    ),
    ("Score of completions", ("score", "validation score")),
    ("KL to the reference (nats per completion)", ("KL", "validation KL")),
    ("Score less the KL penalty", ("objective", "validation objective")),
    ("Completion length (tokens)", ("completion length", "validation completion length")),
    ("Share of completions that end", ("ended", "validation ended")),
    ("Entropy (nats per token)", ("entropy",)),
    ("Ratio to the old policy", ("ratio",)),
    ("Share of clipped tokens", ("clip share",)),
    ("KL weight (beta)", ("beta",)),
    ("Variance explained by the value head", ("value explained variance",)),
    ("Share of prompts of equal reward", ("prompts of equal reward",)),
    ("Seconds per step", ("seconds writing", "seconds rewarding", "seconds reading", "seconds updating")),
)


def curves(runs: Sequence[tuple[TrainingView, Mapping[str, Points]]]) -> go.Figure:
    """Six small charts and those of which there is something; a run keeps its colour, validation is dashed.

    The score of the base, which is that of step 0, is a line through the chart of scores.
    """
    panels = PANELS + tuple(
        panel for panel in OF_SOME if any(name in points_by_name for _, points_by_name in runs for name in panel[1])
    )
    return grid([(title, _traces(title, names, runs, first=not index)) for index, (title, names) in enumerate(panels)])


def _traces(
    title: str, names: Sequence[str], runs: Sequence[tuple[TrainingView, Mapping[str, Points]]], first: bool
) -> list[dict[str, Any]]:
    traces = []
    for number, (view, points_by_name) in enumerate(runs):
        for name in names:
            if points := points_by_name.get(name):
                colour = PALETTE[number % len(PALETTE)]
                traces.append(curve(view, name, points, colour, legend=first))
                if title.startswith("Task score") and points[0][0] == 0 and len(points) > 1:
                    traces.append(_base_line(view, points, colour))
    return traces


def grid(panels: Sequence[tuple[str, Sequence[dict[str, Any]]]]) -> go.Figure:
    """Small charts, three a row, each of a title and the traces in it."""
    rows = -(-len(panels) // 3)
    spare = SPARE / max(rows, 2)
    figure_layout = layout(height=215 * rows, showlegend=True)
    figure_layout["legend"] = {"orientation": "h", "y": 1 + 0.24 / rows, "x": 0}
    figure_layout["margin"] = {"l": 44, "r": 12, "t": 30, "b": 30}
    del figure_layout["xaxis"], figure_layout["yaxis"]
    data: list[dict[str, Any]] = []
    notes = []
    for index, (title, traces) in enumerate(panels):
        column, row = index % 3, index // 3
        axis = "" if index == 0 else str(index + 1)
        start, low = column * 0.35, (1 + spare) / rows * (rows - 1 - row)
        figure_layout[f"xaxis{axis}"] = {
            "domain": [start, start + 0.29],
            "anchor": f"y{axis}",
            "gridcolor": GRID,
            "zeroline": False,
        }
        figure_layout[f"yaxis{axis}"] = {
            "domain": [low, low + (1 + spare) / rows - spare],
            "anchor": f"x{axis}",
            "gridcolor": GRID,
            "zeroline": False,
        }
        notes.append(_note(title, axis))
        data += [{**trace, "xaxis": f"x{axis}", "yaxis": f"y{axis}"} for trace in traces]
    figure_layout["annotations"] = notes
    return figure(data, figure_layout)


def _note(title: str, axis: str) -> dict[str, Any]:
    return {
        "text": title, "showarrow": False, "xref": f"x{axis} domain", "yref": f"y{axis} domain", "x": 0, "y": 1,
        "xanchor": "left", "yanchor": "bottom", "yshift": 3, "font": {"size": 11},
    }  # fmt: skip


def thin(points: Points) -> list[tuple[int, float]]:
    """At most some hundreds of the points, the last among them."""
    thinned = list(points[:: max(1, len(points) // POINTS)])
    return thinned if thinned[-1] == points[-1] else [*thinned, points[-1]]


def curve(view: TrainingView, name: str, points: Points, colour: str, *, legend: bool = False) -> dict[str, Any]:
    thinned = thin(points)
    validation = name.startswith("validation")
    scale = 1e-6 if name == "memory" else 1.0
    return {
        "type": "scatter",
        "mode": "lines+markers" if validation else "lines",
        "name": html.escape(f"{view.title}{' (validation)' if validation else ''}"),
        "x": [step for step, _ in thinned],
        "y": [scale * value for _, value in thinned],
        "showlegend": legend,
        "line": {"color": colour, "width": 1.5, "dash": "dot" if validation else "solid"},
        "marker": {"size": 5},
        "hovertemplate": f"step %{{x}}<br>{html.escape(name)} %{{y:.4g}}<extra>{html.escape(view.title)}</extra>",
    }


def _base_line(view: TrainingView, points: Points, colour: str) -> dict[str, Any]:
    value = points[0][1]
    return {
        "type": "scatter", "mode": "lines", "name": html.escape(f"{view.title} (base)"), "showlegend": False,
        "x": [points[0][0], points[-1][0]], "y": [value, value],
        "line": {"color": colour, "width": 1, "dash": "dash"},
        "hovertemplate": f"base %{{y:.4g}}<extra>{html.escape(view.title)}</extra>",
    }  # fmt: skip


COSTS = (("Prompt tokens", "prompt_tokens", "%{x:,.0f} tokens"), ("Seconds per completion", "seconds", "%{x:.3g} s"))


def scores(lines: Sequence[SystemResult], name: str, *, costs: bool = False) -> go.Figure:
    """One point a system with its 95 % interval, from the first to the last; with `costs` what it takes beside it."""
    complete = [line for line in lines if line.value is not None and line.low is not None and line.high is not None]
    figure_layout = layout(height=90 + 34 * max(1, len(complete)), showlegend=False)
    figure_layout["margin"] = {"l": 190, "r": 24, "t": 12, "b": 40}
    figure_layout["xaxis"] = figure_layout["xaxis"] | {"title": {"text": f"{name}, 95 % interval"}}
    figure_layout["yaxis"] = {"autorange": "reversed", "gridcolor": GRID, "zeroline": False, "automargin": True}
    systems = [html.escape(line.label) for line in complete]
    colours = [PALETTE[0] if line.run else PALETTE[1] for line in complete]
    data: list[dict[str, Any]] = [{
        "type": "scatter",
        "mode": "markers",
        "x": [line.value for line in complete],
        "y": systems,
        "error_x": {
            "type": "data", "symmetric": False,
            "array": [(line.high or 0) - (line.value or 0) for line in complete],
            "arrayminus": [(line.value or 0) - (line.low or 0) for line in complete],
            "color": PALETTE[0], "thickness": 1.5,
        },
        "marker": {"size": 8, "color": colours},
        "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
    }]  # fmt: skip
    if costs:
        figure_layout["xaxis"]["domain"] = [0, 0.44]
        for index, (title, field, hover) in enumerate(COSTS, 2):
            axis = {
                "title": {"text": title},
                "domain": [0.32 * index - 0.14, 0.32 * index + 0.1],
                "rangemode": "tozero",
            }
            figure_layout[f"xaxis{index}"] = {"gridcolor": GRID, "zeroline": False, "nticks": 4, **axis}
            data.append({
                "type": "bar", "orientation": "h", "xaxis": f"x{index}", "yaxis": "y", "width": 0.4,
                "x": [getattr(line, field) for line in complete], "y": systems, "marker": {"color": colours},
                "hovertemplate": f"%{{y}}: {hover}<extra></extra>",
            })  # fmt: skip
    return figure(data, figure_layout)


def sweep(views: Sequence[TrainingView], names: Sequence[str]) -> go.Figure | None:
    """Parallel coordinates: each run a line through its settings to the figure of its best checkpoint."""
    ended = [view for view in views if view.outcome.get("best_loss") is not None]
    if len(ended) < 2:
        return None
    columns = [(_last(name), [_value(view.plan.as_dict(), name) for view in ended]) for name in names]
    losses = [float(view.outcome["best_loss"]) for view in ended]
    dimensions = [_dimension(label, values) for label, values in columns]
    dimensions.append({"label": ended[0].best_figure, "values": losses})
    figure_layout = layout(height=320)
    figure_layout["margin"] = {"l": 70, "r": 70, "t": 46, "b": 24}
    line = {"color": losses, "colorscale": [[0, PALETTE[2]], [1, PALETTE[3]]], "showscale": False}
    return figure([{"type": "parcoords", "dimensions": dimensions, "line": line}], figure_layout)


def _dimension(label: str, values: list[Any]) -> dict[str, Any]:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        distinct = sorted(set(values))
        return {
            "label": label,
            "values": [distinct.index(value) for value in values],
            **_ticks([f"{number:g}" for number in distinct]),
        }
    texts = sorted({str(value) for value in values})
    return {"label": label, "values": [texts.index(str(value)) for value in values], **_ticks(texts)}


def _ticks(texts: Sequence[str]) -> dict[str, Any]:
    return {"tickvals": list(range(len(texts))), "ticktext": list(texts)}


def _last(path: str) -> str:
    return path.rpartition(".")[2].replace("_", " ")


def _value(plan: dict[str, Any], path: str) -> Any:
    node: Any = plan
    for name in path.split("."):
        node = node.get(name) if isinstance(node, dict) else None
    return node
