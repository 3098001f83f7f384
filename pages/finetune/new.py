"""The tab "New": what is trained on what, what it will take, how the model will see it; then the start."""

import html
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import datasets, evaluation, training
from genai_lab.services.training import estimates, plan_diff, progress, studies
from genai_lab.services.training.batch_preview import FirstBatch, first_batch
from genai_lab.training import DatasetSpec, Plan, Training
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES
from pages.components.copying import copy_computed, download_computed
from pages.components.errors import PRIVATE, guarded
from pages.components.head import piece
from pages.components.opening import fills
from pages.components.selection import Selection
from pages.components.stats import count_text, left_out_text, share_text, size_text
from pages.finetune import form as forms

FILE = "plan.yaml"
KEEP = "(...values) => JSON.stringify(values)"
Update = Any
QA = DatasetSpec("starter-qa", ("answer-passage", "answer-reading"))
EXAMPLES: dict[str, Plan] = {
    "LoRA learns to answer questions": Plan(
        "starter-seq2seq", (QA,), method="lora", training=Training(
            max_steps=160, per_device_batch_size=16, validation_rows=100)
    ),
    "A soft prompt for the same task": Plan(
        "starter-seq2seq", (QA,), method="prompt_tuning", training=Training(max_steps=300, per_device_batch_size=16)
    ),
    "Three tasks at once": Plan(
        "starter-seq2seq",
        (
            QA,
            DatasetSpec("starter-sentiment", ("classify-sentiment-answer",)),
            DatasetSpec("starter-translation", ("translate-french", "translate-sentence")),
        ),
        method="full",
        training=Training(max_steps=300, per_device_batch_size=16),
    ),
    "Stories by CLM": Plan(
        "starter-causal", (DatasetSpec("starter-story", ("story-continue",)),), objective="clm", method="full",
        training=Training(max_steps=120, per_device_batch_size=8),
    ),
    "A sentiment classifier": Plan(
        "starter-toxicity", (DatasetSpec("starter-sentiment"),), objective="classification", method="full",
        training=Training(max_steps=120, per_device_batch_size=16, max_length=128),
    ),
}  # fmt: skip
TOKENS = """
{{#if value.waiting}}<p class="panel-note" role="status">{{value.waiting}}</p>{{/if}}
{{#if value.rows.length}}<div class="seen"><p class="panel-note" role="status">{{value.note}}</p>
<p class="legend">{{#each value.legend}}<span class="tok {{this.[0]}}">{{this.[1]}}</span>{{/each}}</p>
{{#each value.rows}}<div class="row"><pre>{{#each this.tokens}}<span class="tok {{this.[1]}}">{{this.[0]}}</span>
{{~/each}}</pre>
{{#if this.target.length}}<pre class="target">{{#each this.target}}<span class="tok {{this.[1]}}">{{this.[0]}}</span>
{{~/each}}</pre>{{/if}}<p class="panel-note">Learned: <b>{{this.label}}</b></p></div>{{/each}}</div>{{/if}}
"""
MEMORY = """
{{#if value.waiting}}<p class="panel-note" role="status">{{value.waiting}}</p>{{/if}}
{{#if value.bars.length}}<div class="memory"><p class="panel-note" role="status">{{value.note}}</p>
<ul>{{#each value.bars}}<li><span>{{this.name}}</span><div class="bar"><i style="width:{{this.percent}}%"></i></div>
<b>{{this.size}}</b></li>{{/each}}</ul>
<p class="panel-note {{value.tone}}">{{value.fits}}</p><p class="panel-note">{{value.gpus}}</p>
{{#if value.passes}}<p class="panel-note">{{value.passes}}</p>{{/if}}</div>
{{/if}}
"""


class New:
    """The tab; `begun` is set to the id of a run when it has been started, `tabs` are those of the page."""

    def __init__(self, lab: LabContext, begun: gr.State, tabs: gr.Tabs) -> None:
        with gr.Row(elem_classes=["chips"]):
            chips = [gr.Button(name, size="sm", elem_id=f"ft-example-{n}") for n, name in enumerate(EXAMPLES)]
            quick = gr.Button(
                "Start", variant="primary", size="sm", scale=0, min_width=70, interactive=False, elem_id="ft-quick"
            )
        self.form, (start, look, weigh, reset, about, memory, seen) = forms.build(_actions)
        form = self.form
        self.draft = gr.BrowserState(None, storage_key="genai-lab-finetune", secret="genai-lab")
        words, inputs = form.words, form.inputs
        self.gate = words[-1]
        _yaml(lab, words, inputs)
        choice = [form.objective, form.method, *form.groups.values()]
        for chip, name in zip(chips, EXAMPLES, strict=True):
            fills(chip.click, example, [*inputs, quick], lab, name)
        picked, told = [form.model, form.objective, form.method], Selection(tuple)
        for event in (form.model.change, form.objective.change, form.method.change):
            event(guarded(forms.suited, lab), picked, choice, queue=False, **PRIVATE)
            event(told.on_choice(about_words, lab), picked, about, **PRIVATE).success(
                told.for_choice(about_share, lab), picked, about, **PRIVATE
            )
        form.dataset.input(
            guarded(forms.dataset_chosen, lab), [form.dataset, form.objective], form.templates, **PRIVATE
        )
        busy = {"concurrency_id": "models", **PRIVATE}
        look.click(guarded(look_at_batch, lab), inputs, [seen, look], **busy)
        weigh.click(guarded(weigh_plan, lab), [form.gpu, *inputs], [memory, weigh], **busy)
        for button in (start, quick):
            button.click(guarded(start_run, lab), [*words, *inputs], [begun, tabs, start, quick], **busy)
        form.preset.input(preset_values, form.preset, form.pace, queue=False, **PRIVATE)
        fills(reset.click, forms.offered, inputs, lab, None)
        for one in inputs:
            one.change(None, inputs, self.draft, js=KEEP, queue=False, **PRIVATE)


def _actions() -> tuple[Any, ...]:
    """The buttons, and what they show below them."""
    with gr.Row(elem_classes=["actions"]):
        start = gr.Button("Start run", variant="primary", size="sm", scale=0, min_width=110, elem_id="ft-start")
        weigh = gr.Button("What it takes", size="sm", scale=0, min_width=110, elem_id="ft-memory")
        look = gr.Button("First batch", size="sm", scale=0, min_width=100, elem_id="ft-look")
        reset = gr.Button("Start over", size="sm", scale=0, min_width=90, elem_id="ft-reset")
    about = gr.HTML("", apply_default_css=False, elem_classes=["plain"], js_on_load=None, elem_id="ft-about")
    memory = piece({"bars": []}, MEMORY, "ft-plan", sheet="finetune.css")
    seen = piece({"rows": []}, TOKENS, "ft-first-batch", sheet="finetune.css")
    return start, look, weigh, reset, about, memory, seen


def _yaml(lab: LabContext, words: list[Any], inputs: list[Any]) -> None:
    """The plan as a text to take along, and the line that begins the same run."""
    with gr.Accordion("As YAML and command line", open=False, elem_id="ft-yaml-shelf"):
        text = gr.Textbox(
            "", label="Plan", lines=10, max_lines=30, elem_id="ft-yaml", elem_classes=["mono"],
            info="Written from the form; paste another and put it into the form.",
        )  # fmt: skip
        line = gr.Textbox(
            "", label="Command", interactive=False, max_lines=2, elem_id="ft-command", elem_classes=["mono"]
        )
        with gr.Row(elem_classes=["actions"]):
            write = gr.Button("Write from form", size="sm", scale=0, min_width=130, elem_id="ft-write")
            put = gr.Button("Put into form", size="sm", scale=0, min_width=110, elem_id="ft-put")
            copy = gr.Button("Copy YAML", size="sm", scale=0, min_width=100)
            command = gr.Button("Copy command", size="sm", scale=0, min_width=120)
            save = gr.Button("Download", size="sm", scale=0, min_width=90)
    write.click(guarded(written, lab), [*words, *inputs], [text, line], **PRIVATE)
    fills(put.click, put_in, inputs, lab, inputs=[text])
    copy_computed(copy, yaml_of, inputs)
    copy_computed(command, command_of, [*words, *inputs], lab)
    download_computed(save, yaml_of, inputs, FILE)


def arrived(lab: LabContext, draft: str | None, count: int, plan: Plan | None = None) -> list[Update]:
    """The inputs as the address or the draft asks for them, and the evaluations that can be a gate."""
    values = forms.values_of(plan) if plan is not None else forms.draft_of(draft, count)
    return [*forms.offered(lab, values), gate_choices(lab)]


def gate_choices(lab: LabContext) -> Update:
    found = [(f"{one.id}: {one.title}", one.id) for one in evaluation.find(lab, 40)]
    return gr.update(choices=found)


def example(lab: LabContext, name: str) -> Sequence[Update]:
    """An example in the form, its datasets imported where they are not there."""
    plan = EXAMPLES[name]
    for part in plan.data:
        if not any(view.dataset == part.dataset for view in datasets.find(lab, part.dataset, 50)[0]):
            datasets.import_starter(lab, part.dataset.removeprefix("starter-"), part.dataset)
    return [*forms.offered(lab, forms.values_of(plan)), gr.update(interactive=True)]


def about_words(lab: LabContext, model: str | None, objective: str, method: str) -> str:
    """What is learned and what is trained, in lines, at once; how much of it is counted in `about_share`."""
    return _about(objective, method, "Counting what is trained…" if model else "")


def about_share(lab: LabContext, model: str | None, objective: str, method: str) -> str:
    """The same with the share of the weights, where it can be told."""
    share = estimates.trained_share(lab, model, objective, method) if model else None
    if share is None:
        return _about(objective, method, "")
    rate = estimates.usual_rate(lab, model or "", objective, method)
    line = f"<b>{html.escape(model or '')}</b>: trains <b>{share_text(*share)}</b> parameters"
    return _about(objective, method, f"{line}; an empty learning rate means {rate:g}.")


def _about(objective: str, method: str, last: str) -> str:
    goal, way = OBJECTIVES.get(objective), METHODS.get(method)
    lines = [
        f"<b>{html.escape(goal.title)}.</b> {html.escape(goal.about)} <small>{html.escape(goal.source)}</small>",
        f"<b>{html.escape(way.title)}.</b> {html.escape(way.about)} <small>{html.escape(way.source)}</small>",
        last,
    ]
    return "".join(f'<p class="panel-note about">{line}</p>' for line in lines if line)


PRESSED, FREE = gr.update(interactive=False), gr.update(interactive=True)


def start_run(
    lab: LabContext, title: str, tags: str, gate: list[int] | None, *values: Any
) -> Iterator[Sequence[Update]]:
    """To the list of runs at once, where the run stands as being checked; back to the form where it is refused."""
    plan, name = forms.plan_of(*values)
    yield gr.skip(), gr.update(selected="runs"), PRESSED, PRESSED
    try:
        with progress.starting(lab, plan, title or name):
            run = studies.start_gated(lab, plan, gate or [], name=name, title=title or "", tags=(tags or "").split(","))
    except BaseException:
        yield gr.skip(), gr.update(selected="new"), FREE, FREE
        raise
    gr.Info(f"Run {run.run_id} is queued.", duration=4, title="Started")
    yield run.run_id, gr.skip(), FREE, FREE


def look_at_batch(lab: LabContext, *values: Any) -> Iterator[Sequence[Update]]:
    plan = forms.plan_of(*values)[0]
    yield from _computed(
        {"rows": []}, "Reading the rows of the first batch…", lambda: batch_value(first_batch(lab, plan))
    )


def weigh_plan(lab: LabContext, gpu: str, *values: Any) -> Iterator[Sequence[Update]]:
    """Memory first, then how long it will take, from two timed steps."""
    plan = forms.plan_of(*values)[0]
    yield {"bars": [], "waiting": f"Weighing one step of {plan.model}…"}, PRESSED
    try:
        resolved = training.resolve(lab, plan)
        made = memory_value(estimates.estimate(lab, resolved), gpu) | {"passes": passes_text(resolved)}
    except BaseException:
        yield {"bars": []}, FREE
        raise
    yield {**made, "waiting": "Timing two steps, to tell how long it will take…"}, PRESSED
    try:
        made["passes"] = estimates.time_run(lab, resolved).sentence
    except BaseException:
        yield made, FREE
        raise
    yield made, FREE


def _computed(empty: dict[str, Any], waiting: str, compute: Callable[[], dict[str, Any]]) -> Iterator[Sequence[Update]]:
    """The panel and its button while something is computed: words and a button that cannot be pressed again."""
    yield {**empty, "waiting": waiting}, PRESSED
    try:
        made = compute()
    except BaseException:
        yield empty, FREE
        raise
    yield made, FREE


