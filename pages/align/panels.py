"""Policy runs in panels: the table, the head of one run with its newest figures and links."""

from collections.abc import Sequence
from typing import Any

from genai_lab.context import LabContext
from genai_lab.services import alignment, models
from genai_lab.services.training import TrainingView, progress
from genai_lab.training.objectives import OBJECTIVES
from pages.components.stats import NOTHING
from pages.finetune import run_panels

TABLE = """
{{#if value.rows.length}}<div class="grid-scroll" tabindex="0" role="region" aria-label="Policies">
<table class="grid policy-table" data-ready="yes"><thead><tr><th scope="col">Run</th><th scope="col">Title</th>
<th scope="col">Base</th><th scope="col">Objective</th><th scope="col">State</th><th scope="col">Step</th>
<th scope="col">Score</th><th scope="col">KL</th><th scope="col">Ended</th><th scope="col">Time</th></tr></thead><tbody>
{{#each value.rows}}<tr data-run="{{this.id}}" data-status="{{this.status}}"
class="{{#if this.chosen}}picked{{/if}}"><td><button type="button"
aria-label="Open run {{this.id}}">{{this.id}}</button></td><td><span>{{this.title}}</span></td><td>{{this.base}}</td>
<td>{{this.objective}}</td><td><span class="state {{this.status}}">{{this.state}}</span>{{#if this.live}}
<div class="bar" role="progressbar" aria-label="Progress of run {{this.id}}" aria-valuemin="0" aria-valuemax="100"
aria-valuenow="{{this.percent}}"><i style="width:{{this.percent}}%"></i></div>{{/if}}</td><td>{{this.step}}</td>
<td>{{this.score}}</td><td>{{this.kl}}</td><td>{{this.ended}}</td><td>{{this.time}}</td></tr>{{/each}}
</tbody></table></div>
{{else}}<div class="empty-state" data-ready="yes"><b>No policy yet</b><p>Choose an example on the first tab and
start it; it appears here while it learns.</p></div>{{/if}}
"""
LINKS = """
{{#if value.id}}<p class="policy-links"><a href="/align?run={{value.id}}">Link to this run</a>
<a href="/finetune?run={{value.id}}">Run {{value.id}} in Fine-tune</a>
<a href="/lineage?run={{value.id}}">Where it comes from</a>
{{#each value.rewards}}<a href="/models?model={{this}}">{{this}}</a>{{/each}}</p>{{/if}}
"""


def table_value(lab: LabContext, views: Sequence[TrainingView], run: int | None) -> dict[str, Any]:
    standings, figures = progress.standings(lab, views), alignment.progress(lab, views)
    return {"rows": [_row(view, standings[view.id], figures[view.id], run) for view in views]}


def _row(
    view: TrainingView, at: progress.RunProgress, figures: alignment.PolicyProgress, run: int | None
) -> dict[str, Any]:
    return run_panels.row_value(view, at, run) | {
        "objective": view.plan.objective.upper(),
        "score": number_text(figures.score),
        "kl": f"{figures.kl:.2f} nats" if figures.kl is not None else NOTHING,
        "ended": f"{100 * figures.ended:.0f} %" if figures.ended is not None else NOTHING,
    }


def number_text(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def detail_value(lab: LabContext, view: TrainingView, model: models.ModelView | None) -> dict[str, Any]:
    """As on the Fine-tune page, with what the policy is rewarded for."""
    detail = run_panels.detail_value(lab, view, model)
    settings = OBJECTIVES.get(view.plan.objective).settings_of(view.plan)
    rewards = [["Reward", "; ".join(map(str, settings.parts))]]
    beta = f"within {settings.target_kl:g} nats" if settings.target_kl else f"beta {settings.beta:g}"
    rewards.append(["KL", f"{beta}, {settings.kl}"])
    return {**detail, "rollouts": False, "facts": [*rewards, *detail["facts"]]}


def links_value(view: TrainingView) -> dict[str, Any]:
    rewards = [name for role, name, _ in view.inputs if role.startswith("reward")]
    return {"id": view.id, "rewards": rewards}
