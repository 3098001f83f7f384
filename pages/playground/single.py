"""One model, one prompt: settings, streaming, the token map and the microscope."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import gradio as gr

from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.lab import Lab
from genai_lab.services import generation, microscope, models, presets
from genai_lab.starter.examples import examples
from pages.components.errors import PRIVATE, guarded, notice
from pages.components.forms import read_settings, settings_form, show_settings
from pages.components.opening import fills, number_of, on_open
from pages.components.plots import microscope_figure
from pages.components.stats import stat_row
from pages.components.tokenmap import full_value, token_map
from pages.playground import chat, share
from pages.playground.streaming import FIGURES, blank, loading, shown_run, streamed

# As the form draws them: what stands under "More settings" comes last.
NAMES = [item.name for item in sorted(fields(Sampling), key=lambda item: bool(item.metadata.get("more")))]
NO_EFFECT_WHEN_GREEDY = ("temperature", "top_k", "top_p", "min_p", "typical_p")
HOLLOW = {"run": None, "completion": 0, "index": 0}
KEYS = """
document.addEventListener('keydown', e => {
  if (!element.isConnected) return;
  const press = id => document.querySelector(id)?.click();
  if ((e.ctrlKey || e.metaKey) && e.key === 'Enter') { e.preventDefault(); press('#pg-run'); }
  if (e.key === 'Escape' && !document.querySelector('[role=listbox]')) press('#pg-stop');
}, true);
"""
Update = Any


@dataclass
class Parts:
    """The components that the other tabs read."""

    model: gr.Dropdown
    mode: gr.Radio
    prompt: gr.Textbox
    form: dict[str, Any]


def build(lab: Lab) -> Parts:
    state, cleared = gr.State(dict(HOLLOW)), gr.State("")
    draft = gr.BrowserState(None, storage_key="genai-lab-playground", secret="genai-lab")
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=290, elem_id="pg-settings"):
            model, mode, preset, name, save, drop = _chooser()
            talk = chat.Chat()
            form = settings_form(Sampling, prefix="pg")
        with gr.Column(scale=3, min_width=320):
            with gr.Row(elem_classes=["chips"], elem_id="pg-examples"):
                chips = [gr.Button(one.title, size="sm", scale=0, min_width=80) for one in examples()]
            prompt = gr.Textbox(
                label="Prompt",
                lines=5,
                max_lines=16,
                elem_id="pg-prompt",
                placeholder="Type a prompt, or try an example.",
            )
            run, stop, go_on, clear, undo = _buttons()
            talk.build_buttons()
            stats = stat_row(FIGURES, "Figures of this run", elem_id="pg-stats")
            talk.build_turns()
            which = gr.Radio([], label="Completion", visible=False, elem_id="pg-which")
            tokens = token_map(
                label="Completion",
                elem_id="pg-tokens",
                placeholder="Press Generate (Ctrl+Enter) to stream a completion.",
            )
            note = gr.Markdown("", elem_id="pg-note", elem_classes=["quiet"])
            share.build(lab, state)
            chart = gr.Plot(
                microscope_figure(None, "Generate, then click a token: what each filter did to its distribution."),
                label="Sampler microscope",
                elem_id="pg-microscope",
            )
    gr.HTML("", js_on_load=KEYS, visible=True, apply_default_css=False, elem_classes=["plain", "keys"])
    inputs = [model, mode, prompt, talk.system, talk.talk, *form.values()]
    shown = [tokens, stats, state, note, which]
    page = _Page(state, draft, inputs, shown, chart, [state, *form.values()])
    _wire_generation(lab, page, talk, run, stop, go_on, tokens)
    _wire_chat(lab, page, talk, mode, prompt, which)
    _wire_microscope(lab, page, form, tokens, which)
    _wire_settings(lab, page, model, mode, form, preset, name, save, drop)
    for chip, one in zip(chips, examples(), strict=True):
        fills(chip.click, use_example, inputs, lab, one).then(None, inputs, draft, js=_KEEP, **PRIVATE)
    clear.click(lambda text: ("", text, gr.update(visible=True)), prompt, [prompt, cleared, undo], **PRIVATE)
    undo.click(lambda text: (text, gr.update(visible=False)), cleared, [prompt, undo], **PRIVATE)
    on_open(opened, [*inputs, *shown, preset], lab, inputs=[draft]).then(
        guarded(look, lab), page.scope, chart, **PRIVATE
    )
    share.wire_replay(lab, state, [tokens, stats, state, note, which], chart, page.scope)
    return Parts(model, mode, prompt, form)


@dataclass
class _Page:
    state: gr.State
    draft: gr.BrowserState
    inputs: list[Any]
    shown: list[Any]
    chart: gr.Plot
    scope: list[Any]
    runs: list[Any] = field(default_factory=list)


_KEEP = "(...values) => JSON.stringify(values)"


def _chooser() -> tuple[Any, ...]:
    model = gr.Dropdown([], label="Model", elem_id="pg-model", interactive=True)
    mode = gr.Radio([], label="Mode", elem_id="pg-mode", interactive=True)
    preset = gr.Dropdown([], label="Preset", elem_id="pg-preset", interactive=True)
    with gr.Accordion("Own presets", open=False):
        name = gr.Textbox(label="Name", placeholder="my settings", elem_id="pg-preset-name", max_lines=1)
        with gr.Row():
            save = gr.Button("Save settings", size="sm", elem_id="pg-preset-save")
            drop = gr.Button("Delete preset", size="sm", elem_id="pg-preset-delete")
    return model, mode, preset, name, save, drop


def _buttons() -> tuple[gr.Button, ...]:
    with gr.Row(elem_classes=["actions"]):
        run = gr.Button("Generate", variant="primary", scale=0, min_width=110, elem_id="pg-run")
        stop = gr.Button("Stop", scale=0, min_width=80, elem_id="pg-stop")
        go_on = gr.Button("Continue", scale=0, min_width=90, elem_id="pg-continue")
        clear = gr.Button("Clear prompt", scale=0, min_width=110, elem_id="pg-clear")
        undo = gr.Button("Undo clear", scale=0, min_width=100, visible=False, elem_id="pg-undo")
    return run, stop, go_on, clear, undo


def _wire_chat(lab: Lab, page: _Page, talk: chat.Chat, mode: Any, prompt: Any, which: Any) -> None:
    kept = gr.State(chat.nothing())
    mode.change(chat.seen, mode, [talk.column, talk.row, talk.talk], queue=False, preprocess=False, **PRIVATE)
    for event in page.runs:
        event.then(guarded(chat.settled, lab), [page.state, prompt], [prompt, talk.talk], **PRIVATE)
    which.input(guarded(chat.settled, lab), [page.state, prompt], [prompt, talk.talk], **PRIVATE)
    talk.back.click(
        guarded(lambda now: (*chat.taken_back(now), *blank())), talk.talk, [prompt, talk.talk, *page.shown], **PRIVATE
    )
    talk.anew.click(
        lambda now: (chat.nothing(), *blank(), now, gr.update(visible=True)),
        talk.talk,
        [talk.talk, *page.shown, kept, talk.undo],
        **PRIVATE,
    )
    talk.undo.click(guarded(chat.undone, lab), kept, [talk.talk, *page.shown, talk.undo], **PRIVATE)


def _wire_generation(lab: Lab, page: _Page, talk: chat.Chat, run: Any, stop: Any, go_on: Any, tokens: Any) -> None:
    flow = {"concurrency_id": "generation", "concurrency_limit": 40, **PRIVATE}
    begun = run.click(guarded(generate, lab), page.inputs, [*page.shown, talk.talk], **flow)
    more = go_on.click(guarded(continue_run, lab), page.state, page.shown, **flow)
    branched = tokens.branch(guarded(branch, lab), page.state, page.shown, **flow)
    page.runs = [begun, more, branched]
    for event in page.runs:
        event.then(guarded(look, lab), page.scope, page.chart, **PRIVATE)
    stop.click(guarded(stop_run, lab), page.state, None, queue=False, **PRIVATE)


def _wire_microscope(lab: Lab, page: _Page, form: dict[str, Any], tokens: Any, which: Any) -> None:
    tokens.select(guarded(choose_token), page.state, page.state, queue=False, **PRIVATE).then(
        guarded(look, lab), page.scope, page.chart, queue=False, **PRIVATE
    )
    which.input(guarded(choose_completion, lab), [which, page.state], [tokens, page.state], **PRIVATE).then(
        guarded(look, lab), page.scope, page.chart, **PRIVATE
    )
    for name in (
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
        "repetition_penalty",
        "no_repeat_ngram",
        "greedy",
    ):
        form[name].change(
            guarded(look, lab), page.scope, page.chart, queue=False, trigger_mode="always_last", **PRIVATE
        )


def _wire_settings(
    lab: Lab, page: _Page, model: Any, mode: Any, form: dict[str, Any], preset: Any, name: Any, save: Any, drop: Any
) -> None:
    values = list(form.values())
    # The mode may be one of the model before, which Gradio's own check would refuse.
    model.change(guarded(modes_of, lab), [model, mode], mode, queue=False, preprocess=False, **PRIVATE)
    hindered = [form[one] for one in NO_EFFECT_WHEN_GREEDY]
    form["greedy"].change(greyed, form["greedy"], hindered, queue=False, **PRIVATE)
    preset.input(guarded(use_preset, lab), [preset, *values], values, queue=False, **PRIVATE)
    save.click(guarded(save_preset, lab), [name, *values], [preset, name], **PRIVATE)
    drop.click(guarded(delete_preset, lab), preset, preset, **PRIVATE)
    for one in page.inputs:
        one.change(None, page.inputs, page.draft, js=_KEEP, queue=False, **PRIVATE)


def generate(
    lab: Lab, model: str, mode: str, prompt: str, system: str, talk: dict[str, Any], *values: Any
) -> Iterator[Sequence[Update]]:
    sampling = read_settings(Sampling, NAMES, values)
    made = chat.prompt_of(lab, _needed(model), mode, prompt or "", system, talk or chat.nothing())
    if models.show(lab, model).status == "ready":
        yield [*loading(model), talk]
    live = generation.start(lab, model, made, sampling)
    talk = chat.sent(made, talk, live.run_id)
    for update in streamed(lab, live):
        yield [*update, talk]


def continue_run(lab: Lab, state: dict[str, Any]) -> Iterator[Sequence[Update]]:
    """Goes on where the shown completion ended, with the same settings."""
    view = _shown(lab, state)
    ids = [token.id for token in view.completions[state["completion"]].tokens]
    yield from _from_prefix(lab, view, [*view.prompt.prefix, *ids])


def branch(lab: Lab, state: dict[str, Any], event: gr.EventData) -> Iterator[Sequence[Update]]:
    """Takes the alternative at its place and goes on from there."""
    view = _shown(lab, state)
    before = [token.id for token in view.completions[int(event.completion)].tokens[: int(event.index)]]
    yield from _from_prefix(lab, view, [*view.prompt.prefix, *before, int(event.token)])


def _from_prefix(lab: Lab, view: generation.RunView, ids: list[Any]) -> Iterator[Sequence[Update]]:
    from dataclasses import replace

    if any(token is None for token in ids):
        raise LabError("An endpoint cannot go on from given tokens; choose a local model.")
    prompt = replace(view.prompt, prefix=tuple(ids))
    sampling = replace(view.sampling, num_completions=1, beams=1)
    live = generation.start(lab, view.model, prompt, sampling, parent_run_id=view.id)
    before = generation.prefix_text(lab, generation.run(lab, live.run_id))
    yield from streamed(lab, live, before)


def stop_run(lab: Lab, state: dict[str, Any]) -> None:
    generation.cancel(lab, state.get("run"))


def look(lab: Lab, state: dict[str, Any], *values: Any) -> Update:
    """The microscope's chart for the chosen token under the sliders as they stand."""
    if not state.get("run"):
        return gr.skip()
    sampling = read_settings(Sampling, NAMES, values)
    try:
        view = microscope.microscope(lab, state["run"], state["completion"], state["index"], sampling)
    except LabError as problem:
        return microscope_figure(None, str(problem))
    return microscope_figure(view)


