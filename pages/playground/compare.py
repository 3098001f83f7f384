"""Up to four models or settings on one prompt, run together, with the differences marked."""

import html
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from genai_lab.decoding import Delta, Sampling
from genai_lab.errors import LabError
from genai_lab.lab import Lab
from genai_lab.services import generation, models
from pages.components.copying import copy_computed
from pages.components.errors import PRIVATE, guarded
from pages.components.forms import label_of, read_settings, settings_form, show_settings
from pages.components.head import PLAIN
from pages.components.opening import on_open
from pages.components.scoring import score_row
from pages.components.sending import send_to_ranking
from pages.components.stats import seconds_text
from pages.components.tokenmap import TokenStream, full_value, token_map
from pages.playground.share import origin
from pages.playground.streaming import pause

MOST = 4
SHOWN = ("greedy", "temperature", "top_k", "top_p", "max_new_tokens", "seed")
START: tuple[dict[str, Any], ...] = ({"temperature": 0.2}, {"temperature": 0.8}, {"temperature": 1.2}, {"greedy": True})
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


def build(lab: Lab, single: Any, tabs: gr.Tabs) -> None:
    with gr.Row():
        prompt = gr.Textbox(
            label="Prompt", lines=4, elem_id="cmp-prompt", placeholder="The same prompt for every panel."
        )
    with gr.Row(elem_classes=["actions"]):
        run = gr.Button("Run together", variant="primary", scale=0, min_width=120, elem_id="cmp-run")
        stop = gr.Button("Stop", scale=0, min_width=80, elem_id="cmp-stop")
        take = gr.Button("Use the single prompt", scale=0, min_width=160, elem_id="cmp-take")
        link = gr.Button("Copy link", scale=0, min_width=90, elem_id="cmp-link")
        rank = gr.Button("Send to ranking", scale=0, min_width=130, elem_id="cmp-rank")
        panels = gr.Radio(["2", "3", "4"], value="2", label="Panels", elem_id="cmp-panels", container=False)
    state = gr.State([])
    columns: list[Any] = []
    outputs: list[Any] = []
    menus: list[Any] = []
    inputs: list[Any] = [prompt, panels]
    with gr.Row(equal_height=False):
        for place in range(MOST):
            with gr.Column(min_width=260, visible=place < 2) as column:
                model = gr.Dropdown([], label=f"Model {place + 1}", elem_id=f"cmp-{place + 1}-model", interactive=True)
                note = gr.HTML(_line(""), apply_default_css=False, elem_classes=PLAIN, elem_id=f"cmp-{place + 1}-note")
                out = token_map(
                    label=f"Completion {place + 1}",
                    elem_id=f"cmp-{place + 1}-tokens",
                    placeholder="Press Run together.",
                )
                form = settings_form(Sampling, only=SHOWN, prefix=f"cmp-{place + 1}", more="")
            columns.append(column)
            menus.append(model)
            inputs += [model, *form.values()]
            outputs += [out, note]
    score_row(lab, run_ids_of, [state], "cmp")
    panels.change(lambda count: [gr.update(visible=i < int(count)) for i in range(MOST)], panels, columns, **PRIVATE)
    flow = {"concurrency_id": "generation", **PRIVATE}
    run.click(guarded(compare, lab), inputs, [state, *outputs], **flow)
    prompt.submit(guarded(compare, lab), inputs, [state, *outputs], **flow)
    stop.click(guarded(stop_all, lab), state, None, queue=False, **PRIVATE)
    take.click(lambda text: text, single.prompt, prompt, queue=False, **PRIVATE)
    copy_computed(link, group_link, [state], lab)
    send_to_ranking(rank, compared, [state])
    mark = "(...values) => (" + MARK % json.dumps(["model", *(name.replace("_", "-") for name in SHOWN)]) + ")(values)"
    on_open(arrived, [tabs, state, *inputs, *columns, *outputs], lab).then(None, inputs[2:], None, js=mark, **PRIVATE)
    for one in inputs[2:]:
        one.change(None, inputs[2:], None, js=mark, queue=False, **PRIVATE)


def compare(lab: Lab, prompt: str, panels: str, *values: Any) -> Iterator[Sequence[Update]]:
    """Streams every panel; the notes say what differs from the first one, then how it went.

    Panels whose seed is empty share one drawn seed, so that only their settings tell them apart.
    """
    count, width = int(panels), 1 + len(SHOWN)
    groups = [values[i * width : (i + 1) * width] for i in range(count)]
    jobs, seed = [], Sampling().seeded().seed
    for place, (model, *settings) in enumerate(groups):
        if not model:
            raise LabError(f"Panel {place + 1} has no model; choose one.")
        made = models.prompt_for(lab, model, prompt or "")
        sampling = read_settings(Sampling, SHOWN, settings)
        jobs.append(
            generation.Job(model, made, sampling if sampling.seed is not None else replace(sampling, seed=seed))
        )
    lives = generation.start_many(lab, jobs)
    streams = [TokenStream() for _ in lives]
    notes = [_line(differences(jobs[0], job)) for job in jobs]
    pending: list[list[Any]] = [[] for _ in lives]
    yield _update([live.run_id for live in lives], [(s.full(), n) for s, n in zip(streams, notes, strict=True)])
    last = 0.0
    for place, item in generation.together(lives):
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


