"""Two settings varied at once on one prompt: a table of completions."""

import html
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Completion, Delta, Sampling
from genai_lab.errors import BadSetting, LabError
from genai_lab.services import generation
from pages.components.errors import PRIVATE, guarded
from pages.components.head import PLAIN, empty_state_markup
from pages.components.settings_form import label_of, read_settings
from pages.playground import chat
from pages.playground.settings import NAMES

VARIED = ("temperature", "top_p", "top_k", "min_p", "typical_p", "repetition_penalty", "max_new_tokens", "seed")
MOST_CELLS = 36
EMPTY = empty_state_markup("No grid yet", "Choose two settings and their values, then press Run grid.")


def build(lab: LabContext, single: Any) -> None:
    choices = [(label_of(name), name) for name in VARIED]
    gr.Markdown(
        "Prompt (in chat the conversation), model and all other settings are those of the Single tab.",
        elem_classes=["quiet"],
    )
    with gr.Row():
        rows = gr.Dropdown(
            choices, value="temperature", label="Rows", info="Down the side.", interactive=True, elem_id="grid-rows"
        )
        down = gr.Textbox("0.2, 0.7, 1.2", label="Row values", info="Separated by commas.", elem_id="grid-row-values")
        columns = gr.Dropdown(
            choices, value="top_p", label="Columns", info="Along the top.", interactive=True, elem_id="grid-columns"
        )
        across = gr.Textbox(
            "0.5, 0.9, 1", label="Column values", info="Separated by commas.", elem_id="grid-column-values"
        )
    with gr.Row(elem_classes=["actions"]):
        run = gr.Button("Run grid", variant="primary", scale=0, min_width=110, elem_id="grid-run")
        stop = gr.Button("Stop", scale=0, min_width=80, elem_id="grid-stop")
    table = gr.HTML(EMPTY, apply_default_css=False, elem_classes=PLAIN, js_on_load=None, elem_id="grid-table")
    state = gr.State([])
    base = [*single.question, *single.form.values()]
    run.click(
        guarded(run_grid, lab),
        [rows, down, columns, across, *base],
        [table, state],
        concurrency_id="generation",
        **PRIVATE,
    )
    stop.click(guarded(stop_grid, lab), state, None, queue=False, **PRIVATE)


def run_grid(
    lab: LabContext,
    rows: str,
    down: str,
    columns: str,
    across: str,
    model: str,
    mode: str,
    prompt: str,
    system: str,
    talk: dict[str, Any],
    *values: Any,
) -> Iterator[tuple[str, Any]]:
    """All cells in one batch; the table fills as they end."""
    if rows == columns:
        raise LabError(f"Rows and columns both vary {label_of(rows).lower()}; choose two different settings.")
    if not model:
        raise LabError("No model is chosen; choose one on the Single tab.")
    heads = read_values(rows, down), read_values(columns, across)
    if len(heads[0]) * len(heads[1]) > MOST_CELLS:
        raise LabError(f"The grid has {len(heads[0]) * len(heads[1])} cells; at most {MOST_CELLS} run at once.")
    base = replace(read_settings(Sampling, NAMES, values), num_return_sequences=1).seeded()
    made = chat.asked_again(lab, model, mode, prompt or "", system, talk)
    cells = list(itertools.product(*heads))
    jobs = [
        generation.GenerationSpec(model, made, Sampling.from_dict(base.as_dict() | {rows: one, columns: two}))
        for one, two in cells
    ]
    lives = generation.start_many(lab, jobs, trace=0)
    done: list[str | Completion | None] = [None] * len(lives)
    ids = [live.run_id for live in lives]
    yield _table(rows, columns, heads, done, ids), ids
    for place, item in generation.merge_streams(lives):
        if not isinstance(item, Delta):
            done[place] = str(item) if item else lives[place].completions[0]
            yield _table(rows, columns, heads, done, ids), gr.skip()


def stop_grid(lab: LabContext, run_ids: list[int]) -> None:
    for run_id in run_ids:
        generation.cancel(lab, run_id)


def read_values(name: str, text: str) -> list[Any]:
    """The numbers of a comma-separated list, checked against the setting; raises BadSetting for one that is none."""
    kind = int if isinstance(getattr(Sampling(), name), int) or name == "seed" else float
    found = []
    for word in filter(None, (part.strip() for part in (text or "").split(","))):
        try:
            found.append(kind(word))
        except ValueError:
            raise BadSetting(name, word, "a list of numbers, separated by commas") from None
        Sampling.from_dict({name: found[-1]})
    if not found:
        raise LabError(f"The values of {label_of(name).lower()} are empty; give numbers, separated by commas.")
    return found


def distinct_2(text: str) -> float | None:
    """Share of different pairs of neighbouring words (Li et al., 2016, section 5); None for fewer than two words."""
    words = text.split()
    pairs = list(itertools.pairwise(words))
    return len(set(pairs)) / len(pairs) if pairs else None


def _table(rows: str, columns: str, heads: tuple[list[Any], list[Any]], done: list[Any], ids: list[int]) -> str:
    corner = f"{html.escape(label_of(rows))} \\ {html.escape(label_of(columns))}"
    top = "".join(f'<th scope="col">{value:.10g}</th>' for value in heads[1])
    width = len(heads[1])
    lines = []
    for i, value in enumerate(heads[0]):
        own = zip(done[i * width : (i + 1) * width], ids[i * width : (i + 1) * width], strict=True)
        cells = "".join(f"<td>{_cell(item, run_id)}</td>" for item, run_id in own)
        lines.append(f'<tr><th scope="row">{value:.10g}</th>{cells}</tr>')
    count = sum(item is not None for item in done)
    head = f'<p class="quiet" role="status">{count} of {len(done)} done</p>'
    return (
        f'{head}<div class="grid-scroll" tabindex="0" role="region" aria-label="Grid of completions">'
        f'<table class="grid"><thead><tr><th>{corner}</th>{top}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(item: str | Completion | None, run_id: int) -> str:
    if item is None:
        return '<span class="quiet">…</span>'
    if isinstance(item, str):
        return html.escape(item)
    variety = distinct_2(item.text)
    note = f"{item.completion_tokens} tokens" + (f", distinct-2 {variety:.2f}" if variety is not None else "")
    return f'<p>{html.escape(item.text)}</p><small>{note} · <a href="/?run={run_id}">run {run_id}</a></small>'
