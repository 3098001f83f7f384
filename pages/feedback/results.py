"""The tabs "Agreement" and "Leaderboard": figures with their intervals, and what more votes would tell."""

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
from pages.components.errors import PRIVATE, notice
from pages.components.head import piece
from pages.components.selection import Selection

Update = Any
HELP = {
    "percent agreement": "Two annotators of an item say the same; chance alone makes some of it.",
    "Cohen's kappa": "Agreement beyond chance, mean over pairs of annotators; 1 is perfect, 0 is chance.",
    "Fleiss' kappa": "The same for any number of annotators, each item rated by as many.",
    "Krippendorff's alpha, nominal": "The same where items have different numbers of votes; above 0.8 is good.",
    "Krippendorff's alpha, ordinal": "As before, but a tie lies between the two sides.",
    "Self-consistency": "The same annotator says the same on an item shown again, sides swapped.",
    "First side preferred": "Share of verdicts for the side shown first; 50 % is no bias.",
}
AGREEMENT = """
{{#if value.waiting}}<p class="quiet" role="status">Reading the answers of {{value.waiting}}…</p>
{{else if value.rows.length}}<p class="panel-note" role="status">Answers of <b>{{value.campaign}}</b></p>
<div class="grid-scroll" tabindex="0" role="region" aria-label="Agreement">
<table class="grid scores fb-agreement"><thead><tr><th scope="col">Figure</th><th scope="col">Value</th>
<th scope="col">95 % interval</th><th scope="col">n</th><th scope="col">What it says</th></tr></thead><tbody>
{{#each value.rows}}<tr><th scope="row">{{this.name}}</th><td>{{this.value}}</td><td>{{this.interval}}</td>
<td>{{this.n}}</td><td>{{this.help}}</td></tr>{{/each}}</tbody></table></div>
{{#if value.apart.length}}<h3>Each annotator against the majority of the others</h3>
<div class="grid-scroll" tabindex="0" role="region" aria-label="Annotators"><table class="grid"><thead><tr>
<th scope="col">Annotator</th><th scope="col">Agrees</th><th scope="col">95 % interval</th><th scope="col">n</th>
<th scope="col"></th></tr></thead><tbody>{{#each value.apart}}<tr><td>{{this.name}}</td><td>{{this.value}}</td>
<td>{{this.interval}}</td><td>{{this.n}}</td><td class="worse">{{this.note}}</td></tr>{{/each}}</tbody></table></div>
{{/if}}{{else}}<div class="empty-state"><b>No answers yet</b><p>Agreement appears with the first items that two
annotators have ranked.</p></div>{{/if}}
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
<p>{{value.sentence}}</p>{{#if value.places.length}}<form class="fb-places">{{#each value.places}}<label>{{this}} is
<input name="{{this}}" autocomplete="off" maxlength="200" placeholder="name of the system"></label>{{/each}}
<button type="submit">Name the systems</button></form>{{/if}}</div>{{/if}}
"""
NAME = """
element.addEventListener('submit', event => {
  event.preventDefault();
  trigger('submit', { names: [...event.target.querySelectorAll('input')].map(one => [one.name, one.value]) });
});
"""


class Agreement:
    def __init__(self, lab: LabContext) -> None:
        self.table = piece({"rows": []}, AGREEMENT, "fb-agreement", sheet="feedback.css")
        self.drawn = [self.table]


class Leaderboard:
    def __init__(self, lab: LabContext, opened: gr.State, selection: Selection) -> None:
        self.fair = gr.Checkbox(
            False,
            label="Length control",
            info="As if all completions were equally long.",
            elem_id="fb-fair",
        )
        self.table = piece({"rows": [], "sentence": ""}, BOARD, "fb-board", NAME, sheet="feedback.css")
        self.plot = gr.Plot(show_label=False, container=False, visible=False, elem_id="fb-scores")
        self.matrix = gr.Plot(
            show_label=False, container=False, visible=False, elem_id="fb-matrix", elem_classes=["chart-scroll"]
        )
        self.drawn = [self.table, self.plot, self.matrix]
        self.table.submit(selection.for_choice(name_systems, lab), [opened, self.fair], self.drawn, **PRIVATE)
        self.fair.input(selection.for_choice(redrawn, lab), [opened, self.fair], self.drawn, **PRIVATE)


def redrawn(lab: LabContext, campaign: int | None, fair: bool) -> Sequence[Update]:
    return draw_board(lab, service.show(lab, campaign) if campaign is not None else None, fair)


def name_systems(lab: LabContext, campaign: int | None, fair: bool, event: gr.EventData) -> Sequence[Update]:
    """The places of an import get the names that were typed."""
    if campaign is None:
        return draw_board(lab, None, fair)
    made = systems.name_systems(lab, campaign, {str(place): str(name) for place, name in event.names})
    notice(f"Compared are {' and '.join(made.names)}.")
    return redrawn(lab, campaign, fair)


def cleared_agreement(campaign: str) -> Sequence[Update]:
    """What stands there until the figures of the campaign that was just chosen are computed."""
    return [{"rows": [], "waiting": campaign}]


def cleared_board(campaign: str) -> Sequence[Update]:
    return [{"rows": [], "waiting": campaign}, *[gr.update(visible=False, value=None)] * 2]