def differences(first: generation.Job, other: generation.Job) -> str:
    """What this panel has otherwise than the first, in words."""
    if first is other:
        return "base of the comparison"
    now, base = other.sampling.as_dict(), first.sampling.as_dict()
    found = [] if first.model == other.model else [f"model {other.model}"]
    found += [f"{label_of(name).lower()} {now[name]}" for name in SHOWN if now[name] != base[name] and name != "seed"]
    return ", ".join(found) or "no difference"


def stop_all(lab: Lab, run_ids: list[int]) -> None:
    for run_id in run_ids:
        generation.cancel(lab, run_id)


def group_link(lab: Lab, run_ids: list[int], request: gr.Request) -> str:
    return f"{origin(request)}/?group={generation.run(lab, run_ids_of(run_ids)[0]).group}"


def run_ids_of(run_ids: list[int]) -> list[int]:
    if not run_ids:
        raise LabError("Nothing has been compared yet; press Run together first.")
    return run_ids


def compared(run_ids: list[int]) -> str:
    return ",".join(map(str, run_ids_of(run_ids)))


def arrived(lab: Lab, request: gr.Request) -> list[Update]:
    """The comparison that the address asks for (?group=), else panels ready to be used: tab, state, inputs, columns."""
    names = [view.card.name for view in models.catalogue(lab) if view.card.modes and view.status != "training"]
    asked = request.query_params.get("group", "")
    views = generation.group_runs(lab, asked) if asked else []
    if len(views) > MOST:
        gr.Info(f"{len(views)} runs were begun together; the first {MOST} are shown.", title="A part of them")
        views = views[:MOST]
    panels = str(max(2, len(views)))
    inputs: list[Update] = [views[0].prompt.said if views else gr.skip(), panels if views else gr.skip()]
    for place in range(MOST):
        view = views[place] if place < len(views) else None
        known = [*names, *([view.model] if view and view.model not in names else [])]
        inputs.append(gr.update(choices=known, value=view.model if view else names[0] if names else None))
        inputs += show_settings(view.sampling, SHOWN) if view else _start(place)
    columns = [gr.update(visible=place < int(panels)) for place in range(MOST)]
    shown = [(_recorded(lab, view), _line(*_told(views[0], view))) for view in views]
    tab = gr.update(selected="compare") if views else gr.skip()
    return [tab, [view.id for view in views], *inputs, *columns, *_update(None, shown)[1:]]


def _recorded(lab: Lab, view: generation.RunView) -> Update:
    tokens = view.completions[0].tokens if view.completions else ()
    return full_value(tokens, before=generation.prefix_text(lab, view))


def _told(first: generation.RunView, view: generation.RunView) -> tuple[str, str]:
    jobs = [generation.Job(one.model, one.prompt, one.sampling) for one in (first, view)]
    done = view.completions
    ending = f"ended by {done[0].finish_reason}" if done else view.error or view.status
    marked = "base of the comparison" if view is first else differences(*jobs)
    words = f"run {view.id}, {sum(len(one.tokens) for one in done)} tokens, seed {view.seed}, {ending}"
    return marked, ". ".join([words, *(done[0].notes if done else ())])


def _start(place: int) -> list[Any]:
    return show_settings(replace(Sampling(), **START[place]), SHOWN)


def _update(run_ids: Any, panels: list[tuple[Any, Any]]) -> list[Update]:
    panels = [*panels, *[(gr.skip(), gr.skip())] * (MOST - len(panels))]
    return [run_ids, *[part for panel in panels for part in panel]]


def _ending(live: generation.Live) -> str:
    done = live.completions
    stats = live.stats
    words = f"run {live.run_id}, {stats.completion_tokens} tokens in {seconds_text(stats.seconds)}, seed {live.seed}"
    return ". ".join([f"{words}, ended by {done[0].finish_reason}", *done[0].notes]) if done else words


def _line(difference: str, ending: str = "") -> str:
    marked = f"<mark>{html.escape(difference)}</mark>" if difference else "Nothing has run yet."
    return f'<p class="panel-note">{marked} {html.escape(ending)}</p>'
