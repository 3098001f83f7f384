"""Best of n: several completions of one prompt, ranked by a reward model."""

import html
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.services import generation, rewards
from pages.components.errors import PRIVATE, guarded
from pages.components.head import PLAIN, empty_state_markup
from pages.components.opening import on_open
from pages.components.sending import send_to_ranking
from pages.components.settings_form import read_settings
from pages.playground import chat
from pages.playground.settings import NAMES

MOST = next(int(one.metadata["high"]) for one in fields(Sampling) if one.name == "num_return_sequences")
NONE = empty_state_markup(
    "No reward model yet", "Train one from human rankings on the Feedback page; it then picks the best completion here."
)
EMPTY = empty_state_markup("Nothing drawn yet", "Press Draw and rank: the reward model puts the completions in order.")
Update = Any


def build(lab: LabContext, single: Any) -> None:
    gr.Markdown(
        "Prompt (in chat the conversation), model and settings are those of the Single tab.", elem_classes=["quiet"]
    )
    with gr.Row():
        judge = gr.Dropdown(
            [], label="Reward model", info="Higher rewards are better.", interactive=True, elem_id="best-reward"
        )
        count = gr.Number(8, precision=0, label="Completions", info=f"2 to {MOST}.", elem_id="best-n")
    with gr.Row(elem_classes=["actions"]):
        run = gr.Button("Draw and rank", variant="primary", scale=0, min_width=130, elem_id="best-run")
        send = gr.Button("Send to ranking", scale=0, min_width=130, elem_id="best-send")
    table = gr.HTML(EMPTY, apply_default_css=False, elem_classes=PLAIN, js_on_load=None, elem_id="best-table")
    state = gr.State(None)
    base = [*single.question, *single.form.values()]
    flow = {"concurrency_id": "generation", **PRIVATE}
    run.click(guarded(draw, lab), [judge, count, *base], [table, state], **flow)
    send_to_ranking(send, drawn, [state])
    on_open(offered, [judge, table], lab)


def offered(lab: LabContext) -> Sequence[Update]:
    names = rewards.names(lab)
    return gr.update(choices=names, value=names[0] if names else None), EMPTY if names else NONE


def draw(
    lab: LabContext,
    judge: str | None,
    count: float,
    model: str,
    mode: str,
    prompt: str,
    system: str,
    talk: dict[str, Any],
    *values: Any,
) -> tuple[str, int]:
    """All completions in one batch, then their order; (table, run)."""
    if not judge:
        raise LabError("No reward model is chosen; train one on the Feedback page.")
    if not model:
        raise LabError("No model is chosen; choose one on the Single tab.")
    if not 2 <= int(count or 0) <= MOST:
        raise LabError(f"Completions is {int(count or 0)}, but it must be from 2 to {MOST}.")
    sampling = replace(read_settings(Sampling, NAMES, values), num_return_sequences=int(count), num_beams=1)
    if sampling.greedy or sampling.temperature == 0:
        raise LabError("Greedy decoding gives the same completion each time; turn it off on the Single tab.")
    made = chat.asked_again(lab, model, mode, prompt or "", system, talk)
    view = generation.generate(lab, model, made, sampling)
    texts = [one.text for one in view.completions]
    ranked = rewards.rank(lab, judge, view.prompt.messages or view.prompt.as_text or view.rendered, texts)
    return _table(judge, view.id, texts, ranked), view.id


def drawn(run: int | None) -> str:
    if not run:
        raise LabError("Nothing has been drawn yet; press Draw and rank first.")
    return str(run)


def _table(judge: str, run: int, texts: Sequence[str], ranked: Sequence[tuple[int, float]]) -> str:
    mean = sum(value for _, value in ranked) / len(ranked)
    best = ranked[0][1]
    head = (
        f'<p class="quiet" role="status">Best of {len(ranked)} by {html.escape(judge)}: reward {best:.3f}, '
        f'mean {mean:.3f} · <a href="/?run={run}">run {run}</a></p>'
    )
    rows = "".join(
        f"<tr{' class=picked' if place == 1 else ''}><td>{place}</td><td>{value:.3f}</td>"
        f"<td><p>{html.escape(texts[one])}</p></td></tr>"
        for place, (one, value) in enumerate(ranked, 1)
    )
    return (
        f'{head}<div class="grid-scroll" tabindex="0" role="region" aria-label="Completions by reward">'
        '<table class="grid"><thead><tr><th scope="col">Rank</th><th scope="col">Reward</th>'
        f'<th scope="col">Completion</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )
