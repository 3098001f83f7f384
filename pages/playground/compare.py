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
from pages.components.errors import PRIVATE, guarded
from pages.components.forms import label_of, read_settings, settings_form
from pages.components.head import PLAIN
from pages.components.opening import on_open
from pages.components.stats import seconds_text
from pages.components.tokenmap import TokenStream, token_map
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


def build(lab: Lab, single: Any) -> None:
    with gr.Row():
        prompt = gr.Textbox(
            label="Prompt", lines=4, elem_id="cmp-prompt", placeholder="The same prompt for every panel."
        )
    with gr.Row(elem_classes=["actions"]):
        run = gr.Button("Run together", variant="primary", scale=0, min_width=120, elem_id="cmp-run")
        stop = gr.Button("Stop", scale=0, min_width=80, elem_id="cmp-stop")
        take = gr.Button("Use the single prompt", scale=0, min_width=160, elem_id="cmp-take")
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
    panels.change(lambda count: [gr.update(visible=i < int(count)) for i in range(MOST)], panels, columns, **PRIVATE)
    flow = {"concurrency_id": "generation", **PRIVATE}
    run.click(guarded(compare, lab), inputs, [state, *outputs], **flow)
    prompt.submit(guarded(compare, lab), inputs, [state, *outputs], **flow)
    stop.click(guarded(stop_all, lab), state, None, queue=False, **PRIVATE)
    take.click(lambda text: text, single.prompt, prompt, queue=False, **PRIVATE)
    seeds = [_find(inputs, place, "seed") for place in range(MOST)]
    mark = "(...values) => (" + MARK % json.dumps(["model", *(name.replace("_", "-") for name in SHOWN)]) + ")(values)"
    on_open(offered, [*menus, *seeds], lab).then(None, inputs[2:], None, js=mark, **PRIVATE)
    for one in inputs[2:]:
        one.change(None, inputs[2:], None, js=mark, queue=False, **PRIVATE)
    for place, values in enumerate(START):
        for name, value in values.items():
            _find(inputs, place, name).value = value


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


def offered(lab: Lab) -> list[Update]:
    names = [view.card.name for view in models.catalogue(lab) if view.card.modes]
    menus = [gr.update(choices=names, value=names[0] if names else None) for _ in range(MOST)]
    return [*menus, *[None] * MOST]


def _update(run_ids: Any, panels: list[tuple[Any, Any]]) -> list[Update]:
    panels = [*panels, *[(gr.skip(), gr.skip())] * (MOST - len(panels))]
    return [run_ids, *[part for panel in panels for part in panel]]


def _ending(live: generation.Live) -> str:
    done = live.completions
    stats = live.stats
    words = f"run {live.run_id}, {stats.completion_tokens} tokens in {seconds_text(stats.seconds)}, seed {live.seed}"
    return f"{words}, ended by {done[0].finish_reason}" if done else words


def _line(difference: str, ending: str = "") -> str:
    marked = f"<mark>{html.escape(difference)}</mark>" if difference else "Nothing has run yet."
    return f'<p class="panel-note">{marked} {html.escape(ending)}</p>'


def _find(inputs: list[Any], place: int, name: str) -> Any:
    return next(one for one in inputs if getattr(one, "elem_id", "") == f"cmp-{place + 1}-{name.replace('_', '-')}")
