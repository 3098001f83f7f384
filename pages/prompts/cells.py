"""The pieces of a matrix: its head, the grid of scores, the predictions of a cell. All text goes through `{{ }}`."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.evaluation.figures import figure_of, title_of
from genai_lab.services import matrix as service
from genai_lab.services.evaluation import Key, ScoreView
from genai_lab.services.matrix import CellView, MatrixView
from genai_lab.services.matrix.reading import Prediction, RatedCompletion
from pages.components.head import html_part
from pages.components.stats import seconds_text

SETTINGS = ("temperature", "top_k", "top_p", "min_p", "greedy", "max_new_tokens", "num_beams", "repetition_penalty")

_GRID = """
{{#if value.head}}<div class="matrix-head" data-matrix="{{value.id}}" data-status="{{value.status}}">
<h2>{{value.head}}</h2><p>{{value.about}}</p>{{#if value.remembered}}<p class="good" role="status">{{value.remembered}}
</p>{{/if}}{{#if value.error}}<p class="problem">{{value.error}}</p>{{/if}}</div>
<div class="heat-scroll" tabindex="0" role="region" aria-label="Scores of all cells"><table class="heat">
<caption class="unseen">{{value.figure}} with 95 % intervals</caption>
<thead><tr><th scope="col">{{value.figure}}</th>{{#each value.columns}}<th scope="col">{{this}}</th>{{/each}}</tr>
</thead>
<tbody>{{#each value.rows}}<tr><th scope="row">{{this.label}}</th>{{#each this.cells}}<td>{{#if this.id}}
<button type="button" data-cell="{{this.id}}" data-done="{{this.done}}" aria-pressed="{{this.selected}}"
style="--heat:{{this.heat}}%">{{#if this.value}}<b>{{this.value}}</b><small>{{this.ends}}</small>{{else}}
<span class="waits">{{this.waits}}</span>{{/if}}{{#if this.note}}<small>{{this.note}}</small>{{/if}}</button>{{/if}}
</td>{{/each}}</tr>{{/each}}</tbody></table></div>
{{else}}<div class="empty-state"><b>{{value.title}}</b><p>{{value.next}}</p></div>{{/if}}
"""
_GRID_SCRIPT = """
element.addEventListener('click', e => {
  const button = e.target.closest('button[data-cell]');
  if (!button) return;
  const id = button.dataset.cell, run = element.querySelector('[data-matrix]').dataset.matrix;
  history.replaceState(null, '', `${location.pathname}?matrix=${run}&cell=${id}`);
  trigger('select', { id });
});
"""

_PREDICTIONS = """
{{#if value.lines.length}}<ul class="predictions" aria-label="Predictions">{{#each value.lines}}
<li data-generation="{{this.id}}" data-completions="{{this.count}}"><div class="line"><b>Row {{this.row}}</b>
{{#if this.score}}<span>{{this.score}}</span>{{/if}}<span>{{this.meta}}</span>
{{#if this.cached}}<span>from cache</span>{{/if}}</div>
<div class="texts"><div><h4>Input</h4><p>{{this.source}}</p></div>
<div><h4>Reference</h4><p>{{this.references}}</p></div>
{{#if this.one}}
<div><h4>Prediction</h4>{{#if this.error}}<p class="failed">{{this.error}}</p>{{else}}<p>{{this.text}}</p>{{/if}}</div>
{{/if}}{{#if this.beside}}<div><h4>{{this.beside}}</h4><p>{{this.other}}</p></div>{{/if}}</div>
{{#if this.one}}{{else}}<ol class="completions" aria-label="Completions of row {{this.row}}">{{#each this.completions}}
<li data-generation="{{this.id}}">{{#if this.error}}<p class="failed">{{this.error}}</p>{{else}}<p>{{this.text}}</p>
{{/if}}<div class="marks"><small>{{this.meta}}</small>
<button type="button" data-thumb="1" aria-pressed="{{this.up}}" aria-label="Good, {{this.name}}">Good</button>
<button type="button" data-thumb="-1" aria-pressed="{{this.down}}" aria-label="Bad, {{this.name}}">Bad</button>
<input type="text" maxlength="2000" placeholder="Comment" aria-label="Comment on {{this.name}}"
value="{{this.comment}}"></div></li>{{/each}}</ol>{{/if}}
<details><summary>Prompt{{this.shots}}</summary><pre>{{this.prompt}}</pre></details>
{{#if this.one}}<div class="marks">
<button type="button" data-thumb="1" aria-pressed="{{this.up}}" aria-label="Good, row {{this.row}}">Good</button>
<button type="button" data-thumb="-1" aria-pressed="{{this.down}}" aria-label="Bad, row {{this.row}}">Bad</button>
<input type="text" maxlength="2000" placeholder="Comment" aria-label="Comment on row {{this.row}}"
value="{{this.comment}}"></div>{{/if}}</li>{{/each}}</ul>
{{else}}{{#if value.note}}<div class="empty-state"><b>{{value.note}}</b><p>{{value.next}}</p></div>{{/if}}{{/if}}
"""
_PREDICTIONS_SCRIPT = """
element.addEventListener('click', e => {
  const button = e.target.closest('button[data-thumb]');
  if (!button) return;
  const on = button.getAttribute('aria-pressed') !== 'true';
  for (const one of button.parentElement.querySelectorAll('button[data-thumb]'))
    one.setAttribute('aria-pressed', String(on && one === button));
  const id = button.closest('li[data-generation]').dataset.generation;
  trigger('rate', { id, thumb: on ? Number(button.dataset.thumb) : 0 });
});
element.addEventListener('change', e => {
  if (!e.target.matches('input[type=text]')) return;
  e.stopPropagation();
  trigger('comment', { id: e.target.closest('li[data-generation]').dataset.generation, text: e.target.value });
});
"""


def grid(elem_id: str) -> gr.HTML:
    """What `grid_value` gives; its event `select` brings {id} of a cell."""
    return html_part(empty_value(), _GRID, elem_id, _GRID_SCRIPT, sheet="matrix.css")


def predictions(elem_id: str) -> gr.HTML:
    """What `predictions_value` gives; events `rate` {id, thumb} and `comment` {id, text}."""
    return html_part({"lines": []}, _PREDICTIONS, elem_id, _PREDICTIONS_SCRIPT, sheet="matrix.css")


def empty_value() -> dict[str, Any]:
    return {
        "title": "No matrix yet",
        "next": "Press Fill in an example for a small one, or choose a dataset, models and templates and run.",
    }


def grid_value(view: MatrixView, key: Key | None, cell: int | None) -> dict[str, Any]:
    """One row for everything but the shots, one column for each number of shots."""
    counts = sorted({cell_view.k for cell_view in view.cells})
    spots = {(row_label(cell_view, view.cells), cell_view.k): cell_view for cell_view in view.cells}
    labels = list(dict.fromkeys(label for label, _ in spots))
    low, high = bounds(view, key)
    rows = [
        {
            "label": label,
            "cells": [_spot(view, spots.get((label, k)), key, cell, low, high) for k in counts],
        }
        for label in labels
    ]
    when = f"{view.created_at:%Y-%m-%d %H:%M} UTC"
    plan, k = view.plan, view.plan.num_return_sequences
    rows_text = f"{view.rows:,} rows of {plan.split}{f' x {k} completions' if k > 1 else ''}"
    about = f"Matrix {view.id} on {view.dataset}, {rows_text}, {when}, seed {view.seed}"
    return {
        "id": view.id,
        "status": view.status,
        "head": f"{view.title} ({view.status})",
        "about": about,
        "remembered": service.count_remembered(view),
        "error": view.error or "",
        "figure": key_title(key),
        "columns": [shots_text(k) for k in counts],
        "rows": rows,
    }


def row_label(cell: CellView, cells: Sequence[CellView]) -> str:
    """Everything that tells the cell from others, without its number of shots."""
    parts = [cell.system.model or "", cell.system.template or ""]
    if len({other.selector for other in cells if other.k}) > 1:
        parts.append(cell.selector or "no shots")
    for name in SETTINGS:
        if len({repr(other.sampling.get(name)) for other in cells}) > 1:
            value = cell.sampling.get(name)
            parts.append(name if value is True else f"not {name}" if value is False else f"{name} {value}")
    if len({other.seed for other in cells}) > 1:
        parts.append(f"seed {cell.seed}")
    return " · ".join(word.replace("_", " ") if word in SETTINGS else word for word in parts if word)


def score_of(cell: CellView, key: Key | None) -> ScoreView | None:
    return next((score for score in cell.scores if (score.metric, score.figure, score.signature) == key), None)


def bounds(view: MatrixView, key: Key | None) -> tuple[float, float]:
    """The values of the palest and the fullest colour: the least and greatest of the cells, or where all are equal the
    figure's own range.
    """
    scores = [score_of(cell, key) for cell in view.cells]
    values = [score.value for score in scores if score is not None and score.value is not None]
    if key is not None and len(set(values)) < 2:
        figure = figure_of(key[0], key[1])
        if figure.low is not None and figure.high is not None:
            return figure.low, figure.high
    return (min(values), max(values)) if values else (0.0, 1.0)


def key_title(key: Key | None) -> str:
    if key is None:
        return "Score"
    figure, metric = figure_of(key[0], key[1]).title, title_of(key[0])
    return metric if figure.lower() == metric.lower() else f"{metric}: {figure}"


def shots_text(k: int) -> str:
    return "1 shot" if k == 1 else f"{k} shots"


def number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def predictions_value(
    lines: Sequence[Prediction], note: str, label: str, beside: str, key: Key | None
) -> dict[str, Any]:
    return {
        "lines": [_line(one, beside, key) for one in lines],
        "note": "" if lines else note,
        "next": f"Choose another filter to see predictions of {label}." if label else "",
    }


def _spot(
    view: MatrixView, cell: CellView | None, key: Key | None, open_cell: int | None, low: float, high: float
) -> dict[str, Any]:
    if cell is None:
        return {"id": 0}
    score = score_of(cell, key)
    notes = [*service.fewer_shots(cell), *(score.warnings if score is not None else ())]
    spot: dict[str, Any] = {
        "id": cell.system.id,
        "done": cell.system.n,
        "selected": "true" if cell.system.id == open_cell else "false",
        "waits": _waits(view, cell),
        "note": "; ".join([*([cell.error] if cell.error else []), *notes]),
        "heat": 0,
    }
    if score is not None:
        share = (score.value - low) / (high - low) if score.value is not None and high > low else 0.5
        if key is not None and not figure_of(key[0], key[1]).higher_is_better:
            share = 1.0 - share
        spot |= {
            "value": number(score.value),
            "ends": f"{number(score.low)} to {number(score.high)}, {score.n_text}",
            "heat": round(4 + 40 * share),
        }
    return spot


def _waits(view: MatrixView, cell: CellView) -> str:
    if cell.error:
        return "failed"
    return f"{cell.system.rows} of {view.rows} rows" if cell.system.n else "waits"


def _line(row: Prediction, beside: str, key: Key | None) -> dict[str, Any]:
    shots = f" with {shots_text(len(row.shots))}, rows {', '.join(str(k + 1) for k in row.shots)}" if row.shots else ""
    score = f"{key[1].replace('_', ' ')} {number(row.value)}" if key is not None and row.value is not None else ""
    if beside and row.other_value is not None:
        score += f", beside {number(row.other_value)}"
    line = {
        "row": row.example + 1,
        "score": score,
        "meta": _meta(row.completions),
        "cached": all(completion.cached for completion in row.completions),
        "source": row.source,
        "references": "\n".join(row.references) or "–",
        "one": len(row.completions) == 1,
        "count": len(row.completions),
        "completions": [_completion(row, number) for number in range(len(row.completions))],
        "beside": beside if row.other is not None else "",
        "other": "\n— or —\n".join(text or "(nothing)" for text in row.other or ("",)),
        "prompt": row.prompt,
        "shots": shots,
    }
    return _completion(row, 0) | line


def _completion(row: Prediction, number: int) -> dict[str, Any]:
    completion = row.completions[number]
    return {
        "id": completion.generation,
        "name": f"row {row.example + 1}, completion {number + 1}",
        "text": completion.text or "(nothing)",
        "error": completion.error or "",
        "meta": f"{_meta([completion])}, seed {completion.seed}",
        "up": "true" if completion.thumb > 0 else "false",
        "down": "true" if completion.thumb < 0 else "false",
        "comment": completion.comment,
    }


def _meta(completions: Sequence[RatedCompletion]) -> str:
    """Tokens read and written, and the time of all the completions."""
    read, written = completions[0].prompt_tokens, sum(completion.completion_tokens for completion in completions)
    return f"{read:,} + {written:,} tokens, {seconds_text(sum(completion.seconds for completion in completions))}"
