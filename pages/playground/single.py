"""One model, one prompt: settings, streaming, the token map and the microscope."""

import json
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.models import Prompt
from genai_lab.services import generation, models, presets
from genai_lab.services.models import shelf
from pages.components.errors import INTERNAL
from pages.components.forms import Form, Updates, Values, read_draft
from pages.components.head import PLAIN, empty_state, escape_template_text, escaped_html, unescape_template_text
from pages.components.loading import number_of
from pages.components.settings_inputs import former_names, write_settings
from pages.components.stats import stat_row
from pages.components.tokenmap import token_map
from pages.playground import chat, examples, running, settings, share
from pages.playground.settings import SETTINGS
from pages.playground.streaming import FIGURES, NO_NOTE, NO_RUN, RUN_OUTPUTS, run_updates

DRAFT, SECRET = "genai-lab-playground", "genai-lab"  # where the browser keeps what stands on the page
QUESTION = ("model", "mode", "prompt", "system", "conversation")
DRAFT_NAMES = (*QUESTION, *SETTINGS, "note")
# A draft of earlier versions is a list of the values in this order.
FORMER_DRAFT = (
    *QUESTION, "max_new_tokens", "temperature", "top_k", "top_p", "greedy", "min_p", "typical_p", "repetition_penalty",
    "no_repeat_ngram", "beams", "num_completions", "stop", "seed", "note",
)  # fmt: skip
KEYS = """
const chatting = () => document.querySelector('#pg-mode input[value="chat"]')?.checked;
const press = id => document.querySelector(id)?.click();
document.addEventListener('keydown', e => {
  if (!element.isConnected) return;
  const typing = e.target.matches?.('#pg-prompt textarea') && !e.isComposing;
  if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); press('#pg-run'); }
  else if (e.key === 'Enter' && typing && chatting()) {
    e.stopImmediatePropagation();
    if (!e.shiftKey) { e.preventDefault(); press('#pg-run'); }
  }
  if (e.key === 'Escape' && !document.querySelector('[role=listbox]')) press('#pg-stop');
}, true);
// Gradio's own box would send on Shift+Enter.
document.addEventListener('keypress', e => {
  if (e.key === 'Enter' && e.target.matches?.('#pg-prompt textarea') && chatting()) e.stopImmediatePropagation();
}, true);
"""
NOTE = """
{{#if value.text}}<p class="run-note" role="status">{{value.text}}
{{#if value.cut}}<button type="button">Continue</button>{{/if}}</p>{{/if}}
"""
# The address follows the run that is shown, so that a reload or a copied address brings it back.
NOTE_SCRIPT = """
let seen = false;
element.addEventListener('click', e => {
  if (e.target.closest('button')) document.querySelector('#pg-continue')?.click();
});
watch('value', () => {
  const run = props.value?.run, asked = new URLSearchParams(location.search).get('run');
  if (run) seen = true;
  if (run && String(run) !== asked) history.replaceState(null, '', '/?run=' + run);
  if (!run && asked && seen) history.replaceState(null, '', '/');
});
"""
MICROSCOPE_SETTINGS = (
    "temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "no_repeat_ngram_size", "greedy",
)  # fmt: skip


