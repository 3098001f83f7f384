"""Studies in tables: what each run took and scored, what a sweep found, what got worse."""

import html
from collections.abc import Sequence
from typing import Any

from genai_lab.context import LabContext
from genai_lab.services import evaluation
from genai_lab.services.training import study_results
from genai_lab.services.training.studies import StudyView
from pages.components.head import empty_state_markup
from pages.components.stats import NOTHING, seconds_text, share_text, size_text
from pages.finetune import charts

STRONGEST = 50  # percent of colour in a cell, at which text on it is still read well


def render(lab: LabContext, view: StudyView) -> tuple[str, Any]:
    """(the table as HTML, the chart or None)."""
    links = ", ".join(
        f'<a href="/evaluate?evaluation={number}">{html.escape(name)}</a>' for name, number in view.evaluations.items()
    )
    note = f'<p class="panel-note">Read every prediction: {links}.</p>' if links else ""
    if view.kind == "sweep":
        return _sweep_table(view), charts.sweep(view.runs, list(view.settings.get("grid", {})))
    if view.kind in ("forgetting", "gate"):
        changes = study_results.changes(lab, view)
        matrix = _matrix(study_results.find_forgotten(lab, changes)) if view.kind == "forgetting" else ""
        return matrix + _changes(changes, view.kind) + note, None
    lines = study_results.lines(lab, view)
    name = next(iter(evaluation.show(lab, view.evaluations["held out"]).choices)).metric if lines else ""
    measured = any(line.value is not None for line in lines)
    figure = charts.scores(lines, name, costs=view.kind == "shots") if measured else None
    return _lines(lines, view) + note, figure


def _lines(lines: Sequence[study_results.SystemResult], view: StudyView) -> str:
    """One row a system: what it took and what it scored."""
    if not lines:
        return empty_state_markup("Nothing measured yet", "The runs are queued; scores appear as they finish.")
    what = ("System", "State", "Score, 95 % interval", "n", "Against the baseline", "Trained")
    head = (*what, "Training", "Peak memory", "Artefact", "Prompt tokens", "Per completion")
    return _table(head, [_cells(line) for line in lines])


def _cells(line: study_results.SystemResult) -> list[str]:
    run = line.run
    out = run.outcome if run else {}
    score = NOTHING
    if line.value is not None:
        score = f"{line.value:.3f}" + (f" ({line.low:.3f} to {line.high:.3f})" if line.low is not None else "")
    against = "baseline" if line.baseline else NOTHING
    if line.compared is not None:
        comparison = line.compared.comparison
        against = (
            f"{comparison.difference:+.3f} ({comparison.low:+.3f} to {comparison.high:+.3f}), p = {line.compared.p:.2g}"
        )
    share = share_text(out.get("trained"), out.get("parameters"))
    return [
        line.label,
        run.status if run else "base",
        score,
        f"{line.n:,}" if line.n else NOTHING,
        against,
        share,
        seconds_text(out.get("seconds")),
        size_text(out.get("peak")),
        size_text(out.get("bytes")),
        f"{line.prompt_tokens:.0f}" if line.prompt_tokens is not None else NOTHING,
        seconds_text(line.seconds),
    ]


def _sweep_table(view: StudyView) -> str:
    rows = []
    ended = [run.outcome["best_loss"] for run in view.runs if run.outcome.get("best_loss") is not None]
    for run in view.runs:
        loss = run.outcome.get("best_loss")
        best = (max if run.greater_is_better else min)(ended, default=None)
        loss_text = f"{loss:.4f}{' (best)' if loss == best else ''}" if loss is not None else NOTHING
        rows.append([f"{run.id}: {run.title}", run.status, loss_text, seconds_text(run.outcome.get("seconds"))])
    figure = view.runs[0].best_figure.capitalize() if view.runs else "Validation loss"
    return _table(("Run", "State", figure, "Training"), rows)


def _changes(changes: Sequence[study_results.Change], kind: str) -> str:
    """Every figure of every suite, and a sentence that names what got worse."""
    rows = []
    for change in changes:
        values = [f"{v:.3f}" if v is not None else NOTHING for v in (change.before, change.after)]
        p = f"{change.p:.2g}" if change.p is not None else NOTHING
        rows.append(
            [change.suite, change.model, change.figure or NOTHING, *values, change_text(change), p, change.verdict]
        )
    what = "Saved evaluation" if kind == "gate" else "Suite"
    verdict = study_results.got_worse(changes, "saved evaluations" if kind == "gate" else "suites")
    return f'<p class="verdict" role="status">{html.escape(verdict)}</p>' + _table(
        (what, "Model", "Figure", "Before", "After", "Change, 95 % interval", "p", "Verdict"), rows
    )


def _matrix(forgotten: study_results.Forgotten) -> str:
    """Suites by models: each cell the change with its interval, the more coloured the larger it is."""
    changes = [
        change for _, _, row in forgotten.rows for change in row if change is not None and change.compared is not None
    ]
    if not changes:
        return ""
    most = max(abs(change.gain) for change in changes) or 1.0
    kinds = [(kind, sum(change == kind for change, _ in forgotten.columns)) for kind in study_results.KINDS]
    groups = "".join(f'<th scope="colgroup" colspan="{n}">{html.escape(kind)}</th>' for kind, n in kinds if n)
    names = "".join(f'<th scope="col">{html.escape(name)}</th>' for _, name in forgotten.columns)
    body = "".join(
        f'<tr><th scope="row">{html.escape(suite)} <small>{html.escape(figure)}</small></th>'
        + "".join(_change_cell(change, most) for change in row)
        + "</tr>"
        for suite, figure, row in forgotten.rows
    )
    return (
        '<div class="grid-scroll" tabindex="0" role="region" aria-label="Change by suite and model">'
        f'<table class="grid changes"><thead><tr><th scope="col" rowspan="2">Change, 95 % interval</th>{groups}</tr>'
        f"<tr>{names}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _change_cell(change: study_results.Change | None, most: float) -> str:
    if change is None or change.compared is None:
        return f"<td>{NOTHING}</td>"
    much = round(STRONGEST * abs(change.gain) / most)
    tone = "fell" if change.gain < 0 else "rose"
    value, _, interval = change_text(change).partition(" ")
    verdict = f" <small>{change.verdict}</small>" if change.verdict in ("worse", "better") else ""
    return f'<td class="change {tone}" style="--much:{much}%"><b>{value}</b> <small>{interval}</small>{verdict}</td>'


def change_text(change: study_results.Change) -> str:
    if change.compared is None:
        return NOTHING
    comparison = change.compared.comparison
    return f"{comparison.difference:+.3f} ({comparison.low:+.3f} to {comparison.high:+.3f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="grid-scroll" tabindex="0" role="region" aria-label="Study"><table class="grid">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )
