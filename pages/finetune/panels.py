"""What a plan will do, in panels: what is trained, the first batch, memory and time."""

import html
from collections.abc import Sequence
from typing import Any

from genai_lab.services import training
from genai_lab.services.training import estimates
from genai_lab.services.training.batch_preview import FirstBatch
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES
from pages.components.stats import count_text, left_out_text, size_text

TOKENS = """
{{#if value.waiting}}<p class="panel-note" role="status">{{value.waiting}}</p>{{/if}}
{{#if value.rows.length}}<div class="seen"><p class="panel-note" role="status">{{value.note}}</p>
<p class="legend">{{#each value.legend}}<span class="tok {{this.[0]}}">{{this.[1]}}</span>{{/each}}</p>
{{#each value.rows}}<div class="row"><pre>{{#each this.tokens}}<span class="tok {{this.[1]}}">{{this.[0]}}</span>
{{~/each}}</pre>
{{#if this.target.length}}<pre class="target">{{#each this.target}}<span class="tok {{this.[1]}}">{{this.[0]}}</span>
{{~/each}}</pre>{{/if}}<p class="panel-note">Target: <b>{{this.label}}</b></p></div>{{/each}}</div>{{/if}}
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


def about_markup(objective: str, method: str, last: str) -> str:
    """What is learned and what is trained, with `last` as HTML below."""
    entries = OBJECTIVES.get(objective), METHODS.get(method)
    lines = [
        *(
            f"<b>{html.escape(entry.title)}.</b> {html.escape(entry.about)} <small>{html.escape(entry.source)}</small>"
            for entry in entries
        ),
        last,
    ]
    return "".join(f'<p class="panel-note about">{line}</p>' for line in lines if line)


def passes_text(resolved: training.ResolvedPlan) -> str:
    """The steps as passes over the training rows."""
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


def batch_value(batch: FirstBatch) -> dict[str, Any]:
    kinds = {kind for row in batch.rows for _, kind in (*row.tokens, *row.target)}
    titles = {
        "read": "read", "trained": "trained on", "masked": "masked", "corrupted": "corrupted", "padded": "padding",
    }  # fmt: skip
    prepared = batch.prepared
    items = sum(map(len, prepared.train))
    learned = f", {batch.trained_tokens:,} tokens trained on" if batch.trained_tokens else ""
    note = (
        f"{batch.form} {batch.batch} rows of {batch.width} tokens in the first batch, "
        f"{100 * batch.padding:.0f} % padding{learned}. In the run: {items:,} items of {prepared.rows:,} rows, "
        f"{prepared.cut:,} cut to length, {left_out_text(prepared.left_out, prepared.left_rows)}, "
        f"{len(prepared.validation):,} for validation, "
        f"{prepared.steps:,} steps."
    )
    return {
        "note": note.strip(),
        "legend": [[kind, word] for kind, word in titles.items() if kind in kinds],
        "rows": [
            {"tokens": _token_pairs(row.tokens), "target": _token_pairs(row.target), "label": row.label or "–"}
            for row in batch.rows
        ],
    }


def _token_pairs(tokens: Sequence[tuple[str, str]]) -> list[list[str]]:
    return [[text.replace("\n", "↵"), kind] for text, kind in tokens[:400]]


def memory_value(estimate: estimates.MemoryEstimate, gpu_name: str = "") -> dict[str, Any]:
    """Bars by kind; what fits."""
    memory = estimate.memory
    kinds = {
        "Weights": memory.weights, "Gradients": memory.gradients, "Optimiser states": memory.optimiser,
        "Activations": memory.activations, "Temporaries": memory.temporaries, "Process": memory.process,
        "Peak": memory.peak,
    }  # fmt: skip
    largest = max(memory.peak, 1)
    needed = estimate.on_gpu
    smallest = next((name for name, size in estimates.GPUS.items() if size >= needed), None)
    rows = f"rows of {estimate.length:,} tokens{f' and completions of {estimate.target:,}' if estimate.target else ''}"
    share = f"{count_text(memory.trained)} of {count_text(memory.parameters)} parameters trained"
    per_process = f"; each of {estimate.processes} processes takes this" if estimate.processes > 1 else ""
    room = f"{size_text(estimate.free)} of memory and {size_text(estimate.disk_free)} of disk are free"
    gpu = (
        f"the smallest known GPU that holds it is {smallest}."
        if smallest
        else "more than any single GPU holds: use several processes and sharding."
    )
    if gpu_name in estimates.GPUS:
        size = estimates.GPUS[gpu_name]
        gpu = f"{'fits into' if needed <= size else 'does not fit into'} {gpu_name} with {size_text(size)}; {gpu}"
    return {
        "note": f"Estimated for batches of {rows}; {share}{per_process}.",
        "bars": [
            {"name": name, "size": size_text(size), "percent": round(100 * min(1.0, size / largest))}
            for name, size in kinds.items()
        ],
        "fits": f"{'Fits into' if estimate.fits else 'Does not fit into'} this machine: {room}, "
        f"{size_text(estimate.disk)} of disk needed.",
        "tone": "" if estimate.fits else "problem",
        "gpus": f"On a GPU {size_text(needed)}: {gpu}",
    }
