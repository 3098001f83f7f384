"""Every job: search them, watch one work, cancel it or try it again; with its log and its curves."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import jobs as service
from genai_lab.services.jobs import outputs
from pages.components import jobstrip
from pages.components.confirm import Confirm
from pages.components.errors import INTERNAL, event_handler
from pages.components.forms import Form
from pages.components.head import html_part, page_head
from pages.components.loading import number_of
from pages.components.plots import figure, layout
from pages.components.selection import Selection
from pages.components.settings_inputs import Updates, Values
from pages.components.stats import NOTHING, seconds_text, size_text

TITLE = "Jobs"
ROUTE = "jobs"
PAGE_SIZE = 20
TICK_SECONDS = 1.0
LOG_LINES = 200
MAX_POINTS = 400
ANY_STATUS = "any"
_TABLE = """
{{#if value.waiting}}<div class="empty-state"><b>Reading the jobs</b><p>One moment.</p></div>
{{else if value.rows.length}}<p class="panel-note" role="status">{{value.count}}</p>
<div class="grid-scroll" tabindex="0" role="region" aria-label="Jobs"><table class="grid job-table" data-ready="yes">
<thead><tr><th scope="col">Job</th><th scope="col">Title</th><th scope="col">Kind</th><th scope="col">State</th>
<th scope="col">Progress</th><th scope="col">Time</th><th scope="col">Peak memory</th><th scope="col">Started (UTC)</th>
</tr></thead><tbody>{{#each value.rows}}<tr data-job="{{this.id}}" data-status="{{this.status}}"
class="{{#if this.selected}}picked{{/if}}"><td><button type="button" aria-label="Open job {{this.id}}">Job {{this.id}}
</button></td><td><span>{{this.title}}</span>{{#if this.run}}<small>
<a href="{{this.address}}">makes run {{this.run}}</a></small>{{/if}}</td>
<td>{{this.kind}}</td>
<td><span class="state {{this.status}}">{{this.state}}</span></td>
<td>{{#if this.live}}<div class="bar" role="progressbar" aria-label="Progress of job {{this.id}}" aria-valuemin="0"
aria-valuemax="100" aria-valuenow="{{this.percent}}"><i style="width:{{this.percent}}%"></i></div>{{/if}}
<small>{{this.message}}</small></td><td>{{this.time}}</td><td>{{this.memory}}</td><td>{{this.started}}</td></tr>
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
<dl>{{#each value.facts}}<dt>{{this.[0]}}</dt><dd>{{this.[1]}}</dd>{{/each}}</dl>
{{#if value.address}}<p><a href="{{value.address}}">Open result</a></p>{{/if}}</div>
{{else}}<div class="empty-state"><b>No job selected</b><p>Select one in the table to read its log and its
figures.</p></div>{{/if}}
"""


SELECTED = ["job_id", "search", "status", "page_index"]
CHANGED = ["table", "detail", "cancel", "retry", "curves", "log_panel", "log", "drawn_state", "page_index"]


def build(lab: LabContext) -> None:
    page_head(
        TITLE, "Long work in the background: it continues when this page is closed and after a restart of the app."
    )
    form = Form(job_id=gr.State(0), page_index=gr.State(0), drawn_state=gr.State(""))
    with gr.Row(elem_classes=["actions"]):
        form.add(
            search=gr.Textbox(label="Search", placeholder="Words in the title", elem_id="jobs-search", max_lines=1),
            status=gr.Dropdown([ANY_STATUS, *service.STATUSES], value=ANY_STATUS, label="State", elem_id="jobs-status"),
        )
    form.add(table=html_part({"waiting": True}, _TABLE, "jobs-table", _TABLE_SCRIPT, sheet="jobs.css"))
    with gr.Row(elem_classes=["actions"]):
        newer = gr.Button("Newer", size="sm", scale=0, min_width=70, elem_id="jobs-newer")
        older = gr.Button("Older", size="sm", scale=0, min_width=70, elem_id="jobs-older")
    form.add(detail=html_part({}, _DETAIL, "jobs-detail", sheet="jobs.css"))
    with gr.Row(elem_classes=["actions"]):
        button: dict[str, Any] = {"size": "sm", "scale": 0, "min_width": 90, "visible": False}
        form.add(
            cancel=gr.Button("Cancel job", elem_id="jobs-cancel", **button),
            retry=gr.Button("Try again", elem_id="jobs-retry", **button),
        )
    confirm = Confirm("Cancel job", "jobs-confirm", "Keep it running")
    form.add(curves=gr.Plot(show_label=False, container=False, visible=False, elem_id="jobs-curves"))
    with gr.Accordion("Log", open=False, elem_id="jobs-log-shelf", visible=False) as log_panel:
        log = gr.Textbox(
            show_label=False, container=False, lines=12, max_lines=24, interactive=False, elem_id="jobs-log",
            elem_classes=["mono"], autoscroll=True,
        )  # fmt: skip
    form.add(log_panel=log_panel, log=log)
    _wire(lab, form, confirm, newer, older)


def _wire(lab: LabContext, form: Form, confirm: Confirm, newer: gr.Button, older: gr.Button) -> None:
    selection = Selection(key=lambda arguments: arguments[0]["job_id"])

    def on(event: Any, fn: Any, *bound: Any, **options: Any) -> Any:
        return form.on(event, selection.for_choice(fn, *bound), inputs=SELECTED, outputs=CHANGED, **options)

    form.on_load(load_page, lab, outputs=["job_id", *CHANGED])
    form.on(form["table"].select, select_job, outputs=["job_id"])
    form.on(form["job_id"].change, selection.on_choice(render, lab), inputs=SELECTED, outputs=CHANGED)
    for component in (form["search"], form["status"]):
        on(component.change, first_page, lab, trigger_mode="always_last")
    on(newer.click, turn_page, lab, -1)
    on(older.click, turn_page, lab, 1)
    form["cancel"].click(event_handler(ask_to_cancel, lab, confirm), form["job_id"], confirm.outputs, **INTERNAL)
    on(confirm.yes.click, cancel_job, lab).then(confirm.close, None, confirm.outputs, **INTERNAL)
    on(form["retry"].click, retry_job, lab)
    form.on(
        gr.Timer(TICK_SECONDS).tick,
        selection.for_choice(refresh, lab),
        inputs=[*SELECTED, "drawn_state"],
        outputs=CHANGED,
    )


def load_page(lab: LabContext, request: gr.Request) -> Updates:
    """The page as its address asks for it: ?job=ID."""
    job_id = number_of(request.query_params.get("job")) or 0
    values = {"job_id": job_id, "search": "", "status": ANY_STATUS, "page_index": 0}
    return {"job_id": job_id, **render(lab, values)}


def select_job(event: gr.EventData) -> Updates:
    return {"job_id": int(event.id)}


def first_page(lab: LabContext, values: Values) -> Updates:
    return render(lab, {**values, "page_index": 0})


def turn_page(lab: LabContext, step: int, values: Values) -> Updates:
    total = _find(lab, {**values, "page_index": 0})[1]
    last = max(0, (total - 1) // PAGE_SIZE)
    return render(lab, {**values, "page_index": min(max(values["page_index"] + step, 0), last)})


def ask_to_cancel(lab: LabContext, confirm: Confirm, job_id: int) -> Sequence[Any]:
    view = service.show(lab, job_id)
    return confirm.ask(f"Cancel job {view.id} ({view.title})? Its results so far are kept, and it can be tried again.")


def cancel_job(lab: LabContext, values: Values) -> Updates:
    service.cancel(lab, values["job_id"])
    return render(lab, values)


def retry_job(lab: LabContext, values: Values) -> Updates:
    service.retry(lab, values["job_id"])
    return render(lab, values)


def refresh(lab: LabContext, values: Values) -> Updates:
    """Draws the page again where something has changed; otherwise nothing leaves the server."""
    return {} if values["drawn_state"] in ("", _state(lab, values)) else render(lab, values)


def render(lab: LabContext, values: Values) -> Updates:
    """Everything on the page for the selected job and the page of the table."""
    state = _state(lab, values)  # read first: what changes while the rest is read is drawn at the next tick
    views, total = _find(lab, values)
    view = _job(lab, values["job_id"])
    text = service.log(lab, view.id, LOG_LINES) if view else ""
    return {
        "table": _table(lab, views, total, values),
        "detail": _detail(view) | {"address": outputs.addresses(lab, [view])[view.id]} if view else {},
        "cancel": gr.update(visible=bool(view and view.live and not view.cancel_requested)),
        "retry": gr.update(visible=bool(view and view.status in ("failed", "cancelled"))),
        "curves": _curves(lab, view),
        "log_panel": gr.update(visible=view is not None),
        "log": text or "The log is empty.",
        "drawn_state": state,
        "page_index": values["page_index"],
    }


def _find(lab: LabContext, values: Values) -> tuple[list[service.JobView], int]:
    status = None if values["status"] in (ANY_STATUS, "", None) else values["status"]
    offset = values["page_index"] * PAGE_SIZE
    return service.find(lab, status=status, search=values["search"] or "", limit=PAGE_SIZE, offset=offset)


def _job(lab: LabContext, job_id: int) -> service.JobView | None:
    try:
        return service.show(lab, job_id) if job_id else None
    except LabError:
        return None


def _state(lab: LabContext, values: Values) -> str:
    """What the page shows, as one text; the page is drawn again when it changes."""
    views, total = _find(lab, values)
    view = _job(lab, values["job_id"])
    return repr((total, [jobstrip.row(job) for job in views], view and _detail(view), view and view.settings))


def _table(lab: LabContext, views: list[service.JobView], total: int, values: Values) -> dict[str, Any]:
    if not views and (values["search"] or values["status"] != ANY_STATUS):
        sentence = "No job matches; clear the search or choose another state."
        return {"rows": [], "title": "Nothing found", "next": sentence}
    if not views:
        sentence = "Import a dataset, run a matrix of prompts, evaluate, or download a model; the work appears here."
        return {"rows": [], "title": "No jobs yet", "next": sentence}
    first = values["page_index"] * PAGE_SIZE + 1
    count = f"Jobs {first:,} to {first + len(views) - 1:,} of {total:,}, newest first"
    addresses = outputs.addresses(lab, views)
    rows = [_row(view, view.id == values["job_id"], addresses[view.id]) for view in views]
    return {"rows": rows, "count": count}


def _row(view: service.JobView, selected: bool, address: str) -> dict[str, Any]:
    remaining = f"{seconds_text(view.seconds_left)} left" if view.seconds_left is not None else ""
    took = seconds_text(view.seconds) if view.seconds is not None and not view.live else ""
    return jobstrip.row(view) | {
        "kind": outputs.title_of(view.kind),
        "run": view.run_id or "",
        "address": address,
        "selected": selected,
        "time": remaining if view.live else took or NOTHING,
        "memory": size_text(view.peak_memory),
        "started": f"{view.started_at:%Y-%m-%d %H:%M:%S}" if view.started_at else NOTHING,
        "message": (view.message or view.waiting) if view.live else "",
    }


def _detail(view: service.JobView) -> dict[str, Any]:
    facts = {
        "Job": f"{view.id}: {outputs.title_of(view.kind)}, on {view.resource}",
        "Progress": f"{round(view.done, 2):,.12g} of {round(view.total, 2):,.12g}" if view.total else NOTHING,
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


def _curves(lab: LabContext, view: service.JobView | None) -> Any:
    """The job's curves with as many points as a screen can show; no Plotly for a job without curves."""
    curves = service.metrics(lab, view.id) if view else {}
    if not curves:
        return gr.update(visible=False)
    data = [_line(name, points) for name, points in curves.items()]
    chart = layout(height=280, showlegend=True)
    chart["xaxis"] = chart["xaxis"] | {"title": {"text": "step"}}
    return gr.update(value=figure(data, chart), visible=True)


def _line(name: str, points: list[tuple[int, float]]) -> dict[str, Any]:
    sample = points[:: max(1, len(points) // MAX_POINTS)]
    sample = sample if sample[-1] == points[-1] else [*sample, points[-1]]
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(sample) < 30 else "lines",
        "name": html.escape(name),
        "x": [step for step, _ in sample],
        "y": [value for _, value in sample],
    }
