"""Up to four models or settings on one prompt, run together, with the differences marked."""

import html
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Delta, Sampling
from genai_lab.errors import LabError
from genai_lab.services import generation, models
from pages.components.copying import copy_computed
from pages.components.errors import INTERNAL
from pages.components.forms import Form, Updates, Values, in_section, section
from pages.components.head import PLAIN
from pages.components.scoring import score_row
from pages.components.sending import send_to_ranking
from pages.components.settings_inputs import draw_settings, read_settings, setting_label, write_settings
from pages.components.stats import seconds_text
from pages.components.tokenmap import TokenStream, full_value, token_map
from pages.playground import chat, settings
from pages.playground.share import origin
from pages.playground.single import QUESTION
from pages.playground.streaming import load_with_updates, notes_of, pause

MAX_PANELS = 4
PANELS = tuple(f"panel{n}" for n in range(1, MAX_PANELS + 1))
SETTINGS = ("greedy", "temperature", "top_k", "top_p", "max_new_tokens", "seed")
VARIATIONS: tuple[dict[str, Any], ...] = (
    {"temperature": 0.2},
    {"temperature": 0.8},
    {"temperature": 1.2},
    {"greedy": True},
)
FIRST_PROMPT = "Once upon a time there was a small"
INPUTS = [f"{panel}.{name}" for panel in PANELS for name in ("model", "mode", "system", *SETTINGS)]
OUTPUTS = [f"{panel}.{name}" for panel in PANELS for name in ("tokens", "note")]
MARKED = [name for name in INPUTS if not name.endswith(".system")]
COLUMNS = [f"{panel}.column" for panel in PANELS]
SINGLE = "single"  # the section that holds what the Single tab asks
ADDRESS = "(group) => { if (group) history.replaceState(null, '', `/?group=${group}`); return group; }"
# A line at the left of every setting that differs from the first panel's.
MARK_SCRIPT = """(...values) => {
  const names = NAMES, all = Object.fromEntries(names.map((name, i) => [name, values[i]]));
  for (const name of names) {
    const [panel, field] = name.split('.');
    const node = document.getElementById(`cmp-${panel.slice(5)}-${field.replaceAll('_', '-')}`);
    if (!node) continue;
    const differs = panel !== 'panel1' && field !== 'seed' && all[name] !== all[`panel1.${field}`];
    node.toggleAttribute('data-differs', differs);
    if (differs) node.style.setProperty('border-left', '3px solid var(--color-accent)', 'important');
    else node.style.removeProperty('border-left');
  }
}"""
Update = Any


def build(lab: LabContext, single: Form, tabs: gr.Tabs, tab: gr.Tab) -> None:
    form = Form(conversation=chat.conversation_view("cmp-talk"), tabs=tabs)
    prompt = gr.Textbox(label="Prompt", lines=3, elem_id="cmp-prompt", placeholder="The same prompt for every panel.")
    form.add(prompt=prompt, **_actions())
    form.add(runs=gr.State([]), filled=gr.State(False))
    form.add(address=gr.Textbox("", visible="hidden", show_label=False, container=False))
    with gr.Row(equal_height=False):
        for n, panel in enumerate(PANELS, 1):
            form.add(in_section(_panel(n), panel))
    score_row(lab, run_ids_of, form["runs"], "cmp")
    for panel in PANELS:
        _wire_panel(lab, form, panel)
    form.on(form["panels"].change, on_panels_change, inputs=["panels"], outputs=COLUMNS)
    for event in (form["run"].click, prompt.submit):
        run = form.on(
            event,
            compare,
            lab,
            inputs=["prompt", "conversation", "panels", *INPUTS],
            outputs=["runs", *OUTPUTS],
            concurrency_id="generation",
        )
        group = form.on(run.success, group_of, lab, inputs=["runs"], outputs=["address"])
        group.then(None, form["address"], None, js=ADDRESS, **INTERNAL)
    form.on(form["stop"].click, stop_all, lab, inputs=["runs"], queue=False)
    _wire_single(lab, form, single, tab)
    copy_computed(form["link"], group_link, [form["runs"]], lab)
    send_to_ranking(form["rank"], run_list, [form["runs"]])
    mark = MARK_SCRIPT.replace("NAMES", json.dumps(MARKED))
    marked = form.pick(MARKED)
    outputs = ["tabs", "runs", "prompt", "conversation", "panels", *INPUTS, *COLUMNS, *OUTPUTS]
    form.on_load(load_page, lab, outputs=outputs).then(None, marked, None, js=mark, **INTERNAL)
    for component in marked:
        component.change(None, marked, None, js=mark, queue=False, **INTERNAL)