def choose_token(state: dict[str, Any], event: gr.EventData) -> dict[str, Any]:
    return {**state, "completion": int(event.completion), "index": int(event.index)}


def choose_completion(lab: Lab, number: str, state: dict[str, Any]) -> tuple[Update, dict[str, Any]]:
    view = _shown(lab, state)
    place = int(number) - 1
    chosen = view.completions[place]
    before = generation.prefix_text(lab, view)
    return full_value(chosen.tokens, completion=place, before=before), {**state, "completion": place, "index": 0}


def modes_of(lab: Lab, model: str, mode: str) -> Update:
    if not model:
        return gr.skip()
    known = models.show(lab, model).card.modes
    return gr.update(choices=list(known), value=mode if mode in known else known[0] if known else None)


def greyed(greedy: bool) -> list[Update]:
    return [gr.update(interactive=not greedy) for _ in NO_EFFECT_WHEN_GREEDY]


def use_preset(lab: Lab, name: str, *values: Any) -> list[Any]:
    """The preset's settings; length, seed, stop strings and number of completions stay as they are."""
    from dataclasses import replace

    now = read_settings(Sampling, NAMES, values)
    chosen = presets.presets(lab)[name].sampling
    kept = {one: getattr(now, one) for one in ("max_new_tokens", "seed", "stop", "num_completions")}
    return show_settings(replace(chosen, **kept), NAMES)


