"""One model, one prompt: settings, streaming, the token map and the microscope."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.models import Prompt
from genai_lab.services import generation, models, presets
from pages.components.errors import PRIVATE, guarded
from pages.components.head import PLAIN, drawn
from pages.components.opening import fills, number_of, on_open
from pages.components.plots import microscope_figure
from pages.components.settings_form import settings_form, show_settings
from pages.components.stats import stat_row
from pages.components.tokenmap import token_map
from pages.playground import chat, examples, running, settings, share
from pages.playground.settings import NAMES
from pages.playground.streaming import FIGURES, NO_NOTE, shown_run

DRAFT, SECRET = "genai-lab-playground", "genai-lab"  # where the browser keeps what stands on the page
HOLLOW = {"run": None, "completion": 0, "index": 0}
KEEP = "(...values) => JSON.stringify(values)"
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
LOOKED_AT = (
    "temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "no_repeat_ngram_size", "greedy",
)  # fmt: skip
Update = Any


@dataclass
class Parts:
    """The components that the other tabs read; `question` gives what `chat.asked_again` takes."""

    model: gr.Dropdown
    mode: gr.Radio
    prompt: gr.Textbox
    system: gr.Textbox
    talk: gr.HTML
    form: dict[str, Any]

    @property
    def question(self) -> list[Any]:
        return [self.model, self.mode, self.prompt, self.system, self.talk]


@dataclass
class _Page:
    """What the handlers share: `inputs` make a run, `shown` shows one, `scope` is read by the microscope."""

    state: gr.State
    draft: gr.BrowserState
    inputs: list[Any]
    shown: list[Any]
    note: gr.HTML
    chart: gr.Plot
    scope: list[Any]
    runs: list[Any] = field(default_factory=list)


def build(lab: LabContext) -> Parts:
    state = gr.State(dict(HOLLOW))
    draft = gr.BrowserState(None, storage_key=DRAFT, secret=SECRET)
    with gr.Row(equal_height=False, elem_id="pg-single"):
        with gr.Column(scale=1, min_width=290, elem_id="pg-settings"):
            chooser = settings.build()
            talk = chat.Chat()
            form = settings_form(Sampling, prefix="pg")
        with gr.Column(scale=3, min_width=320, elem_id="pg-main"):
            chips = examples.build()
            with gr.Column(elem_id="pg-ask"):
                prompt = _prompt()
                buttons = _buttons(talk)
            stats = stat_row(FIGURES, "Figures of this run", elem_id="pg-stats")
            with gr.Column(elem_id="pg-answer"), gr.Column():
                talk.build_turns()
                which = gr.Radio([], label="Completion", visible=False, elem_id="pg-which")
                tokens = token_map(
                    label="Completion",
                    elem_id="pg-tokens",
                    placeholder="Press Generate (Ctrl+Enter) to stream a completion.",
                )
                note = drawn(
                    dict(NO_NOTE), html_template=NOTE, js_on_load=NOTE_SCRIPT, elem_classes=PLAIN, elem_id="pg-note"
                )
            share.build(lab, state)
            chart = gr.Plot(
                microscope_figure(None, "Generate, then click a token: what each filter did to its distribution."),
                label="Sampler microscope",
                elem_id="pg-microscope",
            )
    gr.HTML("", js_on_load=KEYS, visible=True, apply_default_css=False, elem_classes=["plain", "keys"])
    inputs = [chooser.model, chooser.mode, prompt, talk.system, talk.talk, *form.values()]
    shown = [tokens, stats, state, note, which]
    page = _Page(state, draft, inputs, shown, note, chart, [state, *form.values()])
    _wire_generation(lab, page, talk, chooser.mode, prompt, buttons, tokens)
    _wire_chat(lab, page, talk, chooser, prompt, buttons, which, chips)
    _wire_microscope(lab, page, form, tokens, which)
    settings.wire(lab, chooser, form)
    kept: list[Any] = [*inputs, note]
    for one in kept:
        one.change(None, kept, draft, js=KEEP, queue=False, **PRIVATE)
    for chip, one in zip(chips.buttons, examples.all_examples(), strict=True):
        fills(chip.click, examples.use_example, [*inputs, chooser.origin], lab, one).then(
            None, kept, draft, js=KEEP, **PRIVATE
        )
    outputs = [*inputs, chooser.origin, *shown, chooser.preset]
    on_open(opened, outputs, lab, inputs=[draft]).then(guarded(running.look, lab), page.scope, chart, **PRIVATE)
    share.wire_replay(lab, state, shown, chart, page.scope)
    return Parts(chooser.model, chooser.mode, prompt, talk.system, talk.talk, form)


def _prompt() -> gr.Textbox:
    return gr.Textbox(
        label="Prompt",
        lines=5,
        max_lines=16,
        elem_id="pg-prompt",
        placeholder="Type a prompt, or try an example.",
    )


@dataclass
class _Buttons:
    run: gr.Button
    stop: gr.Button
    go_on: gr.Button
    clear: gr.Button
    undo: gr.Button


def _buttons(talk: chat.Chat) -> _Buttons:
    with gr.Row(elem_classes=["actions"]):
        run = gr.Button("Generate", variant="primary", scale=0, min_width=110, elem_id="pg-run")
        stop = gr.Button("Stop", scale=0, min_width=80, elem_id="pg-stop")
        go_on = gr.Button("Continue", scale=0, min_width=90, elem_id="pg-continue")
        talk.build_buttons()
        clear = gr.Button("Clear prompt", scale=0, min_width=110, elem_id="pg-clear")
        undo = gr.Button("Undo clear", scale=0, min_width=100, visible=False, elem_id="pg-undo")
    return _Buttons(run, stop, go_on, clear, undo)


def _wire_generation(
    lab: LabContext, page: _Page, talk: chat.Chat, mode: Any, prompt: Any, buttons: _Buttons, tokens: Any
) -> None:
    flow = {"concurrency_id": "generation", "concurrency_limit": 40, **PRIVATE}
    sending = gr.Textbox("", visible="hidden", show_label=False, container=False, elem_id="pg-sending")
    asked = [sending if one is prompt else one for one in page.inputs]
    posted = buttons.run.click(None, [mode, prompt], [prompt, sending], js=chat.SEND, queue=False, **PRIVATE)
    begun = posted.then(guarded(running.generate, lab), asked, [*page.shown, talk.talk], **flow)
    begun.failure(None, [prompt, sending], prompt, js=chat.RETURN, queue=False, **PRIVATE)
    more = buttons.go_on.click(guarded(running.continue_run, lab), page.state, page.shown, **flow)
    branched = tokens.branch(guarded(running.branch, lab), page.state, page.shown, **flow)
    page.runs = [begun, more, branched]
    for event in page.runs:
        event.then(guarded(running.look, lab), page.scope, page.chart, **PRIVATE)
    buttons.stop.click(guarded(running.stop_run, lab), page.state, None, queue=False, **PRIVATE)


def _wire_chat(
    lab: LabContext,
    page: _Page,
    talk: chat.Chat,
    chooser: settings.Chooser,
    prompt: Any,
    buttons: _Buttons,
    which: Any,
    chips: examples.Chips,
) -> None:
    before, cleared = gr.State(chat.nothing()), gr.State("")
    changed = [talk.column, talk.turns, talk.back, talk.anew, prompt, buttons.run, buttons.clear, page.shown[0]]
    # The mode may be one of the model before, which Gradio's own check would refuse.
    plain = {"queue": False, "preprocess": False, **PRIVATE}
    chooser.mode.change(chat.switched, chooser.mode, changed, **plain)
    chooser.mode.input(guarded(chat.chosen, lab), [chooser.mode, talk.talk], page.shown, **PRIVATE)
    for one in (chooser.model, chooser.mode):
        one.change(examples.suited, [chooser.model, chooser.mode], chips.buttons, **plain)
    for event in page.runs:
        event.then(guarded(chat.settled, lab), [page.state, prompt], [prompt, talk.talk], **PRIVATE)
    which.input(guarded(chat.settled, lab), [page.state, prompt], [prompt, talk.talk], **PRIVATE)
    talk.back.click(guarded(chat.take_back), talk.talk, [prompt, talk.talk, *page.shown], **PRIVATE)
    talk.anew.click(chat.begin_anew, talk.talk, [talk.talk, *page.shown, before, talk.undo], **PRIVATE)
    talk.undo.click(guarded(chat.undone, lab), before, [talk.talk, *page.shown, talk.undo], **PRIVATE)
    buttons.clear.click(clear_prompt, prompt, [prompt, cleared, buttons.undo], **PRIVATE)
    buttons.undo.click(undo_clear, cleared, [prompt, buttons.undo], **PRIVATE)


def _wire_microscope(lab: LabContext, page: _Page, form: dict[str, Any], tokens: Any, which: Any) -> None:
    look = guarded(running.look, lab)
    tokens.select(guarded(running.choose_token), page.state, page.state, queue=False, **PRIVATE).then(
        look, page.scope, page.chart, queue=False, **PRIVATE
    )
    which.input(guarded(running.choose_completion, lab), [which, page.state], [tokens, page.state], **PRIVATE).then(
        look, page.scope, page.chart, **PRIVATE
    )
    for name in LOOKED_AT:
        form[name].change(look, page.scope, page.chart, queue=False, trigger_mode="always_last", **PRIVATE)


def clear_prompt(text: str) -> tuple[str, str, Update]:
    return "", text, gr.update(visible=True)


def undo_clear(text: str) -> tuple[str, Update]:
    return text, gr.update(visible=False)


@dataclass(frozen=True)
class _Draft:
    """What the browser kept: the inputs as they were left, and the run that was shown beside them."""

    model: str | None
    mode: str | None
    prompt: str
    system: str
    talk: dict[str, Any]
    settings: list[Any]
    run: int | None


def opened(lab: LabContext, draft: str | None, request: gr.Request) -> Sequence[Update]:
    """What the address asks for (?run=, ?model=, ?example=), else the draft, else the first model.

    A draft that goes with the run of the address is the same work, taken up again. Its settings stay with its model.
    """
    names = [view.card.name for view in models.catalogue(lab) if view.card.modes and view.status != "training"]
    chosen = gr.update(choices=list(presets.presets(lab)), value=None)
    asked, kept = dict(request.query_params), _kept(draft)
    run = number_of(asked.get("run"))
    if run is not None and (kept is None or kept.run != run):
        return [*_restored(lab, names, run), chosen]
    example = examples.named(lab, asked.get("example"))
    if example is not None:
        model, *rest = examples.use_example(lab, example)
        return [gr.update(choices=names, value=model), *rest, *[gr.skip()] * 5, chosen]
    return [*_taken_up(lab, names, asked.get("model"), kept, run), chosen]


def _taken_up(
    lab: LabContext, names: list[str], wanted: str | None, kept: _Draft | None, run: int | None
) -> list[Update]:
    """The draft, or an empty page; with the model that is asked for."""
    kept = kept or _Draft(None, None, "", "", chat.nothing(), [], None)
    model = next((one for one in (wanted, kept.model, *names) if one in names), None)
    same = bool(kept.settings) and model == kept.model
    values, origin = kept.settings, "Settings: as you left them."
    if not same:
        own, origin = settings.generation_settings(lab, model, None) if model else (Sampling(), "")
        values = show_settings(own, NAMES)
    modes = settings.modes_of(lab, model, kept.mode if same else None) if model else gr.skip()
    prompt, talk = kept.prompt, kept.talk
    last = generation.run(lab, run) if run is not None else None
    if kept.mode == "chat":
        prompt, talk, last = chat.resumed(lab, prompt, talk)
    shown = shown_run(lab, last) if last else [gr.skip()] * 5
    return [gr.update(choices=names, value=model), modes, prompt, kept.system, talk, *values, origin, *shown]


def _restored(lab: LabContext, names: list[str], run_id: int) -> list[Update]:
    view = generation.run(lab, run_id)
    known = [*names, *([] if view.model in names else [view.model])]
    prompt, (system, talk) = view.prompt.text, chat.restored(lab, view)
    if talk["messages"] and not view.completions:  # a message without an answer is asked again
        prompt, talk = chat.taken_back(talk)
    return [
        gr.update(choices=known, value=view.model),
        settings.modes_of(lab, view.model, view.mode),
        prompt,
        system,
        talk,
        *show_settings(view.sampling, NAMES),
        f"Settings: those of run {run_id}.",
        *shown_run(lab, view),
    ]


def draft_of(model: str, prompt: Prompt, sampling: Sampling) -> str:
    """A prompt as the page's draft, for other pages that open it here."""
    system = next((one["content"] for one in prompt.messages if one["role"] == "system"), "")
    turns = [one for one in prompt.messages if one["role"] != "system"]
    last = turns.pop()["content"] if turns else prompt.text
    talk = {"messages": turns, "last": "", "run": None}
    return json.dumps([model, prompt.mode, last, system, talk, *show_settings(sampling, NAMES), NO_NOTE])


def _kept(draft: str | None) -> _Draft | None:
    """The draft, None for one of another shape."""
    try:
        values = json.loads(draft) if draft else None
    except ValueError:
        return None
    if not isinstance(values, list) or len(values) != 6 + len(NAMES):
        return None
    model, mode, prompt, system, talk, *own, note = values
    run = note.get("run") if isinstance(note, dict) else None
    talk = talk if isinstance(talk, dict) and isinstance(talk.get("messages"), list) else chat.nothing()
    return _Draft(model, mode, prompt or "", system or "", talk, own, run)
