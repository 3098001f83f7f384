"""Charts in the house style: transparent, with colours that hold in light and dark; plus sparklines without Plotly."""

import html
from collections.abc import Sequence
from typing import Any, Protocol

import plotly.graph_objects as go

BLUE, AMBER, GREEN, ROSE = "#6366f1", "#f59e0b", "#10b981", "#f43f5e"
PALETTE = [BLUE, AMBER, GREEN, ROSE, "#06b6d4", "#a855f7"]
GREY = "#8b9099"
GRID = "rgba(128,128,128,.18)"
SHOWN = 14


class StageBars(Protocol):
    """One filter's outcome (see genai_lab.services.microscope)."""

    @property
    def filter(self) -> str: ...
    @property
    def removed(self) -> int: ...
    @property
    def probabilities(self) -> Sequence[float]: ...


class Microscope(Protocol):
    @property
    def tokens(self) -> Sequence[str]: ...
    @property
    def stages(self) -> Sequence[StageBars]: ...
    @property
    def chosen(self) -> int | None: ...


def layout(height: int = 260, **options: Any) -> dict[str, Any]:
    """The house layout; `uirevision` keeps a zoom while the data change."""
    axis = {"gridcolor": GRID, "zeroline": False, "automargin": False, "exponentformat": "power"}
    return {
        "height": height,
        "margin": {"l": 44, "r": 12, "t": 12, "b": 34},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "Inter Variable, sans-serif", "size": 11, "color": GREY},
        "colorway": PALETTE,
        "legend": {"orientation": "h", "y": 1.1, "x": 0},
        "uirevision": "keep",
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": GREY},
        "xaxis": axis,
        "yaxis": axis,
        **options,
    }


def figure(data: Sequence[dict[str, Any]], figure_layout: dict[str, Any]) -> go.Figure:
    """A figure from plain dictionaries; skipping the validation keeps a slider's chart under 150 ms."""
    return go.Figure({"data": list(data), "layout": figure_layout}, skip_invalid=True)


def microscope_figure(view: Microscope) -> go.Figure:
    """One column a filter, one row a token, most probable first; removed tokens stay as grey bars.

    Every column's axis runs to the same probability, so that a filter's effect can be read across.
    """
    rows = _rows(view)
    names = [_name(view.tokens[i], i == view.chosen) for i in rows]
    places = [str(n) for n in range(len(rows))]
    high = max(stage.probabilities[i] for stage in view.stages for i in rows) * 1.18 or 1.0
    figure_layout = layout(height=70 + 19 * len(rows), barmode="overlay", bargap=0.28, showlegend=False)
    figure_layout["margin"] = {"l": 96, "r": 8, "t": 40, "b": 26}
    figure_layout["yaxis"] = {
        "tickvals": places,
        "ticktext": names,
        "autorange": "reversed",
        "type": "category",
        "fixedrange": True,
        "tickfont": {"family": "JetBrains Mono Variable, monospace", "size": 11},
        "showgrid": False,
    }
    data, notes = [], []
    for column, stage in enumerate(view.stages):
        data.append(_bars(view, column, rows, places))
        figure_layout[_axis("xaxis", column)] = _column(column, len(view.stages), high)
        notes.append(_title(stage, column))
    return figure(data, figure_layout | {"annotations": notes})


def _rows(view: Microscope) -> list[int]:
    """The tokens with the most probability at any stage, in the model's order, the chosen one always."""
    first = view.stages[0].probabilities
    best = sorted(range(len(view.tokens)), key=lambda i: -max(stage.probabilities[i] for stage in view.stages))[:SHOWN]
    if view.chosen is not None and view.chosen not in best:
        best[-1] = view.chosen
    return sorted(best, key=lambda i: -first[i])


def _name(text: str, selected: bool) -> str:
    visible = text.replace(" ", "·").replace("\n", "↵").replace("\t", "→") or "∅"
    visible = html.escape(visible if len(visible) <= 12 else visible[:11] + "…", quote=False)
    return f"<b>▸ {visible}</b>" if selected else visible


def _bars(view: Microscope, column: int, rows: list[int], places: list[str]) -> dict[str, Any]:
    stage, first = view.stages[column], view.stages[0].probabilities
    gone = [stage.probabilities[i] <= 0 < first[i] for i in rows]
    before = view.stages[max(column - 1, 0)].probabilities
    widths = [(before[i] or first[i]) if out else stage.probabilities[i] for i, out in zip(rows, gone, strict=True)]
    colours = [
        "rgba(139,144,153,.28)" if out else AMBER if i == view.chosen else BLUE
        for i, out in zip(rows, gone, strict=True)
    ]
    texts = ["removed" if out else _percent(p) for out, p in zip(gone, widths, strict=True)]
    return {
        "type": "bar",
        "orientation": "h",
        "x": widths,
        "y": places,
        "xaxis": _axis("x", column),
        "yaxis": "y",
        "marker": {"color": colours, "line": {"width": 0}},
        "text": texts,
        "textposition": "outside",
        "textfont": {"size": 10, "color": GREY},
        "cliponaxis": False,
        "customdata": [[repr(view.tokens[i])[1:-1], word] for i, word in zip(rows, texts, strict=True)],
        "hovertemplate": f"%{{customdata[0]}}<br>{html.escape(stage.filter)}: %{{customdata[1]}}<extra></extra>",
    }


def _column(column: int, columns: int, high: float) -> dict[str, Any]:
    gap = 0.02
    width = (1 - gap * (columns - 1)) / columns
    start = column * (width + gap)
    return {
        "domain": [start, start + width],
        "range": [0, high],
        "gridcolor": GRID,
        "zeroline": True,
        "zerolinecolor": GRID,
        "fixedrange": True,
        "nticks": 4,
        "tickformat": ".0%" if high > 0.05 else ".1%",
        "anchor": "y",
    }


def _title(stage: StageBars, column: int) -> dict[str, Any]:
    removed = f"{stage.removed:,} removed" if stage.removed else "none removed"
    below = "before any filter" if column == 0 else removed
    return {
        "text": f"<b>{html.escape(stage.filter)}</b><br>{below}",
        "showarrow": False,
        "align": "left",
        "xref": f"{_axis('x', column)} domain",
        "yref": "paper",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "yanchor": "bottom",
        "yshift": 4,
        "font": {"size": 11},
    }


def _axis(name: str, column: int) -> str:
    return name if column == 0 else f"{name}{column + 1}"


def _percent(p: float) -> str:
    return f"{100 * p:.1f} %" if p >= 0.001 else "<0.1 %"


def sparkline(values: Sequence[float], width: int = 120, height: int = 24, label: str = "trend") -> str:
    """An inline SVG line of the values, for lists; nothing but numbers reaches the markup."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = width / (len(values) - 1)
    points = " ".join(
        f"{i * step:.1f},{height - 2 - (v - low) / span * (height - 4):.1f}" for i, v in enumerate(values)
    )
    return (
        f'<svg class="sparkline" role="img" aria-label="{html.escape(label, quote=True)}" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}"><polyline points="{points}" fill="none" '
        f'stroke="currentColor" stroke-width="1.5"/></svg>'
    )
