"""Every job: found, watched while it works, ended, tried again; with its log and its curves."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import jobs as service
from pages.components import jobstrip
from pages.components.confirm import Confirm
from pages.components.errors import PRIVATE, guarded
from pages.components.head import page_head, piece
from pages.components.opening import number_of, on_open
from pages.components.plots import figure, layout
from pages.components.selection import Selection
from pages.components.stats import NOTHING, seconds_text, size_text

TITLE = "Jobs"
ROUTE = "jobs"
PAGE = 20
EVERY = 1.0
LOG_LINES = 200
POINTS = 400
ALL = "any"
Update = Any
_TABLE = """
{{#if value.waiting}}<div class="empty-state"><b>Reading the jobs</b><p>One moment.</p></div>
{{else if value.rows.length}}<p class="panel-note" role="status">{{value.count}}</p>
<div class="grid-scroll" tabindex="0" role="region" aria-label="Jobs"><table class="grid job-table" data-ready="yes">
<thead><tr><th scope="col">Job</th><th scope="col">What</th><th scope="col">Kind</th><th scope="col">State</th>
<th scope="col">Progress</th><th scope="col">Time</th><th scope="col">Peak memory</th><th scope="col">Begun (UTC)</th>
</tr></thead><tbody>{{#each value.rows}}<tr data-job="{{this.id}}" data-status="{{this.status}}"
class="{{#if this.chosen}}picked{{/if}}"><td><button type="button" aria-label="Open job {{this.id}}">{{this.id}}
</button></td><td><span>{{this.title}}</span>{{#if this.run}}<small>run {{this.run}}</small>{{/if}}</td>
<td>{{this.kind}}</td>
<td><span class="state {{this.status}}">{{this.state}}</span></td>
<td>{{#if this.live}}<div class="bar" role="progressbar" aria-label="Progress of job {{this.id}}" aria-valuemin="0"
aria-valuemax="100" aria-valuenow="{{this.percent}}"><i style="width:{{this.percent}}%"></i></div>{{/if}}
<small>{{this.message}}</small></td><td>{{this.time}}</td><td>{{this.memory}}</td><td>{{this.begun}}</td></tr>
{{/each}}</tbody></table></div>
{{else}}<div class="empty-state" data-ready="yes"><b>{{value.title}}</b><p>{{value.next}}</p></div>{{/if}}
"""
_TABLE_SCRIPT = """
let pressed = null;
element.addEventListener('click', e => {
  const row = e.target.closest('tr[data-job]');
  if (!row) return;
  pressed = e.target.closest('button') && row.dataset.job;
  history.replaceState(null, '', location.pathname + '?job=' + row.dataset.job);
  trigger('select', { id: row.dataset.job });
});
watch('value', () => {
  if (pressed) element.querySelector(`tr[data-job="${pressed}"] button`)?.focus();
  pressed = null;
});
"""
_DETAIL = """
{{#if value.id}}<div class="job-detail"><h2>{{value.title}} <span class="state {{value.status}}"
data-status="{{value.status}}">{{value.state}}</span></h2>
{{#if value.error}}<p class="problem">{{value.error}}</p>{{/if}}
{{#if value.live}}<div class="bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"
aria-valuenow="{{value.percent}}"><i style="width:{{value.percent}}%"></i></div><p>{{value.message}}</p>{{/if}}
<dl>{{#each value.facts}}<dt>{{this.[0]}}</dt><dd>{{this.[1]}}</dd>{{/each}}</dl></div>
{{else}}<div class="empty-state"><b>No job chosen</b><p>Choose one in the table to read its log and its
figures.</p></div>{{/if}}
"""


def build(lab: LabContext) -> None:
    page_head(TITLE, "Long work in the background: it goes on when this page is closed and after the app is restarted.")
    chosen, place, seen = gr.State(0), gr.State(0), gr.State("")
    with gr.Row(elem_classes=["actions"]):
        search = gr.Textbox(label="Search", placeholder="Words of the title", elem_id="jobs-search", max_lines=1)
        status = gr.Dropdown([ALL, *service.STATUSES], value=ALL, label="State", elem_id="jobs-status")
    table = piece({"waiting": True}, _TABLE, "jobs-table", _TABLE_SCRIPT, sheet="jobs.css")
    with gr.Row(elem_classes=["actions"]):
        newer = gr.Button("Newer", size="sm", scale=0, min_width=70, elem_id="jobs-newer")
        older = gr.Button("Older", size="sm", scale=0, min_width=70, elem_id="jobs-older")
    detail = piece({}, _DETAIL, "jobs-detail", sheet="jobs.css")
    with gr.Row(elem_classes=["actions"]):
        cancel = gr.Button("Cancel job", size="sm", scale=0, min_width=90, visible=False, elem_id="jobs-cancel")
        again = gr.Button("Try again", size="sm", scale=0, min_width=90, visible=False, elem_id="jobs-retry")
    surely = Confirm("Cancel job", "jobs-confirm", "Go on")
    curves = gr.Plot(show_label=False, container=False, visible=False, elem_id="jobs-curves")
    with gr.Accordion("Log", open=False, elem_id="jobs-log-shelf", visible=False) as shelf:
        log = gr.Textbox(
            show_label=False, container=False, lines=12, max_lines=24, interactive=False, elem_id="jobs-log",
            elem_classes=["mono"], autoscroll=True,
        )  # fmt: skip
    wanted = [chosen, search, status, place]
    shown = [table, detail, cancel, again, curves, shelf, log, seen, place]
    selection = Selection()
    answers = selection.for_choice
    on_open(opened, [chosen, *shown], lab)
    table.select(guarded(choose), None, chosen, **PRIVATE)
    chosen.change(selection.on_choice(draw, lab), wanted, shown, **PRIVATE)
    for change in (search.change, status.change):
        change(answers(searched, lab), wanted[:-1], shown, trigger_mode="always_last", **PRIVATE)
    newer.click(answers(turned, lab, -1), wanted, shown, **PRIVATE)
    older.click(answers(turned, lab, 1), wanted, shown, **PRIVATE)
    cancel.click(guarded(ask, lab, surely), chosen, surely.outputs, **PRIVATE)
    surely.yes.click(answers(cancelled, lab), wanted, shown, **PRIVATE).then(
        surely.close, None, surely.outputs, **PRIVATE
    )
    again.click(answers(retried, lab), wanted, shown, **PRIVATE)
    gr.Timer(EVERY).tick(answers(tick, lab), [*wanted, seen], shown, **PRIVATE)


def opened(lab: LabContext, request: gr.Request) -> Sequence[Update]:
    """The page as its address asks for it: ?job=ID."""
    job = number_of(request.query_params.get("job")) or 0
    return job, *draw(lab, job, "", ALL, 0)


def choose(event: gr.EventData) -> int:
    return int(event.id)


def searched(lab: LabContext, chosen: int, search: str, status: str) -> Sequence[Update]:
    return draw(lab, chosen, search, status, 0)


def turned(lab: LabContext, way: int, chosen: int, search: str, status: str, place: int) -> Sequence[Update]:
    last = max(0, (_found(lab, search, status, 0)[1] - 1) // PAGE)
    return draw(lab, chosen, search, status, min(max(place + way, 0), last))


def ask(lab: LabContext, surely: Confirm, chosen: int) -> Sequence[Update]:
    view = service.show(lab, chosen)
    return surely.ask(f"Cancel job {view.id} ({view.title})? What it has found so far is kept; it can be tried again.")


def cancelled(lab: LabContext, chosen: int, search: str, status: str, place: int) -> Sequence[Update]:
    service.cancel(lab, chosen)
    return draw(lab, chosen, search, status, place)


def retried(lab: LabContext, chosen: int, search: str, status: str, place: int) -> Sequence[Update]:
    service.retry(lab, chosen)
    return draw(lab, chosen, search, status, place)


def tick(lab: LabContext, chosen: int, search: str, status: str, place: int, seen: str) -> Any:
    """Draws again where something has changed; nothing at all leaves the server otherwise."""
    if seen in ("", _mark(lab, search, status, place, chosen)):
        return gr.skip()
    return draw(lab, chosen, search, status, place)


def draw(lab: LabContext, chosen: int, search: str, status: str, place: int) -> Sequence[Update]:
    """Everything on the page, in the order of `shown`."""
    found, total = _found(lab, search, status, place)
    view = _known(lab, chosen)
    text = service.log(lab, view.id, LOG_LINES) if view else ""
    return (
        _table(found, total, place, chosen, bool(search or status != ALL)),
        _detail(view) if view else {},
        gr.update(visible=bool(view and view.live and not view.cancel_requested)),
        gr.update(visible=bool(view and view.status in ("failed", "cancelled"))),
        _curves(lab, view),
        gr.update(visible=view is not None),
        text or "Nothing has been written.",
        _mark(lab, search, status, place, chosen),
        place,
    )


def _found(lab: LabContext, search: str, status: str, place: int) -> tuple[list[service.JobView], int]:
    wanted = None if status in (ALL, "", None) else status
    return service.find(lab, status=wanted, search=search or "", limit=PAGE, offset=place * PAGE)


def _known(lab: LabContext, chosen: int) -> service.JobView | None:
    try:
        return service.show(lab, chosen) if chosen else None
    except LabError:
        return None


def _mark(lab: LabContext, search: str, status: str, place: int, chosen: int) -> str:
    found, total = _found(lab, search, status, place)
    view = _known(lab, chosen)
    return repr((total, [jobstrip.row(one) for one in found], view and _detail(view), view and view.settings))


def _table(found: list[service.JobView], total: int, place: int, chosen: int, narrowed: bool) -> dict[str, Any]:
    if not found:
        title = "Nothing found" if narrowed else "No jobs yet"
        then = (
            "No job is like that; clear the search or choose another state."
            if narrowed
            else "Import a dataset, run a matrix of prompts, evaluate, or download a model; the work appears here."
        )
        return {"rows": [], "title": title, "next": then}
    first = place * PAGE + 1
    count = f"Jobs {first:,} to {first + len(found) - 1:,} of {total:,}, newest first"
    return {"rows": [_row(view, view.id == chosen) for view in found], "count": count}


def _row(view: service.JobView, chosen: bool) -> dict[str, Any]:
    left = f"{seconds_text(view.seconds_left)} left" if view.seconds_left is not None else ""
    took = seconds_text(view.seconds) if view.seconds is not None and not view.live else ""
    return jobstrip.row(view) | {
        "kind": view.kind,
        "run": view.run_id or "",
        "chosen": chosen,
        "time": left if view.live else took or NOTHING,
        "memory": size_text(view.peak_memory),
        "begun": f"{view.started_at:%Y-%m-%d %H:%M:%S}" if view.started_at else NOTHING,
        "message": (view.message or view.waiting) if view.live else "",
    }


def _detail(view: service.JobView) -> dict[str, Any]:
    facts = {
        "Job": f"{view.id}, {view.kind}, on {view.resource}",
        "Progress": f"{view.done:,.4g} of {view.total:,.4g}" if view.total else NOTHING,
        "Time left": seconds_text(view.seconds_left) if view.live else "",
        "Took": seconds_text(view.seconds) if not view.live and view.seconds is not None else "",
        "Peak memory": size_text(view.peak_memory),
        "Attempt": view.attempts.removeprefix("attempt ") or str(view.attempt or NOTHING),
        "Priority": str(view.priority) if view.priority else "",
        "Needs": f"job {view.depends_on_id}" if view.depends_on_id else "",
        "Part of": f"job {view.parent_id}" if view.parent_id else "",
        "Makes": f"run {view.run_id}" if view.run_id else "",
        "Queued": f"{view.created_at:%Y-%m-%d %H:%M:%S} UTC",
        "Ended": f"{view.ended_at:%Y-%m-%d %H:%M:%S} UTC" if view.ended_at else "",
    }
    return jobstrip.row(view) | {
        "message": view.message or view.waiting,
        "facts": [[name, text] for name, text in facts.items() if text],
    }


def _curves(lab: LabContext, view: service.JobView | None) -> Update:
    """The job's curves, thinned out to what a screen can show; no Plotly where there is none."""
    found = service.metrics(lab, view.id) if view else {}
    if not found:
        return gr.update(visible=False)
    data = [_line(name, points) for name, points in found.items()]
    made = layout(height=280, showlegend=True)
    made["xaxis"] = made["xaxis"] | {"title": {"text": "step"}}
    return gr.update(value=figure(data, made), visible=True)


def _line(name: str, points: list[tuple[int, float]]) -> dict[str, Any]:
    kept = points[:: max(1, len(points) // POINTS)]
    kept = kept if kept[-1] == points[-1] else [*kept, points[-1]]
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(kept) < 30 else "lines",
        "name": html.escape(name),
        "x": [step for step, _ in kept],
        "y": [value for _, value in kept],
    }
