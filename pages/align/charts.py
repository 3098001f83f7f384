"""Curves of a policy while it learns: what it earns, how far it has moved, what its completions are like."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from genai_lab.services.training import TrainingView
from pages.components.plots import PALETTE
from pages.finetune.charts import Points, curve, grid, thin

HELD_OUT = "validation "
FIRST = (
    ("Score of completions", ("score",)),
    ("KL to the reference (nats per completion)", ("KL",)),
    ("Score less the KL penalty", ("objective",)),
    ("Completion length (tokens)", ("completion length",)),
    ("Share of completions that end", ("ended",)),
    ("Entropy (nats per token)", ("entropy",)),
    ("Share of clipped tokens", ("clip share",)),
    ("Ratio to the old policy", ("ratio",)),
)
OF_SOME = (
    ("Variance explained by the value head", ("value explained variance",)),
    ("Share of prompts of equal reward", ("prompts of equal reward",)),
)
PHASES = ("writing", "rewarding", "reading", "updating")
PART = "reward: "


def curves(view: TrainingView, points: Mapping[str, Points]) -> go.Figure:
    """The same small charts from the first step on; held-out prompts are dotted, the KL has its standard error."""
    panels = [(title, _both(view, points, names[0])) for title, names in FIRST]
    panels[1] = (panels[1][0], [*_band(points), *panels[1][1]])
    panels += [(title, _both(view, points, names[0])) for title, names in OF_SOME if names[0] in points]
    if len({value for _, value in points.get("beta", ())}) > 1:
        panels.append(("KL weight (beta)", _both(view, points, "beta")))
    parts = [name for name in points if name.startswith(PART)]
    panels += [
        (f"{name.removeprefix(PART).capitalize()}, before its weight", _both(view, points, name)) for name in parts
    ]
    panels.append((f"Seconds: {', '.join(PHASES)}", _phases(points)))
    return grid(panels)


def _both(view: TrainingView, points: Mapping[str, Points], name: str) -> list[dict[str, Any]]:
    """What was learned from, and held-out prompts."""
    names = [name, HELD_OUT + name]
    return [_named(curve(view, key, points[key], PALETTE[0]), key, name == "score") for key in names if points.get(key)]


def _named(trace: dict[str, Any], key: str, legend: bool) -> dict[str, Any]:
    held = key.startswith(HELD_OUT)
    colour = PALETTE[1] if held else PALETTE[0]
    return {
        **trace, "name": "held-out prompts" if held else "prompts learned from", "showlegend": legend,
        "legendgroup": "held" if held else "learned", "line": {**trace["line"], "color": colour},
    }  # fmt: skip


def _band(points: Mapping[str, Points]) -> list[dict[str, Any]]:
    """The KL one standard error up and down."""
    kl, errors = points.get("KL"), dict(points.get("KL standard error", ()))
    if not kl or not errors:
        return []
    at = thin(kl)
    upper = [value + errors.get(step, 0.0) for step, value in at]
    lower = [value - errors.get(step, 0.0) for step, value in at]
    steps = [step for step, _ in at]
    common = {"type": "scatter", "mode": "lines", "x": steps, "line": {"width": 0}, "showlegend": False,
              "hoverinfo": "skip"}  # fmt: skip
    return [
        {**common, "y": upper, "name": "upper"},
        {**common, "y": lower, "name": "lower", "fill": "tonexty", "fillcolor": "rgba(99,102,241,.22)"},
    ]


def _phases(points: Mapping[str, Points]) -> list[dict[str, Any]]:
    traces = []
    for number, phase in enumerate(PHASES):
        if values := points.get(f"seconds {phase}"):
            at = thin(values)
            traces.append({
                "type": "scatter", "mode": "lines", "stackgroup": "seconds", "name": phase, "showlegend": False,
                "x": [step for step, _ in at], "y": [value for _, value in at],
                "line": {"width": 1, "color": PALETTE[2 + number]},
                "hovertemplate": f"step %{{x}}<br>{phase} %{{y:.2f}} s<extra></extra>",
            })  # fmt: skip
    return traces
