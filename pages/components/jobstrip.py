"""The job strip: live and recent work of some kinds, the same after a reload, in a second browser, after a restart."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.services import jobs
from pages.components.errors import INTERNAL, event_handler
from pages.components.head import escaped_html, style_sheet
from pages.components.loading import on_load
from pages.components.stats import seconds_text, size_text

EVERY = 1.0
RECENT = 3
RECENTLY = timedelta(hours=1)
_TEMPLATE = """
{{#if value.length}}<ul class="jobs tabular" aria-label="Jobs">{{#each value}}<li data-job="{{this.id}}"
data-status="{{this.status}}"><div class="row"><a href="{{this.link}}"><b>{{this.title}}</b></a>
<span class="state {{this.status}}">{{this.state}}</span><span class="grow">{{this.message}}</span>
<span>{{this.figures}}</span>
{{#if this.stoppable}}<button type="button" data-do="cancel">Cancel</button>{{/if}}
{{#if this.again}}<button type="button" data-do="retry">Try again</button>{{/if}}
{{#unless this.live}}<button type="button" data-do="dismiss" aria-label="Dismiss {{this.title}}"
title="Dismiss">×</button>{{/unless}}</div>
{{#if this.live}}<div class="bar" role="progressbar" aria-label="Progress of {{this.title}}" aria-valuemin="0"
aria-valuemax="100" aria-valuenow="{{this.percent}}"><i style="width:{{this.percent}}%"></i></div>{{/if}}
{{#if this.attempts}}<p class="attempts">{{this.attempts}}</p>{{/if}}
{{#if this.error}}<p class="problem">{{this.error}}</p>{{/if}}</li>{{/each}}</ul>{{/if}}
"""
_SCRIPT = """
let asked = null;
const KEY = 'genai-lab-dismissed';
const dismissed = () => { try { return JSON.parse(localStorage.getItem(KEY)) ?? []; } catch (e) { return []; } };
const dismiss = id => {
  try { localStorage.setItem(KEY, JSON.stringify([...dismissed(), id].slice(-200))); } catch (e) { /* stays */ }
};
const mark = () => {
  const gone = dismissed();
  for (const row of element.querySelectorAll('li[data-job]')) {
    row.hidden = gone.includes(row.dataset.job) && !['running', 'queued'].includes(row.dataset.status);
  }
  const button = asked && element.querySelector(`li[data-job="${asked}"] [data-do=cancel]`);
  if (button) button.textContent = 'Really cancel?'; else asked = null;
};
element.addEventListener('click', e => {
  const button = e.target.closest('button[data-do]');
  if (!button) return;
  const id = button.closest('li').dataset.job;
  if (button.dataset.do === 'dismiss') { dismiss(id); button.closest('li').hidden = true; }
  else if (button.dataset.do === 'retry') trigger('retry', { id });
  else if (asked === id) { asked = null; trigger('cancel', { id }); }
  else { asked = id; mark(); }
});
watch('value', mark);
mark();
"""


def build(lab: LabContext, kinds: tuple[str, ...]) -> gr.HTML:
    """Draws the strip here; it asks every second and is drawn again only where something has changed."""
    name = "-".join(kinds)
    last_rows = gr.State([])
    strip = escaped_html(
        [],
        html_template=_TEMPLATE,
        css_template=style_sheet("jobs.css"),
        js_on_load=_SCRIPT,
        elem_classes=["plain"],
        elem_id=f"jobs-{name}",
    )
    on_load(draw, [strip, last_rows], lab, kinds)
    gr.Timer(EVERY).tick(event_handler(tick, lab, kinds), [last_rows], [strip, last_rows], queue=False, **INTERNAL)
    strip.cancel(event_handler(cancel_job, lab, kinds), None, [strip, last_rows], queue=False, **INTERNAL)
    strip.retry(event_handler(retry_job, lab, kinds), None, [strip, last_rows], queue=False, **INTERNAL)
    return strip


def draw(lab: LabContext, kinds: tuple[str, ...]) -> Sequence[Any]:
    current_rows = rows(lab, kinds)
    return current_rows, current_rows


def tick(lab: LabContext, kinds: tuple[str, ...], last_rows: list[Any]) -> Any:
    current_rows = rows(lab, kinds)
    return gr.skip() if current_rows == last_rows else (current_rows, current_rows)


def cancel_job(lab: LabContext, kinds: tuple[str, ...], event: gr.EventData) -> Sequence[Any]:
    jobs.cancel(lab, int(event.id))
    return draw(lab, kinds)


def retry_job(lab: LabContext, kinds: tuple[str, ...], event: gr.EventData) -> Sequence[Any]:
    jobs.retry(lab, int(event.id))
    return draw(lab, kinds)


def rows(lab: LabContext, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """Everything that is live, and the newest of what has ended within RECENTLY."""
    live = [view for status in ("running", "queued") for view in jobs.find(lab, status=status, kinds=kinds)[0]]
    since = datetime.now(UTC) - RECENTLY
    newest = jobs.find(lab, kinds=kinds, limit=RECENT)[0]
    recent = [view for view in newest if not view.live and (view.ended_at or view.created_at) > since]
    return [row(view) for view in [*live, *recent]]


def link_of(view: jobs.JobView) -> str:
    """Where the work is looked at: what the job makes, or the job itself where that is nothing or has failed."""
    places = {
        "matrix": ("/prompts?matrix=", view.run_id),
        "evaluate": ("/evaluate?evaluation=", view.run_id),
        "train": ("/finetune?run=", view.run_id),
        "keep": ("/finetune?run=", view.settings.get("run")),
        "campaign": ("/feedback?campaign=", view.settings.get("campaign")),
    }
    index, number = places.get(view.kind, ("", None))
    return f"{index}{number}" if number and view.status != "failed" else f"/jobs?job={view.id}"


def row(view: jobs.JobView) -> dict[str, Any]:
    """A job as text."""
    figures = []
    if view.status == "running" and view.seconds_left is not None:
        figures.append(f"{seconds_text(view.seconds_left)} left")
    elif view.seconds is not None and not view.live:
        figures.append(seconds_text(view.seconds))
    if view.peak_memory:
        figures.append(f"peak {size_text(view.peak_memory)}")
    return {
        "id": view.id,
        "title": view.title,
        "link": link_of(view),
        "status": view.status,
        "state": view.state,
        "message": (view.message or view.waiting) if view.live else "",
        "attempts": view.attempts,
        "figures": " · ".join(figures),
        "percent": round(100 * (view.share or 0.0)),
        "live": view.live,
        "stoppable": view.live and not view.cancel_requested,
        "again": view.status in ("failed", "cancelled"),
        "error": view.error or "",
    }
