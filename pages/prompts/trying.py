"""A template tried where it is written: the answer for the previewed row streams beside its reference."""

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.models import Prompt
from genai_lab.services import defaults, generation, models, prompting
from pages.components.errors import PRIVATE, guarded
from pages.components.head import drawn, piece
from pages.components.tokenmap import token_map
from pages.playground import single
from pages.playground.streaming import load_with_updates, streamed
from pages.prompts import preview

NOTE = """
{{#if value.text}}<p class="run-note" role="status">{{value.text}}
{{#if value.run}}<a href="/?run={{value.run}}">Open the run</a>{{/if}}</p>{{/if}}
"""
REFERENCE = """
<div class="reference"><b>Reference</b>{{#if value}}<p>{{value}}</p>{{else}}<p class="quiet">The row that Try asks about
has its reference here.</p>{{/if}}</div>
"""
# The playground takes up what its own draft holds; the page is left once the draft is written.
GO = f"""async () => {{
  for (let n = 0; n < 100 && !localStorage.getItem({single.DRAFT!r}); n++) await new Promise(r => setTimeout(r, 20));
  location.assign('/');
}}"""
FORGET = f"(...values) => {{ localStorage.removeItem({single.DRAFT!r}); return values; }}"
NOTHING = {"text": "", "run": None}
Update = Any


def build(lab: LabContext, sight: preview.Sight) -> None:
    with gr.Row(elem_classes=["actions"]):
        run = gr.Button("Try", variant="primary", scale=0, min_width=80, elem_id="prompts-try")
        stop = gr.Button("Stop", scale=0, min_width=70, elem_id="prompts-try-stop")
        play = gr.Button("Open in playground", scale=0, min_width=150, elem_id="prompts-play")
    answer = token_map(
        label="Answer", elem_id="prompts-answer", placeholder="Press Try to stream an answer to this row."
    )
    reference = piece("", REFERENCE, "prompts-reference", sheet="prompts.css")
    note = drawn(dict(NOTHING), html_template=NOTE, js_on_load=None, elem_classes=["plain"], elem_id="prompts-try-note")
    state = gr.State(None)
    draft = gr.BrowserState(None, storage_key=single.DRAFT, secret=single.SECRET)
    run.click(
        guarded(try_row, lab, sight.kept),
        sight.watched,
        [answer, reference, note, state],
        concurrency_id="generation",
        concurrency_limit=40,
        **PRIVATE,
    )
    stop.click(guarded(stop_try, lab), state, None, queue=False, **PRIVATE)
    play.click(guarded(to_playground, lab, sight.kept), sight.watched, draft, js=FORGET, **PRIVATE).success(
        None, None, None, js=GO, **PRIVATE
    )


def try_row(lab: LabContext, kept: prompting.KeptRows, *values: Any) -> Iterator[Sequence[Update]]:
    """Streams the model's answer to the row of the preview: the prompt of a matrix, decoded greedily as it does."""
    model, prompt, sampling, made = _question(lab, kept, *values)
    expected = reference_of(made)
    for updates in load_with_updates(lab, model):
        yield updates["tokens"], expected, NOTHING, None
    live = generation.start(lab, model, prompt, sampling)
    row = f"Row {made.example.key + 1} of {made.rows.name}" if made.rows.name != prompting.TYPED else "The typed row"
    for updates in streamed(lab, live):
        note = updates["note"]
        text = f"{row}, greedy. {note['text']}" if note["text"] else ""
        yield updates["tokens"], expected, {"text": text, "run": note["run"]}, live.run_id


def stop_try(lab: LabContext, run: int | None) -> None:
    generation.cancel(lab, run)


def to_playground(lab: LabContext, kept: prompting.KeptRows, *values: Any) -> str:
    """The filled prompt as the playground's draft, with the settings that Try takes."""
    model, prompt, sampling, _ = _question(lab, kept, *values)
    return single.draft_of(model, prompt, sampling)


def reference_of(made: prompting.Preview) -> str:
    """What the row's answer should be."""
    references = made.example.references or ((made.example.label,) if made.example.label else ())
    return "\n— or —\n".join(references)


def _question(
    lab: LabContext, kept: prompting.KeptRows, *values: Any
) -> tuple[str, Prompt, Sampling, prompting.Preview]:
    """What is asked of which model: the row filled in, with as many shots as fit."""
    *_, model, rendering, free = values
    if not model:
        raise LabError("No model is chosen; choose one under Preview.")
    template, made = preview.preview_of(lab, kept, *values)
    room = int(free or 1)
    fitted = prompting.measured(lab, made, model, room, rendering)
    mode = prompting.mode_of(models.show(lab, model).card, rendering)
    own = defaults.sampling_for(lab, model, {"greedy": True, "max_new_tokens": room}, mode)
    return model, fitted.rendered.prompt(mode), prompting.stops(template, mode, fitted.k, own), made