def save_preset(lab: Lab, name: str, *values: Any) -> tuple[Update, str]:
    presets.save_preset(lab, name or "", read_settings(Sampling, NAMES, values))
    notice(f"Saved the preset {name.strip()}.")
    return gr.update(choices=list(presets.presets(lab)), value=name.strip()), ""


def delete_preset(lab: Lab, name: str | None) -> Update:
    presets.delete_preset(lab, name or "")
    return gr.update(choices=list(presets.presets(lab)), value=None)


def use_example(lab: Lab, one: Any) -> list[Update]:
    card = models.show(lab, one.model).card
    modes = gr.update(choices=list(card.modes), value=one.mode)
    fresh = ("", chat.nothing()) if one.mode == "chat" else (gr.skip(), gr.skip())
    return [one.model, modes, one.prompt, *fresh, *show_settings(Sampling.from_dict(one.settings), NAMES)]


def opened(lab: Lab, draft: str | None, request: gr.Request) -> list[Update]:
    """What the address asks for (?run=, ?model=), else the draft, else the first model."""
    import json

    names = [view.card.name for view in models.catalogue(lab) if view.card.modes and view.status != "training"]
    chosen = gr.update(choices=list(presets.presets(lab)), value=None)
    asked = dict(request.query_params)
    if (run := number_of(asked.get("run"))) is not None:
        return [*_restored(lab, names, run), chosen]
    kept = json.loads(draft) if draft else []
    if not isinstance(kept, list) or len(kept) != 5 + len(NAMES):
        kept = [None, None, "", "", chat.nothing(), *_defaults()]
    model = asked.get("model") if asked.get("model") in names else kept[0] if kept[0] in names else None
    model = model or (names[0] if names else None)
    modes = modes_of(lab, model, kept[1]) if model else gr.skip()
    prompt, talk, last = kept[2], kept[4] or chat.nothing(), None
    if kept[1] == "chat":
        prompt, talk, last = chat.resumed(lab, prompt, talk)
    shown = shown_run(lab, last) if last else [gr.skip()] * 5
    return [gr.update(choices=names, value=model), modes, prompt, kept[3], talk, *kept[5:], *shown, chosen]


def _restored(lab: Lab, names: list[str], run_id: int) -> list[Update]:
    view = generation.run(lab, run_id)
    known = [*names, *([] if view.model in names else [view.model])]
    modes = gr.update(choices=list(models.show(lab, view.model).card.modes), value=view.mode)
    settings = show_settings(view.sampling, NAMES)
    talk = chat.restored(lab, view)
    return [
        gr.update(choices=known, value=view.model),
        modes,
        view.prompt.text,
        *talk,
        *settings,
        *shown_run(lab, view),
    ]


def _defaults() -> list[Any]:
    return show_settings(Sampling(), NAMES)


def _needed(model: str | None) -> str:
    if not model:
        raise LabError("No model is chosen; add one on the Models page.")
    return model


def _shown(lab: Lab, state: dict[str, Any]) -> generation.RunView:
    if not state.get("run"):
        raise LabError("Nothing has been generated yet; press Generate first.")
    view = generation.run(lab, state["run"])
    if not view.completions:
        raise LabError("This run has no completion to go on from; press Generate.")
    return view
