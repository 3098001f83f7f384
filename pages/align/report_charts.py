"""Score and gold of checkpoints against their KL, beside what the base could have reached."""

from typing import Any

import plotly.graph_objects as go

from genai_lab.evaluation.statistics import Interval
from genai_lab.services.alignment.playground import Choice, Playground
from pages.components.plots import AMBER, BLUE, GREEN, GREY, ROSE, figure, layout


def score_against_kl(view: Playground, choice: Choice) -> go.Figure:
    """Points of checkpoints with intervals, frontier, best of n, runs of other weights; the chosen one has a ring."""
    traces = [_points("score", [(point.kl, point.score, str(point.step)) for point in view.points], BLUE, "y")]
    if view.gold:
        gold = [
            (point.kl, point.parts[view.gold], str(point.step)) for point in view.points if view.gold in point.parts
        ]
        traces.append(_points(f"gold: {view.gold}", gold, GREEN, "y2"))
    if view.frontier:
        traces.append(_line("ideal frontier", [(p.kl.value, p.score.value) for p in view.frontier], GREY, "lines"))
    if view.best_of:
        best = [(p.kl_bound, p.score.value) for p in view.best_of]
        texts = [f"best of {p.n}" for p in view.best_of]
        traces.append({**_line("best of n (KL at most)", best, AMBER, "lines+markers"), "text": texts})
    if view.siblings:
        others = [(item.point.kl, item.point.score, f"beta {item.beta:g}") for item in view.siblings]
        traces.append({**_points("trained at other weights", others, ROSE, "y"), "mode": "markers"})
    ring = {"size": 16, "color": "rgba(0,0,0,0)", "line": {"color": BLUE, "width": 2}}
    at = [(choice.point.kl.value, choice.point.score.value)]
    traces.append({**_line("chosen", at, BLUE, "markers"), "marker": ring, "hoverinfo": "skip"})
    house = layout(360)
    second = {"overlaying": "y", "side": "right", "showgrid": False, "zeroline": False}
    return figure(
        traces,
        {
            **house,
            "margin": {"l": 48, "r": 48, "t": 64, "b": 40},
            "xaxis": {**house["xaxis"], "title": {"text": "KL to the reference (nats per completion)"}},
            "yaxis": {**house["yaxis"], "title": {"text": "Score"}},
            "yaxis2": {**second, "title": {"text": "Gold"}},
        },
    )


def _points(name: str, points: list[tuple[Interval, Interval, str]], colour: str, axis: str) -> dict[str, Any]:
    """Checkpoints with their steps, and the 95 % interval of the figure."""
    values = [value.value or 0.0 for _, value, _ in points]
    return {
        **_line(name, [(kl.value, value.value) for kl, value, _ in points], colour, "lines+markers"),
        "yaxis": axis,
        "text": [f"step {text}" if text.isdigit() else text for _, _, text in points],
        "error_y": {
            "type": "data", "symmetric": False, "thickness": 1, "width": 3, "color": colour,
            "array": [(item.high or 0.0) - value for (_, item, _), value in zip(points, values, strict=True)],
            "arrayminus": [value - (item.low or 0.0) for (_, item, _), value in zip(points, values, strict=True)],
        },
    }  # fmt: skip


def _line(name: str, points: list[tuple[Any, Any]], colour: str, mode: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": mode, "name": name, "x": [x for x, _ in points], "y": [y for _, y in points],
        "line": {"color": colour, "width": 1.5}, "marker": {"color": colour, "size": 6},
        "hovertemplate": "%{text} KL %{x:.2f}, %{y:.2f}<extra>" + name + "</extra>",
    }  # fmt: skip