def _actions() -> dict[str, Any]:
    with gr.Row(elem_classes=["actions"]):
        return {
            "run": gr.Button("Run together", variant="primary", scale=0, min_width=120, elem_id="cmp-run"),
            "stop": gr.Button("Stop", scale=0, min_width=80, elem_id="cmp-stop"),
            "copy_single": gr.Button("Copy from Single", scale=0, min_width=140, elem_id="cmp-take"),
            "link": gr.Button("Copy link", scale=0, min_width=90, elem_id="cmp-link"),
            "rank": gr.Button("Send to ranking", scale=0, min_width=130, elem_id="cmp-rank"),
            "panels": gr.Radio(["2", "3", "4"], value="2", label="Panels", elem_id="cmp-panels", container=False),
        }


def _panel(n: int) -> dict[str, Any]:
    prefix = f"cmp-{n}"
    with gr.Column(min_width=260, visible=n <= 2) as column:
        model = gr.Dropdown([], label=f"Model {n}", elem_id=f"{prefix}-model", interactive=True)
        mode = gr.Radio([], label="Mode", elem_id=f"{prefix}-mode", interactive=True)
        note = gr.HTML(_line(""), apply_default_css=False, elem_classes=PLAIN, elem_id=f"{prefix}-note")
        tokens = token_map(label=f"Completion {n}", elem_id=f"{prefix}-tokens", placeholder="Press Run together.")
        system = chat.system_box(f"{prefix}-system", visible=False)
        inputs = draw_settings(Sampling, SETTINGS, prefix=prefix, more="")
    return {
        "column": column,
        "model": model,
        "mode": mode,
        "note": note,
        "tokens": tokens,
        "system": system,
        **inputs,
    }


def _wire_panel(lab: LabContext, form: Form, panel: str) -> None:
    panel_form = Form()
    panel_form.add({name: form[f"{panel}.{name}"] for name in ("model", "mode", "system")})
    panel_form.on(panel_form["model"].input, on_model, lab, inputs=["model"], outputs=["mode"], queue=False)
    panel_form.on(
        panel_form["mode"].change, on_mode, inputs=["mode"], outputs=["system"], queue=False, preprocess=False
    )


def _wire_single(lab: LabContext, form: Form, single: Form, tab: gr.Tab) -> None:
    """The first look brings what stands in Single; later ones leave the comparison as it is."""
    names = form.include(single, [*QUESTION, *settings.SETTINGS], section=SINGLE)
    outputs = ["prompt", "conversation", *INPUTS, "filled"]
    form.on(form["copy_single"].click, copy_single, lab, inputs=names, outputs=outputs)
    form.fill(tab.select, on_tab_select, lab, inputs=["filled", "runs", "prompt", *names], outputs=outputs)


def on_panels_change(values: Values) -> Updates:
    return _columns(values["panels"])


def _columns(panels: str) -> Updates:
    return {name: gr.update(visible=n < int(panels)) for n, name in enumerate(COLUMNS)}


def on_model(lab: LabContext, values: Values) -> Updates:
    return {"mode": settings.modes_of(lab, values["model"], None)}


def on_mode(values: Values) -> Updates:
    return {"system": gr.update(visible=values["mode"] == "chat")}


def on_tab_select(lab: LabContext, values: Values) -> Updates:
    """What Single holds, where nothing has been compared or typed yet."""
    if values["filled"] or values["runs"] or (values["prompt"] or "").strip():
        return {}
    return copy_single(lab, values)


def copy_single(lab: LabContext, values: Values) -> Updates:
    """Single's prompt and conversation; its model against another one, or against itself at another temperature."""
    single = section(values, SINGLE)
    names, mode = _model_names(lab), single["mode"]
    model = single["model"] if single["model"] in names else next(iter(names), None)
    text, conversation = (single["prompt"] or "").strip(), single["conversation"] or chat.empty_conversation()
    if mode == "chat":
        if not text and conversation["messages"]:
            text, conversation = chat.pop_message(conversation)
        conversation = {**chat.empty_conversation(), "messages": chat.messages_of(conversation)}
    else:
        conversation = chat.empty_conversation()
    other = _another_model(lab, names, model, mode)
    base = read_settings(Sampling, single)
    updates: Updates = {"prompt": text or FIRST_PROMPT, "conversation": conversation, "filled": True}
    for n, panel in enumerate(PANELS):
        panel_model = other if n == 1 else model
        sampling = base if n < 2 else replace(base, **{"temperature": 0.8, "greedy": False, **VARIATIONS[n]})
        if n == 1 and other == model:
            sampling = replace(base, greedy=False, temperature=1.2 if base.temperature < 1 else 0.5)
        panel_values = {
            "model": gr.update(choices=names, value=panel_model),
            "mode": settings.modes_of(lab, panel_model, mode if panel_model == model else None),
            "system": single["system"] or "",
            **write_settings(sampling, SETTINGS),
        }
        updates |= in_section(panel_values, panel)
    return updates


def compare(lab: LabContext, values: Values) -> Iterator[Updates]:
    """Streams every panel; the notes say what differs from the first one, then how it went.

    Panels whose seed is empty share one drawn seed, so that only their settings tell them apart.
    """
    requests = _requests(lab, values)
    panels = PANELS[: len(requests)]
    for model in dict.fromkeys(request.model for request in requests):
        for updates in load_with_updates(lab, model):
            yield {f"{panel}.tokens": updates["tokens"] for panel in panels}
    lives = generation.start_many(lab, requests)
    streams = [TokenStream() for _ in lives]
    pending: list[list[Any]] = [[] for _ in lives]
    first: Updates = {"runs": [live.run_id for live in lives]}
    for panel, stream, request in zip(panels, streams, requests, strict=True):
        first |= {f"{panel}.tokens": stream.full(), f"{panel}.note": _line(differences(requests[0], request))}
    yield first
    last = 0.0
    for index, event in generation.merge_streams(lives):
        if isinstance(event, Delta):
            pending[index] += event.tokens
        now = time.monotonic()
        if now - last < pause(lab) and isinstance(event, Delta):
            continue
        last = now
        changed: Updates = {}
        for i, stream in enumerate(streams):
            if pending[i]:
                changed[f"{panels[i]}.tokens"] = stream.push(pending[i])
            pending[i] = []
        if isinstance(event, LabError):
            changed[f"{panels[index]}.note"] = _line(str(event))
        elif event is None:
            changed[f"{panels[index]}.tokens"] = streams[index].full()
            difference = differences(requests[0], requests[index])
            changed[f"{panels[index]}.note"] = _line(difference, _ending(lives[index]))
        yield changed


def _requests(lab: LabContext, values: Values) -> list[generation.GenerationSpec]:
    requests, seed = [], Sampling().seeded().seed
    conversation = values["conversation"] or chat.empty_conversation()
    for n in range(int(values["panels"])):
        panel = section(values, PANELS[n])
        if not panel["model"]:
            raise LabError(f"Panel {n + 1} has no model; choose one.")
        prompt = chat.prompt_of(lab, panel["model"], panel["mode"], values["prompt"], panel["system"], conversation)
        sampling = read_settings(Sampling, panel)
        if sampling.seed is None:
            sampling = replace(sampling, seed=seed)
        requests.append(generation.GenerationSpec(panel["model"], prompt, sampling))
    return requests


def differences(first: generation.GenerationSpec, other: generation.GenerationSpec) -> str:
    """What this panel has otherwise than the first, in words."""
    if first is other:
        return "base of the comparison"
    now, base = other.sampling.as_dict(), first.sampling.as_dict()
    parts = [] if first.model == other.model else [f"model {other.model}"]
    parts += [] if first.prompt.mode == other.prompt.mode else [f"mode {other.prompt.mode}"]
    parts += [] if chat.system_of(first.prompt) == chat.system_of(other.prompt) else ["another system prompt"]
    changed = [name for name in SETTINGS if now[name] != base[name] and name != "seed"]
    parts += [f"{setting_label(Sampling, name)} {now[name]}" for name in changed]
    return ", ".join(parts) or "no difference"


def stop_all(lab: LabContext, values: Values) -> None:
    for run_id in values["runs"]:
        generation.cancel(lab, run_id)


def group_link(lab: LabContext, run_ids: list[int], request: gr.Request) -> str:
    return f"{origin(request)}/?group={generation.run(lab, run_ids_of(run_ids)[0]).group}"


def run_ids_of(run_ids: list[int]) -> list[int]:
    """The runs of the comparison; raises LabError where there are none."""
    if not run_ids:
        raise LabError("Nothing has been compared yet; press Run together first.")
    return run_ids


def run_list(run_ids: list[int]) -> str:
    return ",".join(map(str, run_ids_of(run_ids)))


def group_of(lab: LabContext, values: Values) -> Updates:
    run_ids = values["runs"]
    return {"address": str(generation.run(lab, run_ids[0]).group or "") if run_ids else ""}


def load_page(lab: LabContext, request: gr.Request) -> Updates:
    """The comparison that the address asks for (?group=), else panels ready to be used."""
    names = _model_names(lab)
    group = request.query_params.get("group", "")
    views = generation.group_runs(lab, group) if group else []
    if len(views) > MAX_PANELS:
        gr.Info(f"{len(views)} runs were started together; the first {MAX_PANELS} are shown.", title="Partly loaded")
        views = views[:MAX_PANELS]
    panels = str(max(2, len(views)))
    updates: Updates = {"runs": [view.id for view in views], **_columns(panels)}
    if views:
        conversation = {**chat.empty_conversation(), "messages": _messages_before(views)}
        updates |= {"tabs": gr.update(selected="compare"), "panels": panels}
        updates |= {"prompt": views[0].prompt.last_text, "conversation": conversation}
    for n, panel in enumerate(PANELS):
        view = views[n] if n < len(views) else None
        updates |= in_section(_panel_updates(lab, names, n, view), panel)
        if view is not None:
            note = _line(*_recorded_note(views[0], view))
            updates |= in_section({"tokens": _recorded_tokens(lab, view), "note": note}, panel)
    return updates


def _panel_updates(lab: LabContext, names: list[str], n: int, view: generation.RunView | None) -> Updates:
    choices = [*names, *([view.model] if view and view.model not in names else [])]
    model = view.model if view else names[min(n % 2, len(names) - 1)] if names else None
    return {
        "model": gr.update(choices=choices, value=model),
        "mode": settings.modes_of(lab, model, view.mode if view else None),
        "system": chat.system_of(view.prompt) if view else "",
        **write_settings(view.sampling if view else replace(Sampling(), **VARIATIONS[n]), SETTINGS),
    }


def _messages_before(views: Sequence[generation.RunView]) -> list[dict[str, str]]:
    """The conversation before the message that the panels share."""
    chatting = next((view for view in views if view.mode == "chat"), None)
    return [message for message in chatting.prompt.messages if message["role"] != "system"][:-1] if chatting else []


def _another_model(lab: LabContext, names: Sequence[str], model: str | None, mode: str | None) -> str | None:
    """A model to set beside `model`: one that reads the prompt in the same mode, else any other, else itself."""
    others = [name for name in names if name != model]
    same_mode = (name for name in others if mode in models.show(lab, name).card.modes)
    return next(same_mode, others[0] if others else model)


def _model_names(lab: LabContext) -> list[str]:
    return [view.card.name for view in models.catalogue(lab) if view.card.modes and view.status != "training"]


def _recorded_tokens(lab: LabContext, view: generation.RunView) -> dict[str, Any]:
    tokens = view.completions[0].tokens if view.completions else ()
    return full_value(tokens, before=generation.prefix_text(lab, view))


def _recorded_note(first: generation.RunView, view: generation.RunView) -> tuple[str, str]:
    """(what differs from the first run, how this one went)."""
    base, request = (generation.GenerationSpec(run.model, run.prompt, run.sampling) for run in (first, view))
    completions = view.completions
    ending = f"ended by {completions[0].finish_reason}" if completions else view.error or view.status
    difference = differences(base, base if view is first else request)
    tokens = sum(len(completion.tokens) for completion in completions)
    summary = f"run {view.id}, {tokens} tokens, seed {view.seed}, {ending}"
    return difference, ". ".join([summary, *(notes_of(completions[0]) if completions else ())])


def _ending(live: generation.Live) -> str:
    completions, stats = live.completions, live.stats
    summary = f"run {live.run_id}, {stats.completion_tokens} tokens in {seconds_text(stats.seconds)}, seed {live.seed}"
    if not completions:
        return summary
    return ". ".join([f"{summary}, ended by {completions[0].finish_reason}", *notes_of(completions[0])])


def _line(difference: str, ending: str = "") -> str:
    marked = f"<mark>{html.escape(difference)}</mark>" if difference else "Nothing has run yet."
    return f'<p class="panel-note">{marked} {html.escape(ending)}</p>'