def draw_agreement(lab: LabContext, view: service.CampaignView | None) -> Sequence[Update]:
    if view is None or not view.got:
        return [{"rows": []}]
    found = figures.agreement(lab, view.id)
    rows = [_figure(name, one.value, one.low, one.high, one.n, one.why) for name, one in found.figures.items()]
    rows.append(_share("Self-consistency", found.consistency, "No item was shown twice yet."))
    rows.append(_share("First side preferred", found.position, "No answer was given on a card yet."))
    apart = [
        {
            "name": name,
            "value": f"{100 * one.value:.0f} %",
            "interval": f"{100 * one.low:.0f} to {100 * one.high:.0f} %",
            "n": f"{one.n:,}",
            "note": "differs from the rest" if one.differs else "",
        }
        for name, one in found.apart
    ]
    return [{"rows": rows, "apart": apart, "campaign": view.name}]


def _figure(name: str, value: float | None, low: float | None, high: float | None, n: int, why: str) -> dict[str, str]:
    known = value is not None and low is not None and high is not None
    return {
        "name": name[0].upper() + name[1:],
        "value": f"{value:.3f}" if known else "undefined",
        "interval": f"{low:.3f} to {high:.3f}" if known else "",
        "n": f"{n:,}",
        "help": HELP[name] if known else why,
    }


def _share(name: str, one: Share, why: str) -> dict[str, str]:
    made = _figure(name, one.value, one.low, one.high, one.n, why)
    if one.p is not None and one.value is not None:
        made["help"] += f" Exact test against 50 %: p = {one.p:.3f}." if one.p >= 0.001 else " p < 0.001."
    return made


def draw_board(lab: LabContext, view: service.CampaignView | None, fair: bool) -> Sequence[Update]:
    nothing = [gr.update(visible=False), gr.update(visible=False)]
    compared = systems.of(lab, view.id) if view is not None and view.items else None
    if compared is not None and compared.problem:
        places = [] if compared.named else list(compared.names)
        title = "No leaderboard of one system" if compared.named else "No leaderboard of places"
        return [{"rows": [], "title": title, "sentence": compared.problem, "places": places}, *nothing]
    if view is None or not view.got:
        return [{"rows": [], "sentence": "It appears with the first answers."}, *nothing]
    try:
        board = figures.leaderboard(lab, view.id, length_control=fair)
    except LabError as problem:
        return [{"rows": [], "sentence": str(problem)}, *nothing]
    told = {one.better: one.told for one in board.needed}
    rows = [
        {
            "rank": _rank(line),
            "system": line.system,
            "score": f"{line.score:.0f}",
            "interval": board.interval(place),
            "votes": f"{line.votes:,}",
            "average": f"{100 * line.against_average:.0f} %",
            "needed": told.get(line.system, ""),
        }
        for place, line in enumerate(board.rows)
    ]
    notes = list(board.notes)
    if board.length:
        value, low, high = board.length
        way = (
            "longer ones are preferred"
            if low > 0
            else "shorter ones are preferred"
            if high < 0
            else "it decides little"
        )
        notes.append(f"Length: coefficient {value:.2f} ({low:.2f} to {high:.2f}); {way}.")
    sentence = (
        f"Bradley-Terry scores with ties (Davidson) from {board.votes:,} rankings; 400 points are odds of ten to one; "
        "intervals of 95 % draw items, 1,000 resamples."
    )
    return [
        {"rows": rows, "notes": notes, "sentence": sentence, "campaign": view.name},
        gr.update(visible=True, value=_scores(board)),
        gr.update(visible=len(board.rows) > 2, value=_matrix(board) if len(board.rows) > 2 else None),
    ]


def _rank(line: Any) -> str:
    return str(line.rank) if line.rank_low == line.rank_high else f"{line.rank} ({line.rank_low}-{line.rank_high})"


def _cell(cell: Any) -> str:
    if cell is None or cell.value is None:
        return ""
    return f"{100 * cell.value:.0f} %<br>n={cell.wins + cell.ties + cell.losses:.0f}"


def _scores(board: figures.Board) -> Any:
    """Scores with their intervals, the best on top."""
    names = _short([line.system for line in board.rows])
    made = plots.layout(height=70 + 26 * len(names), showlegend=False)
    made["margin"] = {"l": 180, "r": 16, "t": 10, "b": 34}
    made["yaxis"] = {"autorange": "reversed", "type": "category", "fixedrange": True, "gridcolor": plots.GRID}
    made["xaxis"] = {"title": {"text": "Score"}, "gridcolor": plots.GRID, "zeroline": False}
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
    return plots.figure([data], made)


def _matrix(board: figures.Board) -> Any:
    """Win rates of rows over columns."""
    names = _short([line.system for line in board.rows])
    values = [[cell.value if cell else None for cell in row] for row in board.matrix]
    texts = [[_cell(cell) for cell in row] for row in board.matrix]
    made = plots.layout(height=110 + 44 * len(names))
    made["margin"] = {"l": 180, "r": 16, "t": 34, "b": 70}
    made["yaxis"] = {"autorange": "reversed", "fixedrange": True, "showgrid": False, "title": {"text": ""}}
    made["xaxis"] = {"fixedrange": True, "showgrid": False, "side": "bottom"}
    made["title"] = {"text": "Share of votes that the row wins over the column", "font": {"size": 12}, "x": 0}
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
    return plots.figure([data], made)


def _short(names: Sequence[str]) -> list[str]:
    """Names for a chart, cut in the middle, since what tells systems apart stands at the end; no two are the same, or
    the chart would lay one on the other.
    """
    cut = [name if len(name) <= 26 else f"{name[:11]}…{name[-14:]}" for name in names]
    told = [f"{one} ({cut[:n].count(one) + 1})" if cut.count(one) > 1 else one for n, one in enumerate(cut)]
    return [html.escape(one, quote=False) for one in told]
