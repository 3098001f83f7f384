"""The tabs "Agreement" and "Leaderboard": figures with their intervals, and how many more votes would tell more."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback.bias import Share
from genai_lab.services import feedback as service
from genai_lab.services.feedback import figures, systems
from pages.components import plots
from pages.components.errors import notice
from pages.components.forms import Form
from pages.components.head import html_part
from pages.components.selection import Selection
from pages.components.settings_inputs import Updates, Values

HELP = {
    "percent agreement": "How often two annotators of an item agree; some of it is chance.",
    "Cohen's kappa": "Agreement beyond chance, mean over pairs of annotators; 1 is perfect, 0 is chance.",
    "Fleiss' kappa": "The same for any number of annotators, if every item has as many.",
    "Krippendorff's alpha, nominal": "The same where items have different numbers of votes; above 0.8 is good.",
    "Krippendorff's alpha, ordinal": "As before, but a tie lies between the two sides.",
    "Self-consistency": "How often an annotator gives the same answer when an item is shown again, sides swapped.",
    "First side preferred": "Share of verdicts for the side shown first; 50 % means no bias.",
}
AGREEMENT = """
{{#if value.waiting}}<p class="quiet" role="status">Reading the answers of {{value.waiting}}…</p>
{{else if value.rows.length}}<p class="panel-note" role="status">Answers of <b>{{value.campaign}}</b></p>
<div class="grid-scroll" tabindex="0" role="region" aria-label="Agreement">
<table class="grid scores fb-agreement"><thead><tr><th scope="col">Figure</th><th scope="col">Value</th>
<th scope="col">95 % interval</th><th scope="col">n</th><th scope="col">What it says</th></tr></thead><tbody>
{{#each value.rows}}<tr><th scope="row">{{this.name}}</th><td>{{this.value}}</td><td>{{this.interval}}</td>
<td>{{this.n}}</td><td>{{this.help}}</td></tr>{{/each}}</tbody></table></div>
{{#if value.annotators.length}}<h3>Each annotator against the majority of the others</h3>
<div class="grid-scroll" tabindex="0" role="region" aria-label="Annotators"><table class="grid"><thead><tr>
<th scope="col">Annotator</th><th scope="col">Agrees</th><th scope="col">95 % interval</th><th scope="col">n</th>
<th scope="col"></th></tr></thead><tbody>{{#each value.annotators}}<tr><td>{{this.name}}</td><td>{{this.value}}</td>
<td>{{this.interval}}</td><td>{{this.n}}</td><td class="worse">{{this.note}}</td></tr>{{/each}}</tbody></table></div>
{{/if}}{{else}}<div class="empty-state"><b>No answers yet</b><p>Agreement appears once the first items have been
ranked by two annotators.</p></div>{{/if}}
"""
BOARD = """
{{#if value.waiting}}<p class="quiet" role="status">Reading the answers of {{value.waiting}}…</p>
{{else if value.rows.length}}<p class="verdict"><b>{{value.campaign}}</b>: {{value.sentence}}</p>
{{#each value.notes}}<p class="panel-note">{{this}}
</p>
{{/each}}<div class="grid-scroll" tabindex="0" role="region" aria-label="Leaderboard">
<table class="grid scores fb-board">
<thead><tr><th scope="col">Rank</th><th scope="col">System</th><th scope="col">Score</th><th scope="col">95 % interval
</th><th scope="col">Votes</th><th scope="col">Beats the average</th>
<th scope="col">To the next</th></tr></thead><tbody>
{{#each value.rows}}<tr><td>{{this.rank}}</td><td>{{this.system}}</td><td>{{this.score}}</td><td>{{this.interval}}</td>
<td>{{this.votes}}</td><td>{{this.average}}</td><td>{{this.needed}}</td></tr>{{/each}}</tbody></table></div>
{{else}}<div class="empty-state"><b>{{#if value.title}}{{value.title}}{{else}}No leaderboard yet{{/if}}</b>
<p>{{value.sentence}}</p>{{#if value.positions.length}}<form class="fb-places">{{#each value.positions}}<label>
{{this}} is
<input name="{{this}}" autocomplete="off" maxlength="200" placeholder="name of the system"></label>{{/each}}
<button type="submit">Name the systems</button></form>{{/if}}</div>{{/if}}
"""
NAME = """
element.addEventListener('submit', event => {
  event.preventDefault();
  trigger('submit', { names: [...event.target.querySelectorAll('input')].map(input => [input.name, input.value]) });
});
"""


AGREEMENT_PANELS = ["agreement"]
BOARD_INPUTS = ["campaign", "length_control"]
BOARD_PANELS = ["board", "board.scores", "board.matrix"]


def build_agreement(form: Form) -> None:
    form.add(agreement=html_part({"rows": []}, AGREEMENT, "fb-agreement", sheet="feedback.css"))


def build_leaderboard(lab: LabContext, form: Form, selection: Selection) -> None:
    length_control = gr.Checkbox(
        False,
        label="Length control",
        info="Scores as if all completions were equally long.",
        elem_id="fb-fair",
    )
    hidden: dict[str, Any] = {"show_label": False, "container": False, "visible": False}
    form.add(
        {
            "length_control": length_control,
            "board": html_part({"rows": [], "sentence": ""}, BOARD, "fb-board", NAME, sheet="feedback.css"),
            "board.scores": gr.Plot(elem_id="fb-scores", **hidden),
            "board.matrix": gr.Plot(elem_id="fb-matrix", elem_classes=["chart-scroll"], **hidden),
        }
    )
    for event, handler in ((form["board"].submit, name_systems), (length_control.input, redraw_board)):
        form.on(event, selection.for_choice(handler, lab), inputs=BOARD_INPUTS, outputs=BOARD_PANELS)


def redraw_board(lab: LabContext, values: Values) -> Updates:
    campaign = values["campaign"]
    view = service.show(lab, campaign) if campaign is not None else None
    return render_board(lab, view, values["length_control"])


def name_systems(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    """Gives the candidates of an import the names of systems that were typed."""
    if values["campaign"] is not None:
        names = {str(position): str(name) for position, name in event.names}
        compared = systems.name_systems(lab, values["campaign"], names)
        notice(f"{' and '.join(compared.names)} are compared.")
    return redraw_board(lab, values)


def empty_panels(campaign: str) -> Updates:
    """Panels that wait for the figures of this campaign."""
    waiting = {"rows": [], "waiting": campaign}
    plots_ = dict.fromkeys(("board.scores", "board.matrix"), gr.update(visible=False, value=None))
    return {"agreement": waiting, "board": waiting, **plots_}


def render_agreement(lab: LabContext, view: service.CampaignView | None) -> Updates:
    if view is None or not view.got:
        return {"agreement": {"rows": []}}
    report = figures.agreement(lab, view.id)
    rows = [
        _figure(name, figure.value, figure.low, figure.high, figure.n, figure.why)
        for name, figure in report.figures.items()
    ]
    rows.append(_share("Self-consistency", report.consistency, "No item has been repeated yet."))
    rows.append(_share("First side preferred", report.position, "No answer has been given yet."))
    annotators = [
        {
            "name": name,
            "value": f"{100 * share.value:.0f} %",
            "interval": f"{100 * share.low:.0f} to {100 * share.high:.0f} %",
            "n": f"{share.n:,}",
            "note": "differs from the others" if share.differs else "",
        }
        for name, share in report.apart
    ]
    return {"agreement": {"rows": rows, "annotators": annotators, "campaign": view.name}}


def _figure(name: str, value: float | None, low: float | None, high: float | None, n: int, why: str) -> dict[str, str]:
    defined = value is not None and low is not None and high is not None
    return {
        "name": name[0].upper() + name[1:],
        "value": f"{value:.3f}" if defined else "undefined",
        "interval": f"{low:.3f} to {high:.3f}" if defined else "",
        "n": f"{n:,}",
        "help": HELP[name] if defined else why,
    }


def _share(name: str, share: Share, why: str) -> dict[str, str]:
    row = _figure(name, share.value, share.low, share.high, share.n, why)
    if share.p is not None and share.value is not None:
        p_value = f"p = {share.p:.3f}" if share.p >= 0.001 else "p < 0.001"
        row["help"] += f" Exact test against 50 %: {p_value}."
    return row


def render_board(lab: LabContext, view: service.CampaignView | None, length_control: bool) -> Updates:
    problem = _board_problem(lab, view)
    if view is None or problem is not None:
        return _empty_board(problem or {})
    try:
        board = figures.leaderboard(lab, view.id, length_control=length_control)
    except LabError as error:
        return _empty_board({"sentence": str(error)})
    notes = list(board.notes)
    if board.length:
        notes.append(_length_note(*board.length))
    sentence = (
        f"Bradley-Terry scores with ties (Davidson) from {board.votes:,} rankings; 400 points mean odds of ten to one; "
        "95 % intervals from 1,000 resamples of the items."
    )
    several = len(board.rows) > 2
    return {
        "board": {"rows": _board_rows(board), "notes": notes, "sentence": sentence, "campaign": view.name},
        "board.scores": gr.update(visible=True, value=_scores(board)),
        "board.matrix": gr.update(visible=several, value=_matrix(board) if several else None),
    }


def _empty_board(problem: dict[str, Any]) -> Updates:
    hidden = gr.update(visible=False)
    return {"board": {"rows": [], "sentence": "", **problem}, "board.scores": hidden, "board.matrix": hidden}


def _board_problem(lab: LabContext, view: service.CampaignView | None) -> dict[str, Any] | None:
    """What the page says in place of a leaderboard; None where there can be one."""
    compared = systems.of(lab, view.id) if view is not None and view.items else None
    if compared is not None and compared.problem:
        title = "No leaderboard of one system" if compared.named else "No leaderboard without names of systems"
        positions = [] if compared.named else list(compared.names)
        return {"title": title, "sentence": compared.problem, "positions": positions}
    if view is None or not view.got:
        return {"sentence": "It appears with the first answers."}
    return None


def _board_rows(board: figures.Board) -> list[dict[str, Any]]:
    needed = {comparison.better: comparison.told for comparison in board.needed}
    return [
        {
            "rank": _rank(line),
            "system": line.system,
            "score": f"{line.score:.0f}",
            "interval": board.interval(index),
            "votes": f"{line.votes:,}",
            "average": f"{100 * line.against_average:.0f} %",
            "needed": needed.get(line.system, ""),
        }
        for index, line in enumerate(board.rows)
    ]


def _length_note(coefficient: float, low: float, high: float) -> str:
    effect = "length has no clear effect"
    if low > 0 or high < 0:
        effect = f"{'longer' if low > 0 else 'shorter'} completions are preferred"
    return f"Length: coefficient {coefficient:.2f} ({low:.2f} to {high:.2f}); {effect}."


def _rank(line: Any) -> str:
    return str(line.rank) if line.rank_low == line.rank_high else f"{line.rank} ({line.rank_low}-{line.rank_high})"


def _cell(cell: Any) -> str:
    if cell is None or cell.value is None:
        return ""
    return f"{100 * cell.value:.0f} %<br>n={cell.wins + cell.ties + cell.losses:.0f}"


def _scores(board: figures.Board) -> Any:
    """Scores with their intervals, the best on top."""
    names = _short([line.system for line in board.rows])
    layout = plots.layout(height=70 + 26 * len(names), showlegend=False)
    layout["margin"] = {"l": 180, "r": 16, "t": 10, "b": 34}
    layout["yaxis"] = {"autorange": "reversed", "type": "category", "fixedrange": True, "gridcolor": plots.GRID}
    layout["xaxis"] = {"title": {"text": "Score"}, "gridcolor": plots.GRID, "zeroline": False}
    data = {
        "type": "scatter",
        "mode": "markers",
        "x": [line.score for line in board.rows],
        "y": names,
        "marker": {"size": 9, "color": plots.BLUE},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [line.high - line.score for line in board.rows],
            "arrayminus": [line.score - line.low for line in board.rows],
            "color": plots.BLUE,
            "thickness": 1.5,
        },
        "hovertemplate": "%{y}: %{x:.0f}<extra></extra>",
    }
    return plots.figure([data], layout)


def _matrix(board: figures.Board) -> Any:
    """Win rates of rows over columns."""
    names = _short([line.system for line in board.rows])
    values = [[cell.value if cell else None for cell in row] for row in board.matrix]
    texts = [[_cell(cell) for cell in row] for row in board.matrix]
    layout = plots.layout(height=110 + 44 * len(names))
    layout["margin"] = {"l": 180, "r": 16, "t": 34, "b": 70}
    layout["yaxis"] = {"autorange": "reversed", "fixedrange": True, "showgrid": False, "title": {"text": ""}}
    layout["xaxis"] = {"fixedrange": True, "showgrid": False, "side": "bottom"}
    layout["title"] = {"text": "Share of votes that the row wins over the column", "font": {"size": 12}, "x": 0}
    data = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": values,
        "text": texts,
        "texttemplate": "%{text}",
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, plots.ROSE], [0.5, "#a1a1aa"], [1, plots.GREEN]],
        "showscale": False,
        "hoverongaps": False,
    }
    return plots.figure([data], layout)


def _short(names: Sequence[str]) -> list[str]:
    """Names for a chart, shortened in the middle, since systems often differ at the end; no two are the same, or the
    chart would draw one over the other.
    """
    cut = [name if len(name) <= 26 else f"{name[:11]}…{name[-14:]}" for name in names]
    unique = [f"{name} ({cut[:n].count(name) + 1})" if cut.count(name) > 1 else name for n, name in enumerate(cut)]
    return [html.escape(name, quote=False) for name in unique]