def build(lab: LabContext) -> Form:
    """Draws and wires the tab; other tabs read QUESTION and SETTINGS of its form."""
    page = Form(
        state=gr.State(dict(NO_RUN)),
        draft=gr.BrowserState(None, storage_key=DRAFT, secret=SECRET),
        former_conversation=gr.State(chat.empty_conversation()),
        cleared_prompt=gr.State(""),
    )
    with gr.Row(equal_height=False, elem_id="pg-single"):
        with gr.Column(scale=1, min_width=290, elem_id="pg-settings"):
            page.add(settings.draw())
            chat_settings, system = chat.draw_settings()
            page.add(chat_settings=chat_settings, system=system)
            page.add_settings(Sampling, prefix="pg")
        with gr.Column(scale=3, min_width=320, elem_id="pg-main"):
            chips = examples.draw()
            with gr.Column(elem_id="pg-ask"):
                page.add(prompt=_prompt(), **_buttons())
            page.add(stats=stat_row(FIGURES, "Figures of this run", elem_id="pg-stats"))
            with gr.Column(elem_id="pg-answer"), gr.Column():
                page.add(_answer())
            page.add(replay=share.build(lab, page["state"]))
            page.add(_microscope())
    gr.HTML("", js_on_load=KEYS, visible=True, apply_default_css=False, elem_classes=["plain", "keys"])
    _wire_generation(lab, page)
    _wire_chat(lab, page)
    _wire_microscope(lab, page)
    settings.wire(lab, page)
    page.keep_draft(page["draft"], DRAFT_NAMES)
    for click in examples.wire(lab, page, chips, [*QUESTION, *SETTINGS, "origin"]):
        page.save_draft(click.then, page["draft"], DRAFT_NAMES)
    outputs = [*QUESTION, *SETTINGS, "origin", *RUN_OUTPUTS, "preset"]
    _then_microscope(lab, page, page.on_load(load_page, lab, inputs=["draft"], outputs=outputs).then)
    return page


def _prompt() -> gr.Textbox:
    return gr.Textbox(
        label="Prompt",
        lines=5,
        max_lines=16,
        elem_id="pg-prompt",
        placeholder="Type a prompt, or try an example.",
    )


def _buttons() -> dict[str, gr.Button]:
    with gr.Row(elem_classes=["actions"]):
        return {
            "generate": gr.Button("Generate", variant="primary", scale=0, min_width=110, elem_id="pg-run"),
            "stop_run": gr.Button("Stop", scale=0, min_width=80, elem_id="pg-stop"),
            "continue": gr.Button("Continue", scale=0, min_width=90, elem_id="pg-continue"),
            **chat.draw_buttons(),
            "clear": gr.Button("Clear prompt", scale=0, min_width=110, elem_id="pg-clear"),
            "undo_clear": gr.Button("Undo clear", scale=0, min_width=100, visible=False, elem_id="pg-undo"),
        }


def _microscope() -> dict[str, Any]:
    """The chart of a token's distribution, and the sentence in its place; Plotly is fetched with the first chart."""
    with gr.Column(elem_id="pg-microscope"):
        return {
            "chart": gr.Plot(label="Sampler microscope", visible=False),
            "chart_note": empty_state(
                "Sampler microscope", "Generate, then click a token to see what each filter did to its distribution."
            ),
        }


def _answer() -> dict[str, Any]:
    """The conversation, the choice of completion, the token map and the note below it."""
    messages, conversation = chat.draw_messages()
    completion = gr.Radio([], label="Completion", visible=False, elem_id="pg-which")
    tokens = token_map(
        label="Completion",
        elem_id="pg-tokens",
        placeholder="Press Generate (Ctrl+Enter) to stream a completion.",
    )
    note = escaped_html(
        dict(NO_NOTE), html_template=NOTE, js_on_load=NOTE_SCRIPT, elem_classes=PLAIN, elem_id="pg-note"
    )
    return {
        "messages": messages,
        "conversation": conversation,
        "completion": completion,
        "tokens": tokens,
        "note": note,
    }


