"""A row that lets a reward model score completions which are there already, with the table that it gives."""

import html
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import rewards
from pages.components.errors import INTERNAL, event_handler
from pages.components.head import PLAIN
from pages.components.loading import on_load

LONGEST = 300


def score_row(lab: LabContext, runs_of: Callable[[Any], Sequence[int]], source: Any, prefix: str) -> None:
    """`runs_of` gives numbers of runs for the value of `source`; raises LabError where there are none.

    Without a reward model nothing is shown.
    """
    with gr.Row(elem_classes=["actions"], visible=False) as row:
        judge = gr.Dropdown(
            [], label="Reward model", info="Scores the completions.", interactive=True, elem_id=f"{prefix}-reward"
        )
        button = gr.Button("Score", scale=0, min_width=80, elem_id=f"{prefix}-score")
    table = gr.HTML("", apply_default_css=False, elem_classes=PLAIN, js_on_load=None, elem_id=f"{prefix}-rewards")

    button.click(
        event_handler(score_completions, lab, runs_of), [judge, source], table, concurrency_id="generation", **INTERNAL
    )
    on_load(list_scorers, [row, judge], lab)


def list_scorers(lab: LabContext) -> Sequence[Any]:
    names = rewards.names(lab)
    return gr.update(visible=bool(names)), gr.update(choices=names, value=names[0] if names else None)


def score_completions(lab: LabContext, runs_of: Callable[[Any], Sequence[int]], judge: str | None, source: Any) -> str:
    if not judge:
        raise LabError("No reward model is chosen; train one from human rankings on the Feedback page.")
    return _table(rewards.of_runs(lab, judge, runs_of(source)))


def _table(scores: Sequence[rewards.Scored]) -> str:
    head = (
        f'<p class="quiet" role="status">{len(scores):,} completion{"s" if len(scores) > 1 else ""}; higher rewards '
        "are better, and only differences on the same prompt mean something.</p>"
    )
    rows = ""
    for prompt, group in groupby(scores, key=lambda score: score.prompt):
        rows += f'<tr><td colspan="4"><p><small>{html.escape(_cut(prompt))}</small></p></td></tr>'
        rows += "".join(
            f'<tr><td>{score.reward:.3f}</td><td><a href="/?run={score.run}">{score.run}</a></td>'
            f"<td>{html.escape(score.model)}</td><td><p>{html.escape(_cut(score.text))}</p></td></tr>"
            for score in group
        )
    return (
        f'{head}<div class="grid-scroll" tabindex="0" role="region" aria-label="Completions by reward">'
        '<table class="grid"><thead><tr><th scope="col">Reward</th><th scope="col">Run</th><th scope="col">Model</th>'
        f'<th scope="col">Completion</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
