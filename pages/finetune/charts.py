"""Charts of fine-tuning: curves of one or several runs, scores with intervals, settings against losses."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from genai_lab.services.training import TrainingView
from genai_lab.services.training.study_results import Line
from pages.components.plots import GRID, PALETTE, figure, layout

Points = Sequence[tuple[int, float]]
POINTS = 400
SPARE = 0.16  # of the height, between two rows of charts
PANELS = (
    ("Loss (nats a token or pair)", ("training loss", "validation loss")),
    ("Learning rate", ("learning rate",)),
    ("Gradient norm", ("gradient norm",)),
    ("Tokens per second", ("tokens per second",)),
    ("Memory (MB)", ("memory",)),
    ("Task score on validation rows", ("validation exact match", "validation ROUGE-L F1", "validation accuracy")),
)
OF_SOME = (
    ("Token accuracy, the end left out", ("validation token accuracy",)),
    ("Accuracy on training pairs", ("training accuracy",)),
    ("Margin of the rewards", ("training reward margin", "validation reward margin")),
    (
        "Rewards (chosen above rejected)",
        (
            *("training chosen reward", "validation chosen reward"),
            *("training rejected reward", "validation rejected reward"),
        ),
    ),
)


def curves(runs: Sequence[tuple[TrainingView, Mapping[str, Points]]]) -> go.Figure:
    """Six small charts and those of which there is something; a run keeps its colour, validation is dashed.

    The score of the base, which is that of step 0, is a line through the chart of scores.
    """
    panels = PANELS + tuple(one for one in OF_SOME if any(name in found for _, found in runs for name in one[1]))
    rows = -(-len(panels) // 3)
    made = layout(height=215 * rows, showlegend=True)
    made["legend"] = {"orientation": "h", "y": 1.12, "x": 0}
    made["margin"] = {"l": 44, "r": 12, "t": 30, "b": 30}
    del made["xaxis"], made["yaxis"]
    data: list[dict[str, Any]] = []
    notes = []
    for place, (title, names) in enumerate(panels):
        column, row = place % 3, place // 3
        own = "" if place == 0 else str(place + 1)
        left, low = column * 0.35, (1 + SPARE) / rows * (rows - 1 - row)
        made[f"xaxis{own}"] = {"domain": [left, left + 0.29], "anchor": f"y{own}", "gridcolor": GRID, "zeroline": False}
        made[f"yaxis{own}"] = {
            "domain": [low, low + (1 + SPARE) / rows - SPARE],
            "anchor": f"x{own}",
            "gridcolor": GRID,
            "zeroline": False,
        }
        notes.append(_note(title, own))
        for number, (view, found) in enumerate(runs):
            for name in names:
                if points := found.get(name):
                    colour = PALETTE[number % len(PALETTE)]
                    data.append(_curve(view, name, points, colour, own, place == 0))
                    if title.startswith("Task score") and points[0][0] == 0 and len(points) > 1:
                        data.append(_base_line(view, points, colour, own))
    made["annotations"] = notes
    return figure(data, made)


def _note(title: str, own: str) -> dict[str, Any]:
    return {
        "text": title, "showarrow": False, "xref": f"x{own} domain", "yref": f"y{own} domain", "x": 0, "y": 1,
        "xanchor": "left", "yanchor": "bottom", "yshift": 3, "font": {"size": 11},
    }  # fmt: skip


def _curve(view: TrainingView, name: str, points: Points, colour: str, own: str, legend: bool) -> dict[str, Any]:
    kept = list(points[:: max(1, len(points) // POINTS)])
    kept = kept if kept[-1] == points[-1] else [*kept, points[-1]]
    held = name.startswith("validation")
    scale = 1e-6 if name == "memory" else 1.0
    return {
        "type": "scatter",
        "mode": "lines+markers" if held else "lines",
        "name": html.escape(f"{view.title}{' (validation)' if held else ''}"),
        "x": [step for step, _ in kept],
        "y": [scale * value for _, value in kept],
        "xaxis": f"x{own}",
        "yaxis": f"y{own}",
        "showlegend": legend,
        "line": {"color": colour, "width": 1.5, "dash": "dot" if held else "solid"},
        "marker": {"size": 5},
        "hovertemplate": f"step %{{x}}<br>{html.escape(name)} %{{y:.4g}}<extra>{html.escape(view.title)}</extra>",
    }


def _base_line(view: TrainingView, points: Points, colour: str, own: str) -> dict[str, Any]:
    value = points[0][1]
    return {
        "type": "scatter", "mode": "lines", "name": html.escape(f"{view.title} (base)"), "showlegend": False,
        "x": [points[0][0], points[-1][0]], "y": [value, value], "xaxis": f"x{own}", "yaxis": f"y{own}",
        "line": {"color": colour, "width": 1, "dash": "dash"},
        "hovertemplate": f"base %{{y:.4g}}<extra>{html.escape(view.title)}</extra>",
    }  # fmt: skip


COSTS = (("Prompt tokens", "prompt_tokens", "%{x:,.0f} tokens"), ("Seconds a completion", "seconds", "%{x:.3g} s"))


def scores(lines: Sequence[Line], name: str, *, costs: bool = False) -> go.Figure:
    """One point a system with its 95 % interval, from the first to the last; with `costs` what it takes beside it."""
    found = [line for line in lines if line.value is not None and line.low is not None and line.high is not None]
    made = layout(height=90 + 34 * max(1, len(found)), showlegend=False)
    made["margin"] = {"l": 190, "r": 24, "t": 12, "b": 40}
    made["xaxis"] = made["xaxis"] | {"title": {"text": f"{name}, 95 % interval"}}
    made["yaxis"] = {"autorange": "reversed", "gridcolor": GRID, "zeroline": False, "automargin": True}
    systems = [html.escape(line.label) for line in found]
    colours = [PALETTE[0] if line.run else PALETTE[1] for line in found]
    data: list[dict[str, Any]] = [{
        "type": "scatter",
        "mode": "markers",
        "x": [line.value for line in found],
        "y": systems,
        "error_x": {
            "type": "data", "symmetric": False,
            "array": [(line.high or 0) - (line.value or 0) for line in found],
            "arrayminus": [(line.value or 0) - (line.low or 0) for line in found],
            "color": PALETTE[0], "thickness": 1.5,
        },
        "marker": {"size": 8, "color": colours},
        "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
    }]  # fmt: skip
    if costs:
        made["xaxis"]["domain"] = [0, 0.44]
        for place, (title, field, shown) in enumerate(COSTS, 2):
            axis = {
                "title": {"text": title},
                "domain": [0.32 * place - 0.14, 0.32 * place + 0.1],
                "rangemode": "tozero",
            }
            made[f"xaxis{place}"] = {"gridcolor": GRID, "zeroline": False, "nticks": 4, **axis}
            data.append({
                "type": "bar", "orientation": "h", "xaxis": f"x{place}", "yaxis": "y", "width": 0.4,
                "x": [getattr(line, field) for line in found], "y": systems, "marker": {"color": colours},
                "hovertemplate": f"%{{y}}: {shown}<extra></extra>",
            })  # fmt: skip
    return figure(data, made)


def sweep(views: Sequence[TrainingView], names: Sequence[str]) -> go.Figure | None:
    """Parallel coordinates: each run a line through its settings to its best validation loss."""
    ended = [view for view in views if view.outcome.get("best_loss") is not None]
    if len(ended) < 2:
        return None
    columns = [(_last(name), [_value(view.plan.as_dict(), name) for view in ended]) for name in names]
    losses = [float(view.outcome["best_loss"]) for view in ended]
    dimensions = [_dimension(label, values) for label, values in columns]
    dimensions.append({"label": "validation loss", "values": losses})
    made = layout(height=320)
    made["margin"] = {"l": 70, "r": 70, "t": 46, "b": 24}
    line = {"color": losses, "colorscale": [[0, PALETTE[2]], [1, PALETTE[3]]], "showscale": False}
    return figure([{"type": "parcoords", "dimensions": dimensions, "line": line}], made)


def _dimension(label: str, values: list[Any]) -> dict[str, Any]:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        known = sorted(set(values))
        return {
            "label": label,
            "values": [known.index(value) for value in values],
            **_ticks([f"{one:g}" for one in known]),
        }
    texts = sorted({str(value) for value in values})
    return {"label": label, "values": [texts.index(str(value)) for value in values], **_ticks(texts)}


def _ticks(texts: Sequence[str]) -> dict[str, Any]:
    return {"tickvals": list(range(len(texts))), "ticktext": list(texts)}


def _last(path: str) -> str:
    return path.rpartition(".")[2].replace("_", " ")


def _value(plan: dict[str, Any], path: str) -> Any:
    place: Any = plan
    for name in path.split("."):
        place = place.get(name) if isinstance(place, dict) else None
    return place