def passes_text(resolved: training.ResolvedPlan) -> str:
    """The steps as passes over the rows that are learned from."""
    plan = resolved.plan
    rows = sum(version.splits.get(plan.split, 0) for version in resolved.versions)
    settings = plan.training
    if settings.num_train_epochs or not rows:
        return ""
    passes = settings.max_steps * settings.rows_per_step / rows
    return (
        f"{settings.max_steps:,} steps of {settings.rows_per_step:,} rows: {passes:.2g} passes over the {rows:,} rows "
        f"of {plan.split}."
    )


def batch_value(made: FirstBatch) -> dict[str, Any]:
    kinds = {kind for row in made.rows for _, kind in (*row.tokens, *row.target)}
    words = {
        "read": "read", "trained": "learned", "masked": "masked", "corrupted": "corrupted", "padded": "padding",
    }  # fmt: skip
    some = made.prepared
    items = sum(map(len, some.train))
    learned = f"{made.trained_tokens:,} tokens learned. " if made.trained_tokens else ""
    note = (
        f"{made.form} {made.batch} rows of {made.width} tokens in the first batch, {100 * made.padding:.0f} % padding, "
        f"{learned}In the run: {items:,} items of {some.rows:,} rows, {some.cut:,} cut "
        f"to length, {left_out_text(some.left_out, some.left_rows)}, {len(some.validation):,} for validation, "
        f"{some.steps:,} steps."
    )
    return {
        "note": note.strip(),
        "legend": [[kind, word] for kind, word in words.items() if kind in kinds],
        "rows": [
            {"tokens": _shown(row.tokens), "target": _shown(row.target), "label": row.label or "–"} for row in made.rows
        ],
    }


def _shown(tokens: Sequence[tuple[str, str]]) -> list[list[str]]:
    return [[text.replace("\n", "↵"), kind] for text, kind in tokens[:400]]


def preset_values(name: str | None) -> Sequence[Update]:
    return forms.PRESETS.get(name or "", (gr.skip(), gr.skip()))


def memory_value(made: estimates.Estimate, chosen: str = "") -> dict[str, Any]:
    """Bars by kind; what fits."""
    memory = made.memory
    kinds = {
        "Weights": memory.weights, "Gradients": memory.gradients, "Optimiser states": memory.optimiser,
        "Activations": memory.activations, "Temporaries": memory.temporaries, "Process": memory.process,
        "Peak": memory.peak,
    }  # fmt: skip
    most = max(memory.peak, 1)
    needed = made.on_gpu
    smallest = next((name for name, size in estimates.GPUS.items() if size >= needed), None)
    rows = f"rows of {made.length:,} tokens{f' and completions of {made.target:,}' if made.target else ''}"
    share = f"{count_text(memory.trained)} of {count_text(memory.parameters)} parameters trained"
    each = f"; each of {made.processes} processes takes this" if made.processes > 1 else ""
    room = f"{size_text(made.free)} of memory and {size_text(made.disk_free)} of disk are free"
    gpu = (
        f"the smallest known that holds it is {smallest}."
        if smallest
        else "more than any single one holds: use several processes and sharding."
    )
    if chosen in estimates.GPUS:
        size = estimates.GPUS[chosen]
        gpu = f"{'fits into' if needed <= size else 'does not fit into'} {chosen} with {size_text(size)}; {gpu}"
    return {
        "note": f"Foreseen for batches of {rows}; {share}{each}.",
        "bars": [
            {"name": name, "size": size_text(size), "percent": round(100 * min(1.0, size / most))}
            for name, size in kinds.items()
        ],
        "fits": f"{'Fits into' if made.fits else 'Does not fit into'} this machine: {room}, "
        f"{size_text(made.disk)} of disk needed.",
        "tone": "" if made.fits else "problem",
        "gpus": f"On a GPU {size_text(needed)}: {gpu}",
    }


def written(lab: LabContext, title: str, tags: str, gate: list[int] | None, *values: Any) -> tuple[str, str]:
    return yaml_of(*values), command_of(lab, title, tags, gate, *values)


def yaml_of(*values: Any) -> str:
    return forms.plan_of(*values)[0].to_yaml()


def command_of(lab: LabContext, title: str, tags: str, gate: list[int] | None, *values: Any) -> str:
    _, name = forms.plan_of(*values)
    return plan_diff.command(lab, FILE, name, title or "", [one.strip() for one in (tags or "").split(",")], gate or [])


def put_in(lab: LabContext, text: str) -> Sequence[Update]:
    if not (text or "").strip():
        raise LabError("There is no YAML to put into the form; write it from the form, or paste one.")
    return forms.offered(lab, forms.values_of(Plan.from_yaml(text)))
