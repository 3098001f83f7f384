"""A template tried where it is written: the answer for the previewed row streams beside its reference."""

from collections.abc import Iterator

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.models import Prompt
from genai_lab.services import defaults, generation, models, prompting
from pages.components.errors import INTERNAL
from pages.components.forms import Form, Updates, Values
from pages.components.head import escaped_html, html_part
from pages.components.tokenmap import token_map
from pages.playground import single
from pages.playground.streaming import load_with_updates, stream_updates
from pages.prompts import preview

NOTE = """
{{#if value.text}}<p class="run-note" role="status">{{value.text}}
{{#if value.run}}<a href="/?run={{value.run}}">Open the run</a>{{/if}}</p>{{/if}}
"""
REFERENCE = """
<div class="reference"><b>Reference</b>{{#if value}}<p>{{value}}</p>{{else}}<p class="quiet">The reference of the row
that Try asks about appears here.</p>{{/if}}</div>
"""
# The playground takes up what its own draft holds; the page is left once the draft is written.
GO = f"""async () => {{
  for (let n = 0; n < 100 && !localStorage.getItem({single.DRAFT!r}); n++) await new Promise(r => setTimeout(r, 20));
  location.assign('/');
}}"""
FORGET = f"(...values) => {{ localStorage.removeItem({single.DRAFT!r}); return values; }}"
NOTHING = {"text": "", "run": None}


def build(lab: LabContext, form: Form, rows: prompting.KeptRows) -> None:
    """Draws and wires Try and its answer, for the template and the preview in the form."""
    with gr.Row(elem_classes=["actions"]):
        run = gr.Button("Try", variant="primary", scale=0, min_width=80, elem_id="prompts-try")
        stop = gr.Button("Stop", scale=0, min_width=70, elem_id="prompts-try-stop")
        play = gr.Button("Open in playground", scale=0, min_width=150, elem_id="prompts-play")
    form.add(
        answer=token_map(
            label="Answer", elem_id="prompts-answer", placeholder="Press Try to stream an answer to this row."
        ),
        reference=html_part("", REFERENCE, "prompts-reference", sheet="prompts.css"),
        note=escaped_html(
            dict(NOTHING), html_template=NOTE, js_on_load=None, elem_classes=["plain"], elem_id="prompts-try-note"
        ),
        run=gr.State(None),
        playground_draft=gr.BrowserState(None, storage_key=single.DRAFT, secret=single.SECRET),
    )
    form.on(
        run.click,
        try_row,
        lab,
        rows,
        inputs=preview.INPUTS,
        outputs=["answer", "reference", "note", "run"],
        concurrency_id="generation",
        concurrency_limit=40,
    )
    form.on(stop.click, stop_try, lab, inputs=["run"], queue=False)
    form.on(
        play.click, open_in_playground, lab, rows, inputs=preview.INPUTS, outputs=["playground_draft"], js=FORGET
    ).success(None, None, None, js=GO, **INTERNAL)


def try_row(lab: LabContext, rows: prompting.KeptRows, values: Values) -> Iterator[Updates]:
    """Streams the model's answer to the row of the preview: the prompt of a matrix, decoded greedily as it does."""
    model, prompt, sampling, previewed = _question(lab, rows, values)
    reference = reference_of(previewed)
    for updates in load_with_updates(lab, model):
        yield {"answer": updates["tokens"], "reference": reference, "note": NOTHING, "run": None}
    live = generation.start(lab, model, prompt, sampling)
    row = f"Row {previewed.example.key + 1} of {previewed.rows.name}"
    if previewed.rows.name == prompting.TYPED:
        row = "The typed row"
    for updates in stream_updates(lab, live):
        note = updates["note"]
        text = f"{row}, greedy. {note['text']}" if note["text"] else ""
        yield {
            "answer": updates["tokens"],
            "reference": reference,
            "note": {"text": text, "run": note["run"]},
            "run": live.run_id,
        }


def stop_try(lab: LabContext, values: Values) -> None:
    generation.cancel(lab, values["run"])


def open_in_playground(lab: LabContext, rows: prompting.KeptRows, values: Values) -> Updates:
    """The filled prompt as the playground's draft, with the settings that Try takes."""
    model, prompt, sampling, _ = _question(lab, rows, values)
    return {"playground_draft": single.draft_of(model, prompt, sampling)}


def reference_of(previewed: prompting.PromptPreview) -> str:
    """What the row's answer should be."""
    references = previewed.example.references or ((previewed.example.label,) if previewed.example.label else ())
    return "\n— or —\n".join(references)


def _question(
    lab: LabContext, rows: prompting.KeptRows, values: Values
) -> tuple[str, Prompt, Sampling, prompting.PromptPreview]:
    """What is asked of which model: the row filled in, with as many shots as fit."""
    model, rendering, room = values["model"], values["rendering"], int(values["answer_tokens"] or 1)
    if not model:
        raise LabError("No model is chosen; choose one under Preview.")
    template, previewed = preview.preview_of(lab, rows, values)
    fitted = prompting.measure_prompts(lab, previewed, model, room, rendering)
    mode = prompting.mode_of(models.show(lab, model).card, rendering)
    sampling = defaults.sampling_for(lab, model, {"greedy": True, "max_new_tokens": room}, mode)
    return model, fitted.rendered.prompt(mode), prompting.stops(template, mode, fitted.k, sampling), previewed
