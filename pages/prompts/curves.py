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
    for index, (label, cells) in enumerate(_rows(view).items()):
        scored = [
            (cell.k, score) for cell in sorted(cells, key=lambda c: c.k) if (score := score_of(cell, key)) is not None
        ]
        points = [(k, score) for k, score in scored if score.value is not None]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": html.escape(label),
                "x": [k for k, _ in points],
                "y": [score.value for _, score in points],
                "error_y": {
                    "type": "data",
                    "array": [(score.high or 0.0) - (score.value or 0.0) for _, score in points],
                    "arrayminus": [(score.value or 0.0) - (score.low or 0.0) for _, score in points],
                    "thickness": 1.5,
                    "width": 5,
                },
                "marker": {"size": 8},
                "line": {"color": plots.PALETTE[index % len(plots.PALETTE)]},
                "text": [f"{number(score.low)} to {number(score.high)}, n = {score.n}" for _, score in points],
                "hovertemplate": "%{x} shots: %{y:.3f} (%{text})<extra>%{fullData.name}</extra>",
            }
        )
    figure_layout = plots.layout(320)
    figure_layout["margin"] = {"l": 56, "r": 12, "t": 12, "b": 44}
    figure_layout["legend"] = {"orientation": "h", "y": -0.24, "x": 0}
    figure_layout["xaxis"] = figure_layout["xaxis"] | {
        "title": {"text": "shots"},
        "tickvals": sorted({cell.k for cell in view.cells}),
    }
    figure_layout["yaxis"] = figure_layout["yaxis"] | {"title": {"text": html.escape(key_title(key))}}
    return plots.figure(data, figure_layout)


def _heat(view: MatrixView, key: Key) -> Any:
    rows, counts = _rows(view), sorted({cell.k for cell in view.cells})
    table, texts = [], []
    for cells in rows.values():
        scores = {cell.k: score_of(cell, key) for cell in cells}
        line = [scores.get(k) for k in counts]
        table.append([score.value if score is not None else None for score in line])
        texts.append([number(score.value) if score is not None else "" for score in line])
    names = [html.escape(label) for label in rows]
    data = {
        "type": "heatmap",
        "z": table,
        "x": [shots_text(k) for k in counts],
        "y": names,
        "text": texts,
        "texttemplate": "%{text}",
        "colorscale": [[0, "#e0e7ff"], [1, plots.BLUE]],
        "hovertemplate": "%{y}, %{x}: %{z:.3f}<extra></extra>",
        "colorbar": {"thickness": 10},
    }
    figure_layout = plots.layout(110 + 38 * len(names))
    figure_layout["margin"] = {"l": 12, "r": 12, "t": 12, "b": 34}
    figure_layout["xaxis"] = figure_layout["xaxis"] | {"type": "category"}
    figure_layout["yaxis"] = figure_layout["yaxis"] | {"automargin": True, "autorange": "reversed"}
    return plots.figure([data], figure_layout)
