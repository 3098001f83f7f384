"""Runs in panels: the table, the detail of one run, the settings that differ between runs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from genai_lab.context import LabContext
from genai_lab.services import models, training
from genai_lab.services.training import TrainingView, plan_diff, progress
from pages.components import jobstrip
from pages.components.stats import NOTHING, left_out_text, seconds_text, share_text, size_text

TABLE = """
{{#if value.any}}<div class="grid-scroll" tabindex="0" role="region" aria-label="Runs">
<table class="grid run-table" data-ready="yes"><thead><tr><th scope="col">Run</th><th scope="col">Title</th>
<th scope="col">Base</th><th scope="col">Method</th><th scope="col">State</th><th scope="col">Step</th>
<th scope="col">Validation loss</th><th scope="col">Tokens/s</th><th scope="col">Time</th></tr></thead><tbody>
{{#each value.checking}}<tr class="checking"><td>–</td><td><span>{{this.title}}</span></td><td>{{this.base}}</td>
<td>{{this.method}}</td><td><span class="state queued" role="status">queued, checking</span></td><td>–</td><td>–</td>
<td>–</td><td>–</td></tr>{{/each}}{{#each value.rows}}<tr data-run="{{this.id}}"
data-status="{{this.status}}" class="{{#if this.chosen}}picked{{/if}}"><td><button type="button"
aria-label="Open run {{this.id}}">{{this.id}}</button></td><td><span>{{this.title}}</span>{{#each this.tags}}
<i class="tag">{{this}}</i>{{/each}}</td><td>{{this.base}}</td><td>{{this.method}}</td>
<td><span class="state {{this.status}}">{{this.state}}</span>{{#if this.live}}<div class="bar" role="progressbar"
aria-label="Progress of run {{this.id}}" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{{this.percent}}">
<i style="width:{{this.percent}}%"></i></div>{{/if}}</td><td>{{this.step}}</td><td>{{this.loss}}
{{#if this.best}}<small>{{this.best}}</small>{{/if}}</td>
<td>{{this.speed}}</td><td>{{this.time}}</td></tr>{{/each}}
</tbody></table></div>
{{else}}<div class="empty-state" data-ready="yes"><b>No runs yet</b><p>Choose an example on the New tab and start it;
its curves appear here while it learns.</p></div>{{/if}}
"""
TABLE_SCRIPT = """
element.addEventListener('click', e => {
  const row = e.target.closest('tr[data-run]');
  if (!row) return;
  history.replaceState(null, '', location.pathname + '?run=' + row.dataset.run);
  trigger('select', { id: row.dataset.run });
});
"""
DETAIL = """
{{#if value.waiting}}<p class="panel-note" role="status">Reading run {{value.waiting}}…</p>
{{else if value.id}}<div class="job-detail run-detail"><h2>{{value.title}} <span class="state {{value.status}}"
data-status="{{value.status}}">{{value.state}}</span></h2>
{{#if value.error}}<p class="problem">{{value.error}}</p>{{/if}}{{#if value.ended}}<p>{{value.ended}}</p>{{/if}}
{{#if value.live}}<div class="bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"
aria-valuenow="{{value.percent}}"><i style="width:{{value.percent}}%"></i></div><p>{{value.message}}</p>{{/if}}
{{#each value.notes}}<p>{{this}}</p>{{/each}}
<dl>{{#each value.facts}}<dt>{{this.[0]}}</dt><dd>{{this.[1]}}</dd>{{/each}}</dl>
{{#if value.try}}<p><a class="try" href="/?model={{value.try}}">Try {{value.try}} in the playground</a></p>{{/if}}
{{#if value.align}}<p><a class="align" href="/align?reward={{value.align_address}}">Align a policy with
{{value.align}}</a></p>{{/if}}{{#if value.rollouts}}<p><a href="/align?run={{value.id}}&tab=rollouts">Read its
completions</a></p>{{/if}}</div>
{{/if}}
"""
DIFFERENCES = """
{{#if value.rows.length}}<div class="grid-scroll" tabindex="0" role="region" aria-label="Settings that differ">
<table class="grid"><thead><tr><th scope="col">Setting</th>{{#each value.names}}<th scope="col">{{this}}</th>{{/each}}
</tr></thead><tbody>{{#each value.rows}}<tr><th scope="row">{{this.name}}</th>{{#each this.values}}<td>{{this}}</td>
{{/each}}</tr>{{/each}}</tbody></table></div>{{/if}}
"""


def differences_value(views: Sequence[TrainingView]) -> dict[str, Any]:
    if len(views) < 2:
        return {"rows": []}
    return {
        "names": [f"{view.id}: {view.title}" for view in views],
        "rows": [{"name": name, "values": values} for name, values in plan_diff.differences(views)],
    }


def table_value(lab: LabContext, views: Sequence[TrainingView], run: int | None) -> dict[str, Any]:
    """The table: starts that are being checked, then every run with how far it is."""
    standings = progress.standings(lab, views)
    checking = [asdict(start) for start in progress.find_starting(lab)]
    rows = [row_value(view, standings[view.id], run) for view in views]
    return {"rows": rows, "checking": checking, "any": bool(rows or checking)}


def row_value(view: TrainingView, at: progress.RunProgress, run: int | None) -> dict[str, Any]:
    """A run as a row of a table of runs."""
    job = view.job
    strip = jobstrip.row(job) if job else {}
    live = view.status in ("running", "queued")
    time_left = f"{seconds_text(job.seconds_left)} left" if job and job.seconds_left is not None else NOTHING
    return {
        "id": view.id,
        "title": view.title,
        "tags": list(view.tags),
        "base": view.plan.model,
        "method": view.method,
        "status": view.status,
        "state": view.status if not live else strip.get("message") or view.status,
        "live": live,
        "percent": strip.get("percent", 0),
        "step": f"{at.step:,} of {at.steps:,}" if at.steps and at.step is not None else NOTHING,
        "loss": f"{at.last:.3f}" if at.last is not None else NOTHING,
        "best": f"best {at.best:.3f} at {at.best_step:,}" if at.best is not None and at.best_step is not None else "",
        "speed": f"{at.speed:,.0f}" if at.speed else NOTHING,
        "time": time_left if live else seconds_text(at.seconds),
        "chosen": view.id == run,
    }


def detail_value(lab: LabContext, view: TrainingView, model: models.ModelView | None) -> dict[str, Any]:
    """The panel of one run; `model` is what it has made, where that can be used already."""
    job, out = view.job, view.outcome
    memory = view.predicted.get("memory") or {}
    estimated = out.get("foreseen") or memory.get("peak")
    trained, total = out.get("trained") or memory.get("trained"), out.get("parameters") or memory.get("parameters")
    facts = {
        "Model": view.model or NOTHING,
        "Base": view.plan.model,
        "Trained": share_text(trained, total) if trained else "",
        "Data": "; ".join(f"{spec.dataset} ({', '.join(spec.templates) or 'plain'})" for spec in view.plan.data),
        "Rows": _rows(out),
        "Steps": f"{out['steps']:,}{', stopped early' if out.get('stopped_early') else ''}" if "steps" in out else "",
        "Checkpoint": f"step {out['step']:,}" if "step" in out else "",
        view.best_figure.capitalize(): f"{out['best_loss']:.4f}" if out.get("best_loss") is not None else "",
        "Time": seconds_text(out.get("seconds")) if out.get("seconds") else "",
        "Speed": f"{out['tokens'] / out['seconds']:,.0f} tokens/s" if out.get("tokens") and out.get("seconds") else "",
        "Memory": f"estimated {size_text(estimated)}, measured {size_text(view.measured)}" if estimated else "",
        "On disk": size_text(out.get("bytes")) if out.get("bytes") else "",
        "Folder": training.model_folder(lab, view) if model else "",
        "Seed": str(view.seed),
        "Code": f"{view.code_revision[:10]}{' with changes' if view.dirty else ''}",
    }  # fmt: skip
    return {
        "id": view.id,
        "title": view.title,
        "status": view.status,
        "state": view.state,
        "live": view.status in ("running", "queued"),
        "percent": round(100 * ((job.share if job else 0) or 0)),
        "message": " · ".join(
            filter(
                None, (job.message, f"{seconds_text(job.seconds_left)} left" if job.seconds_left is not None else "")
            )
        )
        if job
        else "",
        "error": view.error or "",
        "ended": _end_text(lab, view),
        "notes": [*view.sentences, *view.notes],
        "facts": [[name, text] for name, text in facts.items() if text],
        "try": view.model if model and view.writes else "",
        "align": view.model if model and view.makes_reward_model else "",
        "align_address": quote(view.model or "", safe=""),
        "rollouts": view.rolls_out,
    }


def _rows(out: Mapping[str, Any]) -> str:
    if "rows" not in out:
        return ""
    return f"{out['rows']:,}, {out['cut']:,} cut, {left_out_text(out['left_out'], out.get('left_rows', ()))}"


def _end_text(lab: LabContext, view: TrainingView) -> str:
    """Where a run that was cancelled or failed stood, and what it can be kept from."""
    if view.status not in ("cancelled", "failed"):
        return ""
    at = progress.standings(lab, [view])[view.id]
    where = f"{view.status.capitalize()} at step {at.step:,} of {at.steps:,}" if at.steps else view.status.capitalize()
    step = progress.best_checkpoint(lab, view)
    if step is None:
        return f"{where}; no checkpoint yet."
    loss = f", {view.best_figure} {at.best:.3f}" if at.best is not None and at.best_step == step else ""
    return f"{where}; best checkpoint: step {step:,}{loss}."