def _wire_generation(lab: LabContext, page: Form) -> None:
    flow: dict[str, Any] = {"concurrency_id": "generation", "concurrency_limit": 40}
    # In chat the box is emptied as the message is sent; `generate` reads the copy.
    copy = gr.Textbox("", visible="hidden", show_label=False, container=False, elem_id="pg-sending")
    question = Form(prompt=copy)
    question.include(page, [name for name in (*QUESTION, *SETTINGS, *RUN_OUTPUTS) if name != "prompt"])
    prompt = page["prompt"]
    click = page["generate"].click(None, [page["mode"], prompt], [prompt, copy], js=chat.SEND, queue=False, **INTERNAL)
    run = question.on(
        click.then,
        running.generate,
        lab,
        inputs=[*QUESTION, *SETTINGS],
        outputs=[*RUN_OUTPUTS, "conversation"],
        **flow,
    )
    run.failure(None, [prompt, copy], prompt, js=chat.RETURN, queue=False, **INTERNAL)
    state: dict[str, Any] = {"inputs": ["state"], "outputs": RUN_OUTPUTS}
    continued = page.on(page["continue"].click, running.continue_run, lab, **state, **flow)
    branched = page.on(page["tokens"].branch, running.branch, lab, **state, **flow)
    replayed = page.on(page["replay"].click, running.replay, lab, **state, concurrency_id="generation")
    for event in (run, continued, branched, replayed):
        _then_microscope(lab, page, event.then)
    for event in (run, continued, branched):
        page.on(event.then, chat.on_run_end, lab, inputs=["state", "prompt"], outputs=["prompt", "conversation"])
    page.on(page["stop_run"].click, running.stop_run, lab, inputs=["state"], queue=False)
    page.on(page["clear"].click, on_clear, inputs=["prompt"], outputs=["prompt", "cleared_prompt", "undo_clear"])
    page.on(page["undo_clear"].click, on_undo_clear, inputs=["cleared_prompt"], outputs=["prompt", "undo_clear"])


def _wire_chat(lab: LabContext, page: Form) -> None:
    # The mode may be one of the previous model, which Gradio's own check would refuse.
    page.on(
        page["mode"].change,
        chat.on_mode_change,
        inputs=["mode"],
        outputs=[
            "chat_settings", "messages", "undo_message", "new_chat", "prompt", "generate", "clear", "tokens",
        ],
        queue=False,
        preprocess=False,
    )  # fmt: skip
    page.on(page["mode"].input, chat.on_mode_input, lab, inputs=["mode", "conversation"], outputs=RUN_OUTPUTS)
    page.on(
        page["completion"].input,
        chat.on_run_end,
        lab,
        inputs=["state", "prompt"],
        outputs=["prompt", "conversation"],
    )
    page.on(
        page["undo_message"].click,
        chat.on_undo_message,
        inputs=["conversation"],
        outputs=["prompt", "conversation", *RUN_OUTPUTS],
    )
    page.on(
        page["new_chat"].click,
        chat.on_new_chat,
        inputs=["conversation"],
        outputs=["conversation", "former_conversation", "undo_new_chat", *RUN_OUTPUTS],
    )
    page.on(
        page["undo_new_chat"].click,
        chat.on_undo_new_chat,
        lab,
        inputs=["former_conversation"],
        outputs=["conversation", "undo_new_chat", *RUN_OUTPUTS],
    )


def _wire_microscope(lab: LabContext, page: Form) -> None:
    selection = page.on(page["tokens"].select, running.choose_token, inputs=["state"], outputs=["state"], queue=False)
    _then_microscope(lab, page, selection.then, queue=False)
    completion = page.on(
        page["completion"].input,
        running.choose_completion,
        lab,
        inputs=["completion", "state"],
        outputs=["tokens", "state"],
    )
    _then_microscope(lab, page, completion.then)
    for name in MICROSCOPE_SETTINGS:
        _then_microscope(lab, page, page[name].change, queue=False, trigger_mode="always_last")


def _then_microscope(lab: LabContext, page: Form, event: Any, **options: Any) -> None:
    page.on(
        event, running.draw_microscope, lab, inputs=["state", *SETTINGS], outputs=["chart", "chart_note"], **options
    )


def on_clear(values: Values) -> Updates:
    return {"prompt": "", "cleared_prompt": values["prompt"], "undo_clear": gr.update(visible=True)}


def on_undo_clear(values: Values) -> Updates:
    return {"prompt": values["cleared_prompt"], "undo_clear": gr.update(visible=False)}


