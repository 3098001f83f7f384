"""Best of n: several completions of one prompt, ranked by a reward model."""

import html
from collections.abc import Sequence
from dataclasses import fields, replace

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.services import generation, rewards
from pages.components.forms import Form, Updates, Values
from pages.components.head import PLAIN, empty_state_markup
from pages.components.sending import send_to_ranking
from pages.components.settings_inputs import read_settings
from pages.playground import chat
from pages.playground.settings import SETTINGS
from pages.playground.single import QUESTION

MAX_COMPLETIONS = next(int(item.metadata["high"]) for item in fields(Sampling) if item.name == "num_return_sequences")
NO_REWARD_MODEL = empty_state_markup(
    "No reward model yet", "Train one from human rankings on the Feedback page; it then picks the best completion here."
)
EMPTY = empty_state_markup(
    "Nothing generated yet", "Press Generate and rank: the reward model puts the completions in order."
)


def build(lab: LabContext, single: Form) -> None:
    gr.Markdown(
        "The prompt (in chat the conversation), the model and the settings come from the Single tab.",
        elem_classes=["quiet"],
    )
    with gr.Row():
        reward_model = gr.Dropdown(
            [], label="Reward model", info="Higher rewards are better.", interactive=True, elem_id="best-reward"
        )
        count = gr.Number(8, precision=0, label="Completions", info=f"2 to {MAX_COMPLETIONS}.", elem_id="best-n")
    with gr.Row(elem_classes=["actions"]):
        run = gr.Button("Generate and rank", variant="primary", scale=0, min_width=150, elem_id="best-run")
        send = gr.Button("Send to ranking", scale=0, min_width=130, elem_id="best-send")
    table = gr.HTML(EMPTY, apply_default_css=False, elem_classes=PLAIN, js_on_load=None, elem_id="best-table")
    form = Form(reward_model=reward_model, count=count, table=table, run=gr.State(None))
    names = form.include(single, [*QUESTION, *SETTINGS])
    form.on(
        run.click, generate_and_rank, lab, inputs=["reward_model", "count", *names], outputs=["table", "run"],
        concurrency_id="generation",
    )  # fmt: skip
    send_to_ranking(send, run_number, [form["run"]])
    form.on_load(load_page, lab, outputs=["reward_model", "table"])


def load_page(lab: LabContext) -> Updates:
    names = rewards.names(lab)
    return {
        "reward_model": gr.update(choices=names, value=names[0] if names else None),
        "table": EMPTY if names else NO_REWARD_MODEL,
    }


def generate_and_rank(lab: LabContext, values: Values) -> Updates:
    """All completions in one batch, then their order."""
    reward_model, model, count = values["reward_model"], values["model"], int(values["count"] or 0)
    if not reward_model:
        raise LabError("No reward model is chosen; train one on the Feedback page.")
    if not model:
        raise LabError("No model is chosen; choose one on the Single tab.")
    if not 2 <= count <= MAX_COMPLETIONS:
        raise LabError(f"Completions is {count}, but it must be from 2 to {MAX_COMPLETIONS}.")
    sampling = replace(read_settings(Sampling, values), num_return_sequences=count, num_beams=1)
    if sampling.greedy or sampling.temperature == 0:
        raise LabError("Greedy decoding gives the same completion each time; turn it off on the Single tab.")
    view = generation.generate(lab, model, chat.question_of(lab, values), sampling)
    texts = [completion.text for completion in view.completions]
    ranking = rewards.rank(lab, reward_model, view.prompt.messages or view.prompt.as_text or view.rendered, texts)
    return {"table": _table(reward_model, view.id, texts, ranking), "run": view.id}


def run_number(run: int | None) -> str:
    if not run:
        raise LabError("Nothing has been generated yet; press Generate and rank first.")
    return str(run)


def _table(reward_model: str, run: int, texts: Sequence[str], ranking: Sequence[tuple[int, float]]) -> str:
    mean = sum(reward for _, reward in ranking) / len(ranking)
    best = ranking[0][1]
    head = (
        f'<p class="quiet" role="status">Best of {len(ranking)} by {html.escape(reward_model)}: reward {best:.3f}, '
        f'mean {mean:.3f} · <a href="/?run={run}">run {run}</a></p>'
    )
    rows = "".join(
        f"<tr{' class=picked' if rank == 1 else ''}><td>{rank}</td><td>{reward:.3f}</td>"
        f"<td><p>{html.escape(texts[index])}</p></td></tr>"
        for rank, (index, reward) in enumerate(ranking, 1)
    )
    return (
        f'{head}<div class="grid-scroll" tabindex="0" role="region" aria-label="Completions by reward">'
        '<table class="grid"><thead><tr><th scope="col">Rank</th><th scope="col">Reward</th>'
        f'<th scope="col">Completion</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )
