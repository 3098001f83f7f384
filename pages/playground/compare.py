"""Up to four models or settings on one prompt, run together, with the differences marked."""

import html
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Delta, Sampling
from genai_lab.errors import LabError
from genai_lab.models import Prompt
from genai_lab.services import generation, models
from pages.components.copying import copy_computed
from pages.components.errors import PRIVATE, guarded
from pages.components.head import PLAIN
from pages.components.opening import fills, on_open
from pages.components.scoring import score_row
from pages.components.sending import send_to_ranking
from pages.components.settings_form import label_of, read_settings, settings_form, show_settings
from pages.components.stats import seconds_text
from pages.components.tokenmap import TokenStream, full_value, token_map
from pages.playground import chat, settings
from pages.playground.share import origin
from pages.playground.streaming import load_and_tell, notes_of, pause

MOST = 4
SHOWN = ("greedy", "temperature", "top_k", "top_p", "max_new_tokens", "seed")
START: tuple[dict[str, Any], ...] = ({"temperature": 0.2}, {"temperature": 0.8}, {"temperature": 1.2}, {"greedy": True})
FIRST_PROMPT = "Once upon a time there was a small"
WIDTH = 3 + len(SHOWN)  # model, mode, system and the settings of one panel
ADDRESS = "(group) => { if (group) history.replaceState(null, '', `/?group=${group}`); return group; }"
Update = Any
# A line at the left of every setting that differs from the first panel's.
MARK = """(values) => {
  const names = %s, width = names.length;
  values.forEach((value, n) => {
    const place = Math.floor(n / width), name = names[n %% width];
    const node = document.getElementById(`cmp-${place + 1}-${name}`);
    if (!node) return;
    const differs = place > 0 && name !== 'seed' && value !== values[n %% width];
    node.toggleAttribute('data-differs', differs);
    if (differs) node.style.setProperty('border-left', '3px solid var(--color-accent)', 'important');
    else node.style.removeProperty('border-left');
  });
}"""


@dataclass
class _Panels:
    """The components of all panels: `inputs` in the order of `compare`'s values, `outputs` two a panel."""

    columns: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    marked: list[Any] = field(default_factory=list)


def build(lab: LabContext, single: Any, tabs: gr.Tabs, tab: gr.Tab) -> None:
    talk = chat.talk_view("cmp-talk")
    prompt = gr.Textbox(label="Prompt", lines=3, elem_id="cmp-prompt", placeholder="The same prompt for every panel.")
    with gr.Row(elem_classes=["actions"]):
        run = gr.Button("Run together", variant="primary", scale=0, min_width=120, elem_id="cmp-run")
        stop = gr.Button("Stop", scale=0, min_width=80, elem_id="cmp-stop")
        take = gr.Button("Take over from Single", scale=0, min_width=160, elem_id="cmp-take")
        link = gr.Button("Copy link", scale=0, min_width=90, elem_id="cmp-link")
        rank = gr.Button("Send to ranking", scale=0, min_width=130, elem_id="cmp-rank")
        count = gr.Radio(["2", "3", "4"], value="2", label="Panels", elem_id="cmp-panels", container=False)
    state, touched = gr.State([]), gr.State(False)
    address = gr.Textbox("", visible="hidden", show_label=False, container=False)
    panels = _panels(lab)
    score_row(lab, run_ids_of, [state], "cmp")
    inputs = [prompt, talk, count, *panels.inputs]
    count.change(shown_panels, count, panels.columns, **PRIVATE)
    flow = {"concurrency_id": "generation", **PRIVATE}
    for event in (run.click, prompt.submit):
        begun = event(guarded(compare, lab), inputs, [state, *panels.outputs], **flow)
        begun.success(guarded(group_of, lab), state, address, **PRIVATE).then(
            None, address, None, js=ADDRESS, **PRIVATE
        )
    stop.click(guarded(stop_all, lab), state, None, queue=False, **PRIVATE)
    filled = [prompt, talk, *panels.inputs, touched]
    single_values = [*single.question, *single.form.values()]
    take.click(guarded(take_over, lab), single_values, filled, **PRIVATE)
    # The first look brings what stands in Single; later ones leave the comparison as it is.
    fills(tab.select, first_look, filled, lab, inputs=[touched, state, prompt, *single_values])
    copy_computed(link, group_link, [state], lab)
    send_to_ranking(rank, compared, [state])
    names = ["model", "mode", *(name.replace("_", "-") for name in SHOWN)]
    mark = f"(...values) => ({MARK % json.dumps(names)})(values)"
    on_open(arrived, [tabs, state, *inputs, *panels.columns, *panels.outputs], lab).then(
        None, panels.marked, None, js=mark, **PRIVATE
    )
    for one in panels.marked:
        one.change(None, panels.marked, None, js=mark, queue=False, **PRIVATE)


def _panels(lab: LabContext) -> _Panels:
    made = _Panels()
    with gr.Row(equal_height=False):
        for place in range(MOST):
            prefix = f"cmp-{place + 1}"
            with gr.Column(min_width=260, visible=place < 2) as column:
                model = gr.Dropdown([], label=f"Model {place + 1}", elem_id=f"{prefix}-model", interactive=True)
                mode = gr.Radio([], label="Mode", elem_id=f"{prefix}-mode", interactive=True)
                note = gr.HTML(_line(""), apply_default_css=False, elem_classes=PLAIN, elem_id=f"{prefix}-note")
                out = token_map(
                    label=f"Completion {place + 1}", elem_id=f"{prefix}-tokens", placeholder="Press Run together."
                )
                system = chat.system_box(f"{prefix}-system", visible=False)
                form = settings_form(Sampling, only=SHOWN, prefix=prefix, more="")
            model.input(guarded(settings.modes_of, lab), [model, gr.State(None)], mode, queue=False, **PRIVATE)
            mode.change(shown_system, mode, system, queue=False, preprocess=False, **PRIVATE)
            made.columns.append(column)
            made.inputs += [model, mode, system, *form.values()]
            made.outputs += [out, note]
            made.marked += [model, mode, *form.values()]
    return made


def shown_panels(count: str) -> list[Update]:
    return [gr.update(visible=place < int(count)) for place in range(MOST)]


def shown_system(mode: str | None) -> Update:
    return gr.update(visible=mode == "chat")


def first_look(lab: LabContext, touched: bool, run_ids: list[int], prompt: str, *values: Any) -> Sequence[Update]:
    """What Single holds, where nothing has been compared or typed yet."""
    if touched or run_ids or (prompt or "").strip():
        return gr.skip()
    return take_over(lab, *values)


def take_over(
    lab: LabContext,
    model: str | None,
    mode: str | None,
    prompt: str,
    system: str,
    talk: dict[str, Any] | None,
    *values: Any,
) -> list[Update]:
    """Single's prompt and conversation; its model against another one, or against itself at another temperature."""
    names = _names(lab)
    model = model if model in names else next(iter(names), None)
    text, talk = (prompt or "").strip(), talk or chat.nothing()
    if mode == "chat":
        if not text and talk["messages"]:
            text, talk = chat.taken_back(talk)
        talk = {"messages": chat.turns_of(talk), "last": "", "run": None}
    else:
        talk = chat.nothing()
    other = _another(lab, names, model, mode)
    own = read_settings(Sampling, settings.NAMES, values)
    filled: list[Update] = []
    for place in range(MOST):
        chosen = other if place == 1 else model
        now = own if place < 2 else replace(own, **{"temperature": 0.8, "greedy": False, **START[place]})
        if place == 1 and other == model:
            now = replace(own, greedy=False, temperature=1.2 if own.temperature < 1 else 0.5)
        filled += [
            gr.update(choices=names, value=chosen),
            settings.modes_of(lab, chosen, mode if chosen == model else None) if chosen else gr.skip(),
            system or "",
            *show_settings(now, SHOWN),
        ]
    return [text or FIRST_PROMPT, talk, *filled, True]


def compare(
    lab: LabContext, prompt: str, talk: dict[str, Any], panels: str, *values: Any
) -> Iterator[Sequence[Update]]:
    """Streams every panel; the notes say what differs from the first one, then how it went.

    Panels whose seed is empty share one drawn seed, so that only their settings tell them apart.
    """
    groups = [values[i * WIDTH : (i + 1) * WIDTH] for i in range(int(panels))]
    jobs, seed = [], Sampling().seeded().seed
    for place, (model, mode, system, *own) in enumerate(groups):
        if not model:
            raise LabError(f"Panel {place + 1} has no model; choose one.")
        made = chat.prompt_of(lab, model, mode, prompt or "", system, talk or chat.nothing())
        sampling = read_settings(Sampling, SHOWN, own)
        jobs.append(
            generation.GenerationSpec(
                model, made, sampling if sampling.seed is not None else replace(sampling, seed=seed)
            )
        )
    for name in dict.fromkeys(job.model for job in jobs):
        for update in load_and_tell(lab, name):
            yield _update(gr.skip(), [(update[0], gr.skip())] * len(jobs))
    lives = generation.start_many(lab, jobs)
    streams = [TokenStream() for _ in lives]
    notes = [_line(differences(jobs[0], job)) for job in jobs]
    pending: list[list[Any]] = [[] for _ in lives]
    yield _update([live.run_id for live in lives], [(s.full(), n) for s, n in zip(streams, notes, strict=True)])
    last = 0.0
    for place, item in generation.merge_streams(lives):
        if isinstance(item, Delta):
            pending[place] += item.tokens
        now = time.monotonic()
        if now - last < pause(lab) and isinstance(item, Delta):
            continue
        last, changed = now, []
        for i, stream in enumerate(streams):
            changed.append((stream.push(pending[i]) if pending[i] else gr.skip(), gr.skip()))
            pending[i] = []
        if isinstance(item, LabError):
            changed[place] = (changed[place][0], _line(str(item)))
        elif item is None:
            changed[place] = (streams[place].full(), _line(differences(jobs[0], jobs[place]), _ending(lives[place])))
        yield _update(gr.skip(), changed)


def differences(first: generation.GenerationSpec, other: generation.GenerationSpec) -> str:
    """What this panel has otherwise than the first, in words."""
    if first is other:
        return "base of the comparison"
    now, base = other.sampling.as_dict(), first.sampling.as_dict()
    found = [] if first.model == other.model else [f"model {other.model}"]
    found += [] if first.prompt.mode == other.prompt.mode else [f"mode {other.prompt.mode}"]
    found += [] if _system(first.prompt) == _system(other.prompt) else ["another system message"]
    found += [f"{label_of(name).lower()} {now[name]}" for name in SHOWN if now[name] != base[name] and name != "seed"]
    return ", ".join(found) or "no difference"


def _system(prompt: Prompt) -> str:
    return next((one["content"] for one in prompt.messages if one["role"] == "system"), "")


def stop_all(lab: LabContext, run_ids: list[int]) -> None:
    for run_id in run_ids:
        generation.cancel(lab, run_id)


def group_link(lab: LabContext, run_ids: list[int], request: gr.Request) -> str:
    return f"{origin(request)}/?group={generation.run(lab, run_ids_of(run_ids)[0]).group}"


def run_ids_of(run_ids: list[int]) -> list[int]:
    if not run_ids:
        raise LabError("Nothing has been compared yet; press Run together first.")
    return run_ids


def compared(run_ids: list[int]) -> str:
    return ",".join(map(str, run_ids_of(run_ids)))


def group_of(lab: LabContext, run_ids: list[int]) -> str:
    return str(generation.run(lab, run_ids[0]).group or "") if run_ids else ""


def arrived(lab: LabContext, request: gr.Request) -> list[Update]:
    """The comparison that the address asks for (?group=), else panels ready to be used: tab, state, inputs, columns."""
    names = _names(lab)
    asked = request.query_params.get("group", "")
    views = generation.group_runs(lab, asked) if asked else []
    if len(views) > MOST:
        gr.Info(f"{len(views)} runs were begun together; the first {MOST} are shown.", title="A part of them")
        views = views[:MOST]
    panels = str(max(2, len(views)))
    inputs: list[Update] = [gr.skip(), gr.skip(), gr.skip()]
    if views:
        inputs = [views[0].prompt.last_text, {**chat.nothing(), "messages": _turns(views)}, panels]
    for place in range(MOST):
        view = views[place] if place < len(views) else None
        known = [*names, *([view.model] if view and view.model not in names else [])]
        model = view.model if view else names[min(place % 2, len(names) - 1)] if names else None
        inputs.append(gr.update(choices=known, value=model))
        inputs.append(settings.modes_of(lab, model, view.mode if view else None) if model else gr.skip())
        inputs.append(_system(view.prompt) if view else "")
        inputs += show_settings(view.sampling, SHOWN) if view else _start(place)
    columns = [gr.update(visible=place < int(panels)) for place in range(MOST)]
    shown = [(_recorded(lab, view), _line(*_told(views[0], view))) for view in views]
    tab = gr.update(selected="compare") if views else gr.skip()
    return [tab, [view.id for view in views], *inputs, *columns, *_update(None, shown)[1:]]


def _turns(views: Sequence[generation.RunView]) -> list[dict[str, str]]:
    """What had been said before the message that the panels share."""
    chatting = next((view for view in views if view.mode == "chat"), None)
    return [one for one in chatting.prompt.messages if one["role"] != "system"][:-1] if chatting else []


def _another(lab: LabContext, names: Sequence[str], model: str | None, mode: str | None) -> str | None:
    """A model to set beside `model`: one that reads the prompt in the same mode, else any other, else itself."""
    others = [name for name in names if name != model]
    alike = (name for name in others if mode in models.show(lab, name).card.modes)
    return next(alike, others[0] if others else model)


def _names(lab: LabContext) -> list[str]:
    return [view.card.name for view in models.catalogue(lab) if view.card.modes and view.status != "training"]


def _recorded(lab: LabContext, view: generation.RunView) -> Update:
    tokens = view.completions[0].tokens if view.completions else ()
    return full_value(tokens, before=generation.prefix_text(lab, view))


def _told(first: generation.RunView, view: generation.RunView) -> tuple[str, str]:
    jobs = [generation.GenerationSpec(one.model, one.prompt, one.sampling) for one in (first, view)]
    done = view.completions
    ending = f"ended by {done[0].finish_reason}" if done else view.error or view.status
    marked = "base of the comparison" if view is first else differences(*jobs)
    words = f"run {view.id}, {sum(len(one.tokens) for one in done)} tokens, seed {view.seed}, {ending}"
    return marked, ". ".join([words, *(notes_of(done[0]) if done else ())])


def _start(place: int) -> list[Any]:
    return show_settings(replace(Sampling(), **START[place]), SHOWN)


def _update(run_ids: Any, panels: list[tuple[Any, Any]]) -> list[Update]:
    panels = [*panels, *[(gr.skip(), gr.skip())] * (MOST - len(panels))]
    return [run_ids, *[part for panel in panels for part in panel]]


def _ending(live: generation.Live) -> str:
    done = live.completions
    stats = live.stats
    words = f"run {live.run_id}, {stats.completion_tokens} tokens in {seconds_text(stats.seconds)}, seed {live.seed}"
    if not done:
        return words
    return ". ".join([f"{words}, ended by {done[0].finish_reason}", *notes_of(done[0])])


def _line(difference: str, ending: str = "") -> str:
    marked = f"<mark>{html.escape(difference)}</mark>" if difference else "Nothing has run yet."
    return f'<p class="panel-note">{marked} {html.escape(ending)}</p>'
