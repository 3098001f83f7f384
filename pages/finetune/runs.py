"""The tab "Runs": every run, one of them watched, several of them overlaid and compared."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import models, training
from genai_lab.services.training import TrainingView, plan_diff, progress
from pages.components import jobstrip
from pages.components.confirm import Confirm
from pages.components.errors import PRIVATE, guarded, notice
from pages.components.head import piece
from pages.components.selection import Selection
from pages.components.stats import NOTHING, left_out_text, seconds_text, share_text, size_text
from pages.finetune import charts, report, samples

Update = Any
LIST = """
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
{{else}}<div class="empty-state" data-ready="yes"><b>No runs yet</b><p>Choose an example on the tab New and start it;
its curves appear here while it learns.</p></div>{{/if}}
"""
PICK = """
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
{{#if value.try}}<p><a class="try" href="/?model={{value.try}}">Try {{value.try}} in the playground</a></p>{{/if}}</div>
{{/if}}
"""
DIFFERENCES = """
{{#if value.rows.length}}<div class="grid-scroll" tabindex="0" role="region" aria-label="Settings that differ">
<table class="grid"><thead><tr><th scope="col">Setting</th>{{#each value.names}}<th scope="col">{{this}}</th>{{/each}}
</tr></thead><tbody>{{#each value.rows}}<tr><th scope="row">{{this.name}}</th>{{#each this.values}}<td>{{this}}</td>
{{/each}}</tr>{{/each}}</tbody></table></div>{{/if}}
"""


class Runs:
    """The tab; `drawn` are the outputs of `draw`, `clone` is the button that puts a run's plan into the form."""

    def __init__(self, lab: LabContext, opened: gr.State) -> None:
        self.seen = gr.State("")
        self.table = piece({"rows": []}, LIST, "ft-runs", PICK, sheet="finetune.css")
        self.beside = gr.Dropdown(
            [], label="Overlay with", info="Other runs in the same charts; settings that differ stand below.",
            multiselect=True, interactive=True, elem_id="ft-beside",
        )  # fmt: skip
        self.detail = piece({}, DETAIL, "ft-detail", sheet="finetune.css")
        with gr.Row(elem_classes=["actions"]):
            names = ("Cancel", "Resume", "Keep best checkpoint", "Clone", "Merge")
            self.cancel, self.resume, self.keep, self.clone, self.merge = (
                gr.Button(
                    name, size="sm", scale=0, min_width=80, visible=False, elem_id=f"ft-{name.split()[0].lower()}"
                )
                for name in names
            )
            self.export = gr.DownloadButton(
                "Export", size="sm", scale=0, min_width=80, visible=False, elem_id="ft-export"
            )
        self.surely = Confirm("Cancel run", "ft-confirm", "Go on")
        self.plot = gr.Plot(
            show_label=False, container=False, visible=False, elem_id="ft-curves", elem_classes=["chart-scroll"]
        )
        self.report = report.Report()
        self.differences = piece({"rows": []}, DIFFERENCES, "ft-differences", sheet="finetune.css")
        with gr.Accordion("Sample completions", open=True, visible=False, elem_id="ft-samples-shelf") as self.shelf:
            self.all = gr.Checkbox(False, label="All evaluations, not only the first and the last", elem_id="ft-all")
            self.samples = piece({}, samples.TABLE, "ft-samples", sheet="finetune.css")
        with gr.Accordion("Title and tags", open=False, visible=False, elem_id="ft-words") as self.words:
            with gr.Row():
                self.title = gr.Textbox(label="Title", max_lines=1, elem_id="ft-rename")
                self.tags = gr.Textbox(label="Tags", info="With commas.", max_lines=1, elem_id="ft-retag")
            save = gr.Button("Save", size="sm", scale=0, min_width=70, elem_id="ft-save-words")
        self.drawn = [
            opened, self.seen, self.table, self.detail, self.cancel, self.resume, self.keep, self.clone, self.merge,
            self.export, self.plot, *self.report.drawn, self.differences, self.shelf, self.samples, self.words,
        ]  # fmt: skip
        wanted, selection = [opened, self.beside, self.all], Selection()
        answers = selection.for_choice
        self.table.select(guarded(chosen, lab), None, opened, queue=False, **PRIVATE)
        named = [self.title, self.tags, self.beside]
        opened.change(selection.on_choice(switched, lab), opened, [*self.drawn[2:], *named], **PRIVATE).success(
            answers(draw, lab), wanted, self.drawn[1:], **PRIVATE
        )
        self.beside.change(answers(draw, lab), wanted, self.drawn[1:], **PRIVATE)
        self.all.change(answers(draw, lab), wanted, self.drawn[1:], **PRIVATE)
        # A tick that is late must not undo a choice, so it never says what is open.
        gr.Timer(1.5).tick(answers(tick, lab), [*wanted, self.seen], self.drawn[1:], **PRIVATE)
        self.cancel.click(guarded(ask, lab, self.surely), opened, self.surely.outputs, **PRIVATE)
        self.surely.yes.click(answers(cancelled, lab), wanted, self.drawn[1:], **PRIVATE).then(
            self.surely.close, None, self.surely.outputs, **PRIVATE
        )
        self.resume.click(answers(resumed, lab), wanted, self.drawn[1:], **PRIVATE)
        self.keep.click(answers(kept, lab), wanted, self.drawn[1:], **PRIVATE)
        self.merge.click(guarded(merged, lab), opened, None, **PRIVATE)
        titled = [opened, self.title, self.tags, self.beside, self.all]
        save.click(answers(name_run, lab), titled, self.drawn[1:], **PRIVATE)


def chosen(lab: LabContext, event: gr.EventData) -> int:
    return int(event.id)


def words(lab: LabContext, run: int | None) -> Sequence[Update]:
    """Title and tags of the run, and which others can be laid over it."""
    others = [(f"{view.id}: {view.title}", view.id) for view in training.find(lab) if view.id != run]
    view = found(lab, run)
    if view is None:
        return "", "", gr.update(choices=others, value=[])
    return view.title, ", ".join(view.tags), gr.update(choices=others, value=[])


def switched(lab: LabContext, run: int | None) -> Sequence[Update]:
    """The table with the run that was chosen, and nothing of the last one: in the order of `drawn` after what was seen,
    and the words of the run.
    """
    hidden = gr.update(visible=False)
    return (
        listed(lab, training.find(lab), run),
        {"waiting": run},
        *[hidden] * 5,
        gr.update(visible=False, value=None),
        gr.update(visible=False, value=None),
        *report.draw({}),
        {"rows": []},
        hidden,
        {},
        hidden,
        *words(lab, run),
    )


def tick(lab: LabContext, run: int | None, beside: list[int] | None, every: bool, seen: str) -> Any:
    return gr.skip() if seen == mark(lab, run, beside) else draw(lab, run, beside, every)


def mark(lab: LabContext, run: int | None, beside: list[int] | None) -> str:
    every = training.find(lab)
    told: list[Any] = [
        (view.id, view.title, view.status, view.tags, view.job and (view.job.done, view.job.message)) for view in every
    ]
    told += [repr(one) for one in progress.being_checked(lab)]
    view = found(lab, run)
    if view is None:
        return repr((run, beside, told))
    made = (view.status, view.job and view.job.done, view.outcome, view.model and models.show(lab, view.model).status)
    return repr((run, beside, told, len(training.samples(lab, view.id)), made))


def found(lab: LabContext, run: int | None) -> TrainingView | None:
    """The run by its id, whether the table shows it or it is older."""
    try:
        return training.show(lab, run) if run is not None else None
    except LabError:
        return None


def draw(lab: LabContext, run: int | None, beside: list[int] | None, whole: bool = False) -> Sequence[Update]:
    """Everything on the tab, in the order of `drawn` after the run that is open."""
    every = training.find(lab)
    view = found(lab, run)
    others = [other for one in beside or [] if one != run and (other := found(lab, one)) is not None]
    shown = [*([view] if view else []), *others]
    curves = [(one, training.curves(lab, one)) for one in shown]
    rows = training.samples(lab, view.id) if view else []
    model = models.show(lab, view.model) if view and view.model else None
    ended, live = (
        bool(view and view.status in ("cancelled", "failed")),
        bool(view and view.status in ("running", "queued")),
    )
    adapter = bool(model and model.status in ("ready", "loaded") and model.card.is_adapter)
    ready = bool(model and model.status in ("ready", "loaded"))
    drawn = any(points for _, points in curves)
    small = ready and model is not None and (model.card.disk_bytes or 0) < LARGEST_EXPORT
    return (
        mark(lab, run, beside),
        listed(lab, every, run),
        detail(lab, view, ready, dict(curves[0][1])) if view else {},
        gr.update(visible=live and view is not None and view.state != "cancelling"),
        gr.update(visible=ended and not ready),
        gr.update(visible=ended and not ready and bool(rows)),
        gr.update(visible=view is not None),
        gr.update(visible=adapter and view is not None and view.mergeable),
        gr.update(visible=small, value=training.export_file(lab, view.id) if small and view else None),
        gr.update(visible=drawn, value=charts.curves(curves) if drawn else None),
        *(report.draw(view.report, view.tunes_policy) if view else report.draw({})),
        _differences(shown),
        gr.update(visible=bool(rows)),
        samples.table(rows, whole),
        gr.update(visible=view is not None),
    )  # fmt: skip


LARGEST_EXPORT = 200_000_000


def _differences(views: Sequence[TrainingView]) -> dict[str, Any]:
    if len(views) < 2:
        return {"rows": []}
    return {
        "names": [f"{view.id}: {view.title}" for view in views],
        "rows": [{"name": name, "values": values} for name, values in plan_diff.differences(views)],
    }


def listed(lab: LabContext, views: Sequence[TrainingView], run: int | None) -> dict[str, Any]:
    """The table: starts that are being checked, then every run with how far it is."""
    standings = progress.standings(lab, views)
    checking = [asdict(one) for one in progress.being_checked(lab)]
    rows = [row(view, standings[view.id], run) for view in views]
    return {"rows": rows, "checking": checking, "any": bool(rows or checking)}


def row(view: TrainingView, at: progress.Standing, run: int | None) -> dict[str, Any]:
    job = view.job
    strip = jobstrip.row(job) if job else {}
    live = view.status in ("running", "queued")
    left = f"{seconds_text(job.seconds_left)} left" if job and job.seconds_left is not None else NOTHING
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
        "time": left if live else seconds_text(at.seconds),
        "chosen": view.id == run,
    }


def detail(
    lab: LabContext, view: TrainingView, ready: bool, curves: dict[str, list[tuple[int, float]]]
) -> dict[str, Any]:
    job, out = view.job, view.outcome
    memory = view.predicted.get("memory") or {}
    foreseen = out.get("foreseen") or memory.get("peak")
    trained, whole = out.get("trained") or memory.get("trained"), out.get("parameters") or memory.get("parameters")
    facts = {
        "Makes": view.model or NOTHING,
        "Base": view.plan.model,
        "Trained": share_text(trained, whole) if trained else "",
        "Data": "; ".join(f"{one.dataset} ({', '.join(one.templates) or 'plain'})" for one in view.plan.data),
        "Rows": _rows(out),
        "Steps": f"{out['steps']:,}{', stopped early' if out.get('stopped_early') else ''}" if "steps" in out else "",
        "Kept": f"step {out['step']:,}" if "step" in out else "",
        "Validation loss": f"{out['best_loss']:.4f}" if out.get("best_loss") is not None else "",
        "Took": seconds_text(out.get("seconds")) if out.get("seconds") else "",
        "Speed": f"{out['tokens'] / out['seconds']:,.0f} tokens/s" if out.get("tokens") and out.get("seconds") else "",
        "Memory": f"foreseen {size_text(foreseen)}, measured {size_text(view.measured)}" if foreseen else "",
        "On disk": size_text(out.get("bytes")) if out.get("bytes") else "",
        "Folder": training.model_folder(lab, view) if ready else "",
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
        "ended": _ended(lab, view),
        "notes": [*view.sentences, *view.notes],
        "facts": [[name, text] for name, text in facts.items() if text],
        "try": view.model if ready and view.writes else "",
    }


def _rows(out: Mapping[str, Any]) -> str:
    if "rows" not in out:
        return ""
    return f"{out['rows']:,}, {out['cut']:,} cut, {left_out_text(out['left_out'], out.get('left_rows', ()))}"


def _ended(lab: LabContext, view: TrainingView) -> str:
    """Where a run that was cancelled or failed stood, and what it can be kept from."""
    if view.status not in ("cancelled", "failed"):
        return ""
    at = progress.standings(lab, [view])[view.id]
    where = f"{view.status.capitalize()} at step {at.step:,} of {at.steps:,}" if at.steps else view.status.capitalize()
    kept = progress.best_checkpoint(lab, view)
    if kept is None:
        return f"{where}; no checkpoint yet."
    loss = f", validation loss {at.best:.3f}" if at.best is not None and at.best_step == kept else ""
    return f"{where}; best checkpoint: step {kept:,}{loss}."


def ask(lab: LabContext, surely: Confirm, run: int | None) -> Sequence[Update]:
    view = training.show(lab, _some(run))
    return surely.ask(
        f"Cancel run {view.id} ({view.title})? Its checkpoints stay: the run can be resumed later, or its "
        "best checkpoint kept as a model."
    )


def cancelled(lab: LabContext, run: int | None, beside: list[int] | None, every: bool) -> Sequence[Update]:
    training.cancel(lab, _some(run))
    return draw(lab, run, beside, every)


def resumed(lab: LabContext, run: int | None, beside: list[int] | None, every: bool) -> Sequence[Update]:
    training.resume(lab, _some(run))
    return draw(lab, run, beside, every)


def kept(lab: LabContext, run: int | None, beside: list[int] | None, every: bool) -> Sequence[Update]:
    training.keep(lab, _some(run))
    notice("The best checkpoint becomes a model; it is in the catalogue in a moment.")
    return draw(lab, run, beside, every)


def merged(lab: LabContext, run: int | None) -> None:
    view = training.show(lab, _some(run))
    made = training.merge(lab, view.model or "")
    notice(f"Job {made.job_id} merges it as {made.model}, once the two say the same.")


def name_run(
    lab: LabContext, run: int | None, title: str, tags: str, beside: list[int] | None, every: bool
) -> Sequence[Update]:
    training.rename(lab, _some(run), title, (tags or "").split(","))
    return draw(lab, run, beside, every)


def _some(run: int | None) -> int:
    if run is None:
        raise LabError("No run is chosen; choose one in the table.")
    return run