def load_page(lab: LabContext, values: Values, request: gr.Request) -> Updates:
    """What the address asks for (?run=, ?model=, ?example=), else the draft, else the first model.

    A draft that goes with the run of the address is the same work, taken up again. Its settings stay with its model.
    """
    names = [view.card.name for view in models.catalogue(lab) if view.card.modes and view.status != "training"]
    menus = {"preset": gr.update(choices=list(presets.presets(lab)), value=None)}
    query, draft = dict(request.query_params), read_page_draft(values["draft"])
    run = number_of(query.get("run"))
    if run is not None and draft.get("run") != run:
        return {**_from_run(lab, names, run), **menus}
    example = examples.example_called(lab, query.get("example"))
    if example is not None:
        updates = examples.use_example(lab, example)
        return {**updates, "model": gr.update(choices=names, value=updates["model"]), **menus}
    return {**_from_draft(lab, names, query.get("model"), draft, run), **menus}


def _from_draft(
    lab: LabContext, names: list[str], named: str | None, draft: dict[str, Any], run: int | None
) -> Updates:
    """The draft, or an empty page; with the model that the address names, else the one that a new lab gets."""
    begun = bool(draft["prompt"] or draft["conversation"]["messages"] or draft.get("model") not in (None, *names[:1]))
    preferred = (named, draft.get("model") if begun else None, shelf.first_model(lab), draft.get("model"), *names)
    model = next((name for name in preferred if name in names), None)
    mode, sampling, origin = draft.get("mode"), Sampling(), ""
    draft_settings = {name: draft[name] for name in SETTINGS if name in draft}
    if draft_settings and model == draft["model"]:
        origin = "Settings: as you left them."
    else:
        draft_settings, mode = {}, None
        if model:
            sampling, origin = settings.generation_settings(lab, model, None)
    prompt, conversation = draft["prompt"], draft["conversation"]
    last = generation.run(lab, run) if run is not None else None
    if draft.get("mode") == "chat":
        prompt, conversation, last = chat.resume(lab, prompt, conversation)
    return {
        "model": gr.update(choices=names, value=model),
        "mode": settings.modes_of(lab, model, mode),
        "prompt": prompt,
        "system": draft["system"],
        "conversation": conversation,
        **write_settings(sampling),
        **draft_settings,
        "origin": origin,
        **(run_updates(lab, last) if last else {}),
    }


def _from_run(lab: LabContext, names: list[str], run_id: int) -> Updates:
    view = generation.run(lab, run_id)
    choices = [*names, *([] if view.model in names else [view.model])]
    prompt, (system, conversation) = view.prompt.text, chat.conversation_of(lab, view)
    if conversation["messages"] and not view.completions:  # a message without an answer is asked again
        prompt, conversation = chat.pop_message(conversation)
    return {
        "model": gr.update(choices=choices, value=view.model),
        "mode": settings.modes_of(lab, view.model, view.mode),
        "prompt": prompt,
        "system": system,
        "conversation": conversation,
        **write_settings(view.sampling),
        "origin": f"Settings: those of run {run_id}.",
        **run_updates(lab, view),
    }


def draft_of(model: str, prompt: Prompt, sampling: Sampling) -> str:
    """A prompt as the page's draft, for other pages that open it here."""
    messages = [message for message in prompt.messages if message["role"] != "system"]
    text = messages.pop()["content"] if messages else prompt.text
    return json.dumps(
        {
            "model": model,
            "mode": prompt.mode,
            "prompt": text,
            "system": chat.system_of(prompt),
            "conversation": escape_template_text({"messages": messages, "last": "", "run": None}),
            **write_settings(sampling),
            "note": NO_NOTE,
        }
    )


def read_page_draft(text: str | None) -> dict[str, Any]:
    """The draft by name, with the run that was shown beside it; an empty page where there is none."""
    draft: dict[str, Any] = read_draft(text, DRAFT_NAMES, FORMER_DRAFT, former_names(Sampling)) or {}
    note, conversation = draft.pop("note", None), unescape_template_text(draft.get("conversation"))
    if not isinstance(conversation, dict) or not isinstance(conversation.get("messages"), list):
        conversation = chat.empty_conversation()
    return {
        **draft,
        "model": draft.get("model"),
        "prompt": draft.get("prompt") or "",
        "system": draft.get("system") or "",
        "conversation": conversation,
        "run": note.get("run") if isinstance(note, dict) else None,
    }
