"""An evaluation to take along: one self-contained HTML file, or its scores as CSV and JSON Lines."""

import io
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.evaluation.figures import figure_of, title_of
from genai_lab.metrics import Figure
from genai_lab.services.evaluation.comparing import BaselineComparison, compare
from genai_lab.services.evaluation.evaluations import EvaluationView
from genai_lab.services.evaluation.reading import RowComparison, lines, sort_lines, tally
from genai_lab.services.history import harmless
from genai_lab.services.predictions import Key, ScoreView, SystemView
from genai_lab.views import View

READ = 12
TEMPLATE = Path(__file__).with_name("report.html.j2")


@dataclass(frozen=True)
class Bar(View):
    """A system's figure and where it lies on the figure's axis, in percent of the axis' width."""

    system: SystemView
    score: ScoreView
    left: float
    width: float
    place: float


@dataclass(frozen=True)
class Chart(View):
    """One figure of all systems; `low` and `high` are the ends of its axis."""

    key: Key
    figure: Figure
    title: str
    low: float
    high: float
    bars: tuple[Bar, ...]
    compared: tuple[BaselineComparison, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(text for bar in self.bars for text in bar.score.warnings))

    @property
    def best(self) -> int | None:
        """The system with the best value; None where several share it."""
        values = [(bar.score.value, bar.system.id) for bar in self.bars if bar.score.value is not None]
        pick = max if self.figure.higher_is_better else min
        best = [system for value, system in values if value == pick(values)[0]]
        return best[0] if len(best) == 1 else None


def figures(view: EvaluationView) -> list[Chart]:
    """Every figure that was measured."""
    return [_measured(view, key) for key in view.figures()]


def chart(lab: LabContext, view: EvaluationView, key: Key, baseline: int | None = None) -> Chart:
    """One figure with its comparisons against the baseline, where all systems have it."""
    result = _measured(view, key)
    comparable = result.figure.summed or all(bar.score.per_example is not None for bar in result.bars)
    complete = comparable and len(result.bars) == len(view.systems) and len(result.bars) > 1
    return replace(result, compared=tuple(compare(lab, view, key, baseline))) if complete else result


def _measured(view: EvaluationView, key: Key) -> Chart:
    figure, metric = figure_of(key[0], key[1]), title_of(key[0])
    scores = {score.system: score for score in view.scores if (score.metric, score.figure, score.signature) == key}
    ends = [end for score in scores.values() for end in (score.low, score.high, score.value) if end is not None]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    margin = (high - low) * 0.15 or abs(high) * 0.1 or 1.0
    low = max(low - margin, figure.low) if figure.low is not None else low - margin
    high = min(high + margin, figure.high) if figure.high is not None else high + margin
    span = (high - low) or 1.0
    title = figure.title if metric.lower() in figure.title.lower() else f"{metric}: {figure.title}"
    bars = tuple(_bar(system, scores[system.id], low, span) for system in view.systems if system.id in scores)
    return Chart(
        key,
        figure,
        title,
        low,
        high,
        bars,
    )


def to_html(lab: LabContext, view: EvaluationView) -> str:
    """Styles and figures inside, nothing fetched; model and data text is escaped."""
    import jinja2

    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(TEMPLATE.read_text())
    charts = [chart(lab, view, key) for key in view.figures()]
    if not charts:
        raise LabError("Nothing has been measured yet; the report can be made when the first figures are there.")
    return page.render(
        view=view,
        charts=charts,
        readings=_readings(lab, view, charts),
        made=datetime.now(UTC),
        number=number,
    )


def to_csv(view: EvaluationView) -> str:
    """One row a system and figure; cells that a spreadsheet would take for a formula begin with an apostrophe."""
    import pandas as pd

    out = io.StringIO()
    pd.DataFrame(_rows(view)).map(harmless).to_csv(out, index=False, lineterminator="\r\n")
    return out.getvalue()


def to_jsonl(view: EvaluationView) -> str:
    """One line a system and figure, with the figure of every row."""
    scores = {(score.system, score.metric, score.figure, score.signature): score for score in view.scores}
    rows = []
    for row in _rows(view):
        score = scores[row["system_run"], row["metric"], row["figure"], row["signature"]]
        rows.append(row | {"per_example": score.per_example, "detail": score.detail, "settings": score.settings})
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def number(value: float | None, digits: int = 3) -> str:
    """For reading: three places for shares, one for figures of 10 and more."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if abs(value) < 10 else f"{value:.1f}"


def _bar(system: SystemView, score: ScoreView, low: float, span: float) -> Bar:
    def place(value: float | None) -> float:
        return 100 * min(max(((low if value is None else value) - low) / span, 0), 1)

    start, end = place(score.low), place(score.high)
    return Bar(system, score, start, max(end - start, 0.4), place(score.value))


def _rows(view: EvaluationView) -> list[dict[str, Any]]:
    labels = {item.id: item for item in view.systems}
    return [
        {
            "evaluation": view.id,
            "dataset": view.dataset,
            "system_run": item.system,
            "system": labels[item.system].label,
            "metric": item.metric,
            "figure": item.figure,
            "value": item.value,
            "low": item.low,
            "high": item.high,
            "interval": "95 %",
            "n": item.n,
            "completions_per_row": labels[item.system].completions_per_row,
            "signature": item.signature,
            "seed": view.seed,
        }
        for item in view.scores
    ]


def _readings(
    lab: LabContext, view: EvaluationView, charts: list[Chart]
) -> list[tuple[Chart, SystemView, dict, list[RowComparison]]]:
    """For the first figure that is measured row by row: each system's largest differences from the baseline."""
    for item in charts:
        if len(item.bars) > 1 and all(bar.score.per_example for bar in item.bars):
            base, others = view.baseline, [bar.system for bar in item.bars if bar.system.id != view.baseline]
            readings = []
            for system in others:
                rows = lines(lab, view, item.key, base, system.id)
                better = item.figure.higher_is_better
                readings.append((item, system, tally(rows, better), sort_lines(rows, "difference", better)[:READ]))
            return readings
    return []
