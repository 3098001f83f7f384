"""Two settings varied at once on one prompt: a table of completions."""

import html
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Completion, Delta, Sampling
from genai_lab.errors import BadSetting, LabError
from genai_lab.services import generation
from genai_lab.settings import field_of
from pages.components.forms import Form, Updates, Values
from pages.components.head import PLAIN, empty_state_markup
from pages.components.settings_inputs import read_settings, setting_label
from pages.playground import chat
from pages.playground.settings import SETTINGS
from pages.playground.single import QUESTION

VARIED = ("temperature", "top_p", "top_k", "min_p", "typical_p", "repetition_penalty", "max_new_tokens", "seed")
MAX_CELLS = 36
EMPTY = empty_state_markup("No grid yet", "Choose two settings and their values, then press Run grid.")
AXES = ("rows", "row_values", "columns", "column_values")


def build(lab: LabContext, single: Form) -> None:
    gr.Markdown(
        "The prompt (in chat the conversation), the model and all other settings come from the Single tab.",
        elem_classes=["quiet"],
    )
    form = Form(**_axes())
    with gr.Row(elem_classes=["actions"]):
        run = gr.Button("Run grid", variant="primary", scale=0, min_width=110, elem_id="grid-run")
        stop = gr.Button("Stop", scale=0, min_width=80, elem_id="grid-stop")
    table = gr.HTML(EMPTY, apply_default_css=False, elem_classes=PLAIN, js_on_load=None, elem_id="grid-table")
    form.add(table=table, runs=gr.State([]))
    names = form.include(single, [*QUESTION, *SETTINGS])
    form.on(run.click, run_grid, lab, inputs=[*AXES, *names], outputs=["table", "runs"], concurrency_id="generation")
    form.on(stop.click, stop_grid, lab, inputs=["runs"], queue=False)


def _axes() -> dict[str, Any]:
    choices = [(field_of(Sampling, name).label, name) for name in VARIED]
    with gr.Row():
        return {
            "rows": gr.Dropdown(
                choices, value="temperature", label="Rows", info="Down the side.", interactive=True,
                elem_id="grid-rows",
            ),
            "row_values": gr.Textbox(
                "0.2, 0.7, 1.2", label="Row values", info="Separated by commas.", elem_id="grid-row-values"
            ),
            "columns": gr.Dropdown(
                choices, value="top_p", label="Columns", info="Along the top.", interactive=True,
                elem_id="grid-columns",
            ),
            "column_values": gr.Textbox(
                "0.5, 0.9, 1", label="Column values", info="Separated by commas.", elem_id="grid-column-values"
            ),
        }  # fmt: skip


def run_grid(lab: LabContext, values: Values) -> Iterator[Updates]:
    """All cells in one batch; the table fills as they end."""
    rows, columns = values["rows"], values["columns"]
    if rows == columns:
        raise LabError(f"Rows and columns both vary {setting_label(Sampling, rows)}; choose two different settings.")
    if not values["model"]:
        raise LabError("No model is chosen; choose one on the Single tab.")
    heads = read_values(rows, values["row_values"]), read_values(columns, values["column_values"])
    cells = list(itertools.product(*heads))
    if len(cells) > MAX_CELLS:
        raise LabError(f"The grid has {len(cells)} cells; at most {MAX_CELLS} run at once.")
    base = replace(read_settings(Sampling, values), num_return_sequences=1).seeded()
    prompt = chat.question_of(lab, values)
    requests = [
        generation.GenerationSpec(
            values["model"], prompt, Sampling.from_dict(base.as_dict() | {rows: row, columns: column})
        )
        for row, column in cells
    ]
    lives = generation.start_many(lab, requests, trace=0)
    results: list[str | Completion | None] = [None] * len(lives)
    run_ids = [live.run_id for live in lives]
    yield {"table": _table(rows, columns, heads, results, run_ids), "runs": run_ids}
    for index, event in generation.merge_streams(lives):
        if not isinstance(event, Delta):
            results[index] = str(event) if event else lives[index].completions[0]
            yield {"table": _table(rows, columns, heads, results, run_ids)}


def stop_grid(lab: LabContext, values: Values) -> None:
    for run_id in values["runs"]:
        generation.cancel(lab, run_id)


def read_values(name: str, text: str | None) -> list[Any]:
    """The numbers of a comma-separated list, checked against the setting; raises BadSetting for anything else."""
    kind = int if isinstance(getattr(Sampling(), name), int) or name == "seed" else float
    numbers = []
    for word in filter(None, (part.strip() for part in (text or "").split(","))):
        try:
            numbers.append(kind(word))
        except ValueError:
            raise BadSetting(name, word, "a list of numbers, separated by commas") from None
        Sampling.from_dict({name: numbers[-1]})
    if not numbers:
        raise LabError(f"The values of {setting_label(Sampling, name)} are empty; give numbers, separated by commas.")
    return numbers


def distinct_2(text: str) -> float | None:
    """Share of different pairs of neighbouring words (Li et al., 2016, section 5); None for fewer than two words."""
    number_texts = text.split()
    pairs = list(itertools.pairwise(number_texts))
    return len(set(pairs)) / len(pairs) if pairs else None


def _table(
    rows: str, columns: str, heads: tuple[list[Any], list[Any]], results: Sequence[Any], run_ids: Sequence[int]
) -> str:
    corner = f"{html.escape(field_of(Sampling, rows).label)} \\ {html.escape(field_of(Sampling, columns).label)}"
    top = "".join(f'<th scope="col">{value:.10g}</th>' for value in heads[1])
    width = len(heads[1])
    lines = []
    for i, value in enumerate(heads[0]):
        row = slice(i * width, (i + 1) * width)
        pairs = zip(results[row], run_ids[row], strict=True)
        cells = "".join(f"<td>{_cell(result, run_id)}</td>" for result, run_id in pairs)
        lines.append(f'<tr><th scope="row">{value:.10g}</th>{cells}</tr>')
    count = sum(result is not None for result in results)
    head = f'<p class="quiet" role="status">{count} of {len(results)} done</p>'
    return (
        f'{head}<div class="grid-scroll" tabindex="0" role="region" aria-label="Grid of completions">'
        f'<table class="grid"><thead><tr><th>{corner}</th>{top}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(result: str | Completion | None, run_id: int) -> str:
    if result is None:
        return '<span class="quiet">…</span>'
    if isinstance(result, str):
        return html.escape(result)
    variety = distinct_2(result.text)
    note = f"{result.completion_tokens} tokens" + (f", distinct-2 {variety:.2f}" if variety is not None else "")
    return f'<p>{html.escape(result.text)}</p><small>{note} · <a href="/?run={run_id}">run {run_id}</a></small>'
