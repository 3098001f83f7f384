"""The tab "New": what is trained on what, what it will take, how the model will see it; then the start."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.errors import LabError
from genai_lab.lab import Lab
from genai_lab.services import datasets, evaluation
from genai_lab.services.training import estimating, preparing, studies, telling
from genai_lab.services.training.first_batch import FirstBatch, first_batch
from genai_lab.training import Part, Plan, Training
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES
from pages.components.copying import copy_computed, download_computed
from pages.components.errors import PRIVATE, guarded
from pages.components.head import piece
from pages.components.opening import fills
from pages.components.stats import count_text, share_text, size_text
from pages.finetune import form as forms

FILE = "plan.yaml"
KEEP = "(...values) => JSON.stringify(values)"
NO_GPU = "any GPU"
Update = Any
QA = Part("starter-qa", ("answer-passage", "answer-reading"))
EXAMPLES: dict[str, Plan] = {
    "LoRA learns to answer questions": Plan(
        "starter-seq2seq", (QA,), method="lora", training=Training(steps=160, batch=16, validation_rows=100)
    ),
    "A soft prompt for the same task": Plan(
        "starter-seq2seq", (QA,), method="prompt_tuning", training=Training(steps=300, batch=16)
    ),
    "Three tasks at once": Plan(
        "starter-seq2seq",
        (
            QA,
            Part("starter-sentiment", ("classify-sentiment-answer",)),
            Part("starter-translation", ("translate-french", "translate-sentence")),
        ),
        method="full",
        training=Training(steps=300, batch=16),
    ),
    "Stories by CLM": Plan(
        "starter-causal", (Part("starter-story", ("story-continue",)),), objective="causal", method="full",
        training=Training(steps=120, batch=8),
    ),
    "A sentiment classifier": Plan(
        "starter-toxicity", (Part("starter-sentiment"),), objective="classification", method="full",
        training=Training(steps=120, batch=16, length=128),
    ),
}  # fmt: skip
TOKENS = """
{{#if value.rows.length}}<div class="seen"><p class="panel-note" role="status">{{value.note}}</p>
<p class="legend">{{#each value.legend}}<span class="tok {{this.[0]}}">{{this.[1]}}</span>{{/each}}</p>
{{#each value.rows}}<div class="row"><pre>{{#each this.tokens}}<span class="tok {{this.[1]}}">{{this.[0]}}</span>
{{~/each}}</pre>
{{#if this.target.length}}<pre class="target">{{#each this.target}}<span class="tok {{this.[1]}}">{{this.[0]}}</span>
{{~/each}}</pre>{{/if}}<p class="panel-note">Learned: <b>{{this.label}}</b></p></div>{{/each}}</div>{{/if}}
"""
MEMORY = """
{{#if value.bars.length}}<div class="memory"><p class="panel-note" role="status">{{value.note}}</p>
<ul>{{#each value.bars}}<li><span>{{this.name}}</span><div class="bar"><i style="width:{{this.percent}}%"></i></div>
<b>{{this.size}}</b></li>{{/each}}</ul>
<p class="panel-note {{value.tone}}">{{value.fits}}</p><p class="panel-note">{{value.gpus}}</p></div>{{/if}}
"""


class New:
    """The tab; `begun` is set to the id of a run when it has been started."""

    def __init__(self, lab: Lab, begun: gr.State) -> None:
        with gr.Row(elem_classes=["chips"]):
            chips = [gr.Button(name, size="sm", elem_id=f"ft-example-{n}") for n, name in enumerate(EXAMPLES)]
        self.form = forms.build()
        self.draft = gr.BrowserState(None, storage_key="genai-lab-finetune", secret="genai-lab")
        with gr.Row():
            preset = gr.Dropdown(
                list(forms.PRESETS), value=None, label="Preset", info="Sets steps and batch.", interactive=True,
                elem_id="ft-preset",
            )  # fmt: skip
            self.title = gr.Textbox(
                "", label="Title of the run", info="Empty: the model's name.", max_lines=1, elem_id="ft-title"
            )
            self.tags = gr.Textbox("", label="Tags", info="With commas.", max_lines=1, elem_id="ft-tags")
            self.gate = gr.Dropdown(
                [], label="Gate", info="Evaluations of the base that run again afterwards.", multiselect=True,
                interactive=True, elem_id="ft-gate",
            )  # fmt: skip
        with gr.Row(elem_classes=["actions"]):
            start = gr.Button("Start run", variant="primary", size="sm", scale=0, min_width=110, elem_id="ft-start")
            look = gr.Button("First batch", size="sm", scale=0, min_width=100, elem_id="ft-look")
            weigh = gr.Button("Memory", size="sm", scale=0, min_width=90, elem_id="ft-memory")
            gpu = gr.Dropdown(
                [NO_GPU, *estimating.GPUS], value=NO_GPU, show_label=False, label="GPU", container=False, scale=0,
                min_width=160, interactive=True, elem_id="ft-gpu",
            )  # fmt: skip
            reset = gr.Button("Start over", size="sm", scale=0, min_width=90, elem_id="ft-reset")
        memory = piece({"bars": []}, MEMORY, "ft-plan", sheet="finetune.css")
        seen = piece({"rows": []}, TOKENS, "ft-batch", sheet="finetune.css")
        words = [self.title, self.tags, self.gate]
        _yaml(lab, words, self.form.inputs)
        inputs, form = self.form.inputs, self.form
        choice = [form.objective, form.method, *form.groups.values()]
        for chip, name in zip(chips, EXAMPLES, strict=True):
            fills(chip.click, example, inputs, lab, name)
        for event in (form.model.change, form.objective.change, form.method.change):
            event(guarded(forms.suited, lab), [form.model, form.objective, form.method], choice, queue=False, **PRIVATE)
            event(guarded(about, lab), [form.model, form.objective, form.method], form.about, queue=False, **PRIVATE)
        look.click(guarded(looked, lab), inputs, seen, concurrency_id="models", **PRIVATE)
        weigh.click(guarded(weighed, lab), [gpu, *inputs], memory, concurrency_id="models", **PRIVATE)
        start.click(
            guarded(started, lab),
            [*words, *inputs],
            begun,
            concurrency_id="models",
            **PRIVATE,
        )
        preset.input(preset_values, preset, form.pace, queue=False, **PRIVATE)
        fills(reset.click, forms.offered, inputs, lab, None)
        for one in inputs:
            one.change(None, inputs, self.draft, js=KEEP, queue=False, **PRIVATE)


def _yaml(lab: Lab, words: list[Any], inputs: list[Any]) -> None:
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


def arrived(lab: Lab, draft: str | None, count: int, plan: Plan | None = None) -> list[Update]:
    """The inputs as the address or the draft asks for them, and the evaluations that can be a gate."""
    values = forms.values_of(plan) if plan is not None else forms.draft_of(draft, count)
    return [*forms.offered(lab, values), gate_choices(lab)]


def gate_choices(lab: Lab) -> Update:
    found = [(f"{one.id}: {one.title}", one.id) for one in evaluation.find(lab, 40)]
    return gr.update(choices=found)


def example(lab: Lab, name: str) -> Sequence[Update]:
    """An example in the form, its datasets imported where they are not there."""
    plan = EXAMPLES[name]
    for part in plan.data:
        if not any(view.dataset == part.dataset for view in datasets.find(lab, part.dataset, 50)[0]):
            datasets.import_starter(lab, part.dataset.removeprefix("starter-"), part.dataset)
    return forms.offered(lab, forms.values_of(plan))


def about(lab: Lab, model: str | None, objective: str, method: str) -> str:
    """What is learned and what is trained, in lines, with the share of the weights where it can be told."""
    goal, way = OBJECTIVES.get(objective), METHODS.get(method)
    lines = [
        f"<b>{html.escape(goal.title)}.</b> {html.escape(goal.about)} <small>{html.escape(goal.source)}</small>",
        f"<b>{html.escape(way.title)}.</b> {html.escape(way.about)} <small>{html.escape(way.source)}</small>",
    ]
    share = estimating.share_of(lab, model, objective, method) if model else None
    if share is not None:
        rate = estimating.rate_of(lab, model or "", objective, method)
        lines.append(f"Trains <b>{share_text(*share)}</b> parameters; an empty learning rate means {rate:g}.")
    return "".join(f'<p class="panel-note about">{line}</p>' for line in lines)


def started(lab: Lab, title: str, tags: str, gate: list[int] | None, *values: Any) -> int:
    plan, name = forms.plan_of(*values)
    begun = studies.start_gated(lab, plan, gate or [], name=name, title=title or "", tags=(tags or "").split(","))
    gr.Info(f"Run {begun.run_id} is queued.", duration=4, title="Started")
    return begun.run_id


def looked(lab: Lab, *values: Any) -> dict[str, Any]:
    made = first_batch(lab, forms.plan_of(*values)[0])
    return batch_value(made)


def batch_value(made: FirstBatch) -> dict[str, Any]:
    kinds = {kind for row in made.rows for _, kind in (*row.tokens, *row.target)}
    words = {
        "read": "read", "trained": "learned", "masked": "masked", "corrupted": "corrupted", "padded": "padding",
    }  # fmt: skip
    some = made.prepared
    items = sum(map(len, some.train))
    learned = f"{made.trained_tokens:,} tokens learned. " if made.trained_tokens else ""
    note = (
        f"{made.batch} rows of {made.width} tokens in the first batch, {100 * made.padding:.0f} % padding, "
        f"{learned}In the run: {items:,} items of {some.rows:,} rows, {some.cut:,} cut "
        f"to length, {some.left_out:,} left out, {len(some.validation):,} for validation, {some.steps:,} steps."
    )
    return {
        "note": note,
        "legend": [[kind, word] for kind, word in words.items() if kind in kinds],
        "rows": [
            {"tokens": _shown(row.tokens), "target": _shown(row.target), "label": row.label or "–"} for row in made.rows
        ],
    }


def _shown(tokens: Sequence[tuple[str, str]]) -> list[list[str]]:
    return [[text.replace("\n", "↵"), kind] for text, kind in tokens[:400]]


def preset_values(name: str | None) -> Sequence[Update]:
    return forms.PRESETS.get(name or "", (gr.skip(), gr.skip()))


def weighed(lab: Lab, gpu: str, *values: Any) -> dict[str, Any]:
    plan, _ = forms.plan_of(*values)
    return memory_value(estimating.estimate(lab, plan, preparing.known(lab, plan)), gpu)


def memory_value(made: estimating.Estimate, chosen: str = "") -> dict[str, Any]:
    """Bars by kind; what fits."""
    memory = made.memory
    kinds = {
        "Weights": memory.weights, "Gradients": memory.gradients, "Optimiser states": memory.optimiser,
        "Activations": memory.activations, "Temporaries": memory.temporaries, "Peak": memory.peak,
    }  # fmt: skip
    most = max(memory.peak, 1)
    needed = made.on_gpu
    smallest = next((name for name, size in estimating.GPUS.items() if size >= needed), None)
    rows = f"rows of {made.length:,} tokens{f' and completions of {made.target:,}' if made.target else ''}"
    share = f"{count_text(memory.trained)} of {count_text(memory.parameters)} parameters trained"
    each = f"; each of {made.processes} processes takes this" if made.processes > 1 else ""
    room = f"{size_text(made.free)} of memory and {size_text(made.disk_free)} of disk are free"
    gpu = (
        f"the smallest known that holds it is {smallest}."
        if smallest
        else "more than any single one holds: use several processes and sharding."
    )
    if chosen in estimating.GPUS:
        size = estimating.GPUS[chosen]
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


def written(lab: Lab, title: str, tags: str, gate: list[int] | None, *values: Any) -> tuple[str, str]:
    return yaml_of(*values), command_of(lab, title, tags, gate, *values)


def yaml_of(*values: Any) -> str:
    return forms.plan_of(*values)[0].to_yaml()


def command_of(lab: Lab, title: str, tags: str, gate: list[int] | None, *values: Any) -> str:
    _, name = forms.plan_of(*values)
    return telling.command(lab, FILE, name, title or "", [one.strip() for one in (tags or "").split(",")], gate or [])


def put_in(lab: Lab, text: str) -> Sequence[Update]:
    if not (text or "").strip():
        raise LabError("There is no YAML to put into the form; write it from the form, or paste one.")
    return forms.offered(lab, forms.values_of(Plan.from_yaml(text)))
