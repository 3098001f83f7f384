"""Charts of a matrix: the score against the number of shots with intervals, and a heat map of all cells."""

import html
from typing import Any

from genai_lab.services.evaluation import Key
from genai_lab.services.matrix import CellView, MatrixView
from pages.components import plots
from pages.prompts.cells import key_title, number, row_label, score_of, shots_text

KINDS = (("Score against shots", "curve"), ("Heat map", "heat"))


def chart(view: MatrixView | None, key: Key | None, kind: str) -> Any:
    """Either chart of the figure; an empty one while nothing is measured."""
    if view is None or key is None:
        return plots.figure([], plots.layout(120, xaxis={"visible": False}, yaxis={"visible": False}))
    return _heat(view, key) if kind == "heat" else _curve(view, key)


def _rows(view: MatrixView) -> dict[str, list[CellView]]:
    rows: dict[str, list[CellView]] = {}
    for cell in view.cells:
        rows.setdefault(row_label(cell, view.cells), []).append(cell)
    return rows


def _curve(view: MatrixView, key: Key) -> Any:
    data = []
    for place, (label, cells) in enumerate(_rows(view).items()):
        found = [(cell.k, one) for cell in sorted(cells, key=lambda c: c.k) if (one := score_of(cell, key)) is not None]
        known = [(k, one) for k, one in found if one.value is not None]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": html.escape(label),
                "x": [k for k, _ in known],
                "y": [one.value for _, one in known],
                "error_y": {
                    "type": "data",
                    "array": [(one.high or 0.0) - (one.value or 0.0) for _, one in known],
                    "arrayminus": [(one.value or 0.0) - (one.low or 0.0) for _, one in known],
                    "thickness": 1.5,
                    "width": 5,
                },
                "marker": {"size": 8},
                "line": {"color": plots.PALETTE[place % len(plots.PALETTE)]},
                "text": [f"{number(one.low)} to {number(one.high)}, n = {one.n}" for _, one in known],
                "hovertemplate": "%{x} shots: %{y:.3f} (%{text})<extra>%{fullData.name}</extra>",
            }
        )
    made = plots.layout(320)
    made["margin"] = {"l": 56, "r": 12, "t": 12, "b": 44}
    made["legend"] = {"orientation": "h", "y": -0.24, "x": 0}
    made["xaxis"] = made["xaxis"] | {
        "title": {"text": "shots"},
        "tickvals": sorted({cell.k for cell in view.cells}),
    }
    made["yaxis"] = made["yaxis"] | {"title": {"text": html.escape(key_title(key))}}
    return plots.figure(data, made)


def _heat(view: MatrixView, key: Key) -> Any:
    rows, counts = _rows(view), sorted({cell.k for cell in view.cells})
    table, words = [], []
    for cells in rows.values():
        scores = {cell.k: score_of(cell, key) for cell in cells}
        line = [scores.get(k) for k in counts]
        table.append([one.value if one is not None else None for one in line])
        words.append([number(one.value) if one is not None else "" for one in line])
    names = [html.escape(label) for label in rows]
    data = {
        "type": "heatmap",
        "z": table,
        "x": [shots_text(k) for k in counts],
        "y": names,
        "text": words,
        "texttemplate": "%{text}",
        "colorscale": [[0, "#e0e7ff"], [1, plots.BLUE]],
        "hovertemplate": "%{y}, %{x}: %{z:.3f}<extra></extra>",
        "colorbar": {"thickness": 10},
    }
    made = plots.layout(110 + 38 * len(names))
    made["margin"] = {"l": 12, "r": 12, "t": 12, "b": 34}
    made["xaxis"] = made["xaxis"] | {"type": "category"}
    made["yaxis"] = made["yaxis"] | {"automargin": True, "autorange": "reversed"}
    return plots.figure([data], made)
