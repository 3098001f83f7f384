"""The matrix tab: what is tried, what it will cost, the grid that fills, and what becomes of a good cell."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.metrics import METRICS
from genai_lab.prompts.few_shot import SELECTORS
from genai_lab.services import datasets, models, presets, prompting, task_defaults, templates
from genai_lab.services import matrix as service
from genai_lab.services.evaluation import Choice
from genai_lab.services.matrix.estimating import Estimating
from pages.components import jobstrip
from pages.components.errors import PRIVATE, guarded
from pages.components.head import drawn, section
from pages.components.opening import fills, number_of, on_open
from pages.prompts import results
from pages.prompts.preview import SENT_AS

EXAMPLE, EXAMPLE_MODEL, EXAMPLE_TEMPLATE = "starter-sentiment", "starter-causal", "classify-review"
SPLITS = ["test", "validation", "train"]
DEFAULT_METRICS = ["exact_match"]
KEEP = "(...values) => JSON.stringify(values)"
ADDRESS = """(run) => { if (run) history.replaceState(null, '', `${location.pathname}?matrix=${run}`); return run; }"""
Update = Any
# Under way, by browser session.
_ESTIMATES: dict[str, Estimating] = {}


@dataclass
class Form:
    """The inputs in the order of `plan_of`'s values."""

    inputs: list[Any]
    fixed: gr.Textbox
    selectors: gr.Dropdown


def build(lab: LabContext, tabs: gr.Tabs, draft: gr.BrowserState) -> None:
    opened, seen = gr.State(None), gr.State("")
    jobstrip.build(lab, ("matrix",))
    with gr.Accordion("New matrix", open=True, elem_id="mx-new"):
        main = _main_fields()
        with gr.Row(elem_classes=["actions"]):
            run = gr.Button("Run matrix", variant="primary", size="sm", scale=0, min_width=110, elem_id="mx-run")
            cost = gr.Button("Estimate", size="sm", scale=0, min_width=90, elem_id="mx-estimate")
            halt = gr.Button(
                "Stop estimating", size="sm", scale=0, min_width=120, visible=False, elem_id="mx-estimate-stop"
            )
            sample = gr.Button("Fill in an example", size="sm", scale=0, min_width=80, elem_id="mx-try")
        told = drawn(
            "",
            html_template='{{#if value}}<p class="panel-note" role="status">{{value}}</p>{{/if}}',
            elem_classes=["plain"],
            js_on_load=None,
            elem_id="mx-cost",
        )
        form = _details(main)
    section("Results")
    shown = results.Results(lab, opened)
    # The timer draws what it was asked for, which may be late: it never says what is open.
    live = [seen, *shown.outputs]
    address = gr.Textbox("", visible="hidden", show_label=False, container=False)
    anew = [opened, address, shown.cell, *live]
    shown.follow(on_open(arrived, [tabs, *form.inputs, *anew], lab, inputs=[draft]))
    cost.click(guarded(estimated, lab), form.inputs, [told, halt], concurrency_limit=None, **PRIVATE)
    halt.click(guarded(stop_estimating), None, halt, queue=False, **PRIVATE)
    fills(sample.click, example, form.inputs, lab, inputs=form.inputs)
    dataset, kept, metrics, length = (form.inputs[place] for place in (0, 2, 6, 9))
    dataset.input(guarded(proposed, lab), dataset, [kept, metrics, length], queue=False, **PRIVATE)
    for event in (
        run.click(guarded(started, lab), form.inputs, anew, **PRIVATE),
        shown.rerun.click(guarded(rerun, lab), [opened], anew, **PRIVATE),
        shown.listed.input(guarded(switched, lab), shown.listed, anew, **PRIVATE),
    ):
        shown.follow(event)
        event.success(None, address, None, js=ADDRESS, **PRIVATE)
    gr.Timer(1).tick(guarded(ticked, lab), [opened, seen, *shown.chosen], live, **PRIVATE)
    form.selectors.change(by_hand, form.selectors, form.fixed, queue=False, **PRIVATE)
    for one in form.inputs:
        one.change(None, form.inputs, draft, js=KEEP, queue=False, **PRIVATE)


def _main_fields() -> list[Any]:
    """What every matrix asks for: dataset, models, templates, shots, rows, metrics."""
    with gr.Row():
        dataset = gr.Dropdown([], label="Dataset", interactive=True, elem_id="mx-dataset")
        chosen = gr.Dropdown([], label="Models", multiselect=True, interactive=True, elem_id="mx-models")
        kept = gr.Dropdown(
            [],
            label="Templates",
            info="Those that suit the dataset first; the newest version, or NAME@2, NAME@tag.",
            multiselect=True,
            allow_custom_value=True,
            interactive=True,
            elem_id="mx-templates",
        )
    with gr.Row():
        shots = gr.Textbox("0, 1, 4", label="Shots", info="Solved examples, with commas.", elem_id="mx-shots")
        rows = gr.Number(100, label="Rows", info="Drawn from the split.", precision=0, minimum=1, elem_id="mx-rows")
        metrics = gr.Dropdown(
            [(METRICS.get(name).title, name) for name in METRICS],
            value=DEFAULT_METRICS,
            label="Metrics",
            info="Those of the dataset's task are proposed.",
            multiselect=True,
            interactive=True,
            elem_id="mx-metrics",
        )
    return [dataset, chosen, kept, shots, rows, metrics]


def _details(main: Sequence[Any]) -> Form:
    """Everything else, closed; with it the form is whole."""
    dataset, chosen, kept, shots, rows, metrics = main
    with gr.Accordion("Details", open=False, elem_id="mx-details"):
        with gr.Row():
            selectors = gr.Dropdown(
                [(SELECTORS.get(name).title, name) for name in SELECTORS],
                value=["random"],
                label="Shots chosen",
                multiselect=True,
                interactive=True,
                elem_id="mx-selectors",
            )
            source = gr.Dropdown(SPLITS, value="train", label="Shots from", interactive=True, elem_id="mx-shot-split")
            split = gr.Dropdown(SPLITS, value="test", label="Rows from", interactive=True, elem_id="mx-split")
        fixed = gr.Textbox(
            "", label="Rows fixed by hand", info="Row numbers, with commas.", visible=False, elem_id="mx-fix"
        )
        with gr.Row():
            samplings = gr.Dropdown(
                ["greedy"],
                value=["greedy"],
                label="Sampling",
                multiselect=True,
                interactive=True,
                elem_id="mx-samplings",
            )
            length = gr.Number(16, label="Max new tokens", precision=0, minimum=1, elem_id="mx-tokens")
            seeds = gr.Textbox("0", label="Seeds", info="Draw rows, shots and tokens.", elem_id="mx-seeds")
        with gr.Row():
            rendering = gr.Dropdown(
                list(SENT_AS), value="by model", label="Sent as", interactive=True, elem_id="mx-form"
            )
            cache = gr.Checkbox(True, label="Use remembered answers", elem_id="mx-cache")
    inputs = [dataset, chosen, kept, shots, selectors, rows, metrics, fixed]
    return Form([*inputs, samplings, length, seeds, split, source, rendering, cache], fixed, selectors)


def plan_of(lab: LabContext, *values: Any) -> service.Plan:
    """The plan that the inputs describe; raises LabError in one sentence."""
    (dataset, chosen, kept, shots, selectors, rows, metrics, fixed, *rest) = values
    samplings, length, seeds, split, source, rendering, cache = rest
    if not dataset:
        raise LabError("No dataset is chosen; press Fill in an example, or import one on the Datasets page.")
    known = presets.presets(lab)
    gone = [name for name in samplings or () if name not in known]
    if gone:
        raise LabError(f"There is no preset called {gone[0]!r}; choose another sampling.")
    drawn = numbers("seeds", seeds)
    return service.Plan(
        dataset=dataset,
        models=tuple(chosen or ()),
        templates=tuple(kept or ()),
        shots=numbers("shots", shots),
        selectors=tuple(selectors or ()),
        samplings=tuple(
            replace(known[name].sampling, max_new_tokens=int(length or 0), seed=None) for name in samplings or ()
        ),
        seeds=drawn,
        rows=int(rows or 0),
        sample_seed=drawn[0],
        split=split,
        shot_split=source,
        fixed=prompting.keys_of(fixed or ""),
        rendering=rendering,
        use_cache=bool(cache),
        metrics=tuple(Choice(name) for name in metrics or ()) or (Choice("exact_match"),),
    )


def numbers(name: str, text: str | None) -> tuple[int, ...]:
    """Whole numbers with commas between them; raises LabError."""
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    wrong = next((part for part in parts if not part.isdecimal() or len(part) > 9), None)
    if wrong is not None or not parts:
        raise LabError(f"{name.capitalize()} are {(text or '')[:40]!r}; write whole numbers with commas between them.")
    return tuple(dict.fromkeys(int(part) for part in parts))


def arrived(lab: LabContext, draft: str | None, request: gr.Request) -> Sequence[Update]:
    """The page as its address asks for it: ?matrix=RUN and &cell=CELL, else the newest; the form as it was left.

    ?tab=matrix opens this tab, ?dataset=NAME chooses it with what suits it, ?example=yes fills the example in.
    """
    asked = {name: request.query_params.get(name, "") for name in ("matrix", "cell", "dataset", "tab", "example")}
    found = service.find(lab, 1)
    named = number_of(asked["matrix"])
    run = named if named is not None else found[0].id if found else None
    chosen = number_of(asked["cell"]) if named is not None else None
    here = asked["matrix"] or asked["example"] or asked["tab"] == "matrix"
    tab = gr.update(selected="matrix") if here else gr.skip()
    form = offered(lab, draft, asked["dataset"])
    if asked["example"]:
        form = list(example(lab, *form))
    return tab, *form, *_fresh(lab, run, chosen)


def offered(lab: LabContext, draft: str | None, dataset: str = "") -> list[Update]:
    """What can be chosen now, with the values of the draft where they are still there; of `dataset` if it is asked for.

    Without a draft, and for a dataset that is asked for, what suits the dataset is proposed.
    """
    import json

    names = [view.card.name for view in models.catalogue(lab) if view.card.modes]
    sets = [view.name for view in datasets.find(lab, "", 200)[0]]
    ways = list(presets.presets(lab))
    try:
        left = json.loads(draft) if draft else None
    except ValueError:
        left = None
    drafted = isinstance(left, list) and len(left) == 15
    values: list[Any] = list(left or []) if drafted else []
    if not drafted:
        first = [EXAMPLE_MODEL] if EXAMPLE_MODEL in names else names[:1]
        values = [None, first, [EXAMPLE_TEMPLATE], "0, 1, 4", ["random"], 100, DEFAULT_METRICS, ""]
        values += [["greedy"], 16, "0", "test", "train", "by model", True]
    asked = dataset if dataset in sets else next((one for one in sets if one.partition("@")[0] == dataset), None)
    wanted = next((one for one in (asked, values[0]) if one in sets), sets[0] if sets else None)
    choices = _suited(lab, wanted)
    if wanted and (asked or not drafted):
        values[2], values[6], values[9] = _proposal(lab, wanted)
        if not _has_split(lab, wanted, "train"):
            values[3] = "0"
    picked = [name for name in values[1] or [] if name in names]
    made: list[Update] = [
        gr.update(choices=sets, value=wanted),
        gr.update(choices=names, value=picked),
        gr.update(choices=choices, value=values[2]),
        *values[3:7],
        gr.update(value=values[7], visible="fixed" in (values[4] or [])),
        gr.update(choices=ways, value=[name for name in values[8] or [] if name in ways]),
    ]
    return [*made, *values[9:]]


def proposed(lab: LabContext, dataset: str | None) -> Sequence[Update]:
    """Templates, metrics and length that suit a dataset which has just been chosen."""
    if not dataset:
        return gr.skip()
    made = _proposal(lab, dataset)
    return gr.update(choices=_suited(lab, dataset), value=made[0]), *made[1:]


def _proposal(lab: LabContext, dataset: str) -> tuple[list[str], list[str], int]:
    found = task_defaults.for_dataset(lab, dataset)
    return [found.best] if found.best else [], list(found.metrics), found.max_new_tokens


def _suited(lab: LabContext, dataset: str | None) -> list[str]:
    """The names of all templates, those that suit the dataset first."""
    if dataset is None:
        return [view.template for view in templates.find(lab)]
    return [one.view.template for one in templates.for_dataset(lab, dataset)]


def _has_split(lab: LabContext, dataset: str, split: str) -> bool:
    return bool(datasets.show(lab, dataset).splits.get(split))


def example(lab: LabContext, *values: Any) -> Sequence[Update]:
    """A small matrix that works at once: starter reviews at 0, 1 and 4 shots, imported where they are not there."""
    known = [view.name for view in datasets.find(lab, EXAMPLE, 20)[0] if view.dataset == EXAMPLE]
    name = known[0] if known else datasets.import_starter(lab, "sentiment", EXAMPLE).name
    every = [view.name for view in datasets.find(lab, "", 200)[0]]
    made = list(values)
    made[0] = gr.update(choices=every, value=name)
    made[1:7] = [[EXAMPLE_MODEL], [EXAMPLE_TEMPLATE], "0, 1, 4", ["random"], 60, ["classification"]]
    made[8:10] = [["greedy"], 8]
    return made


def by_hand(selectors: list[str]) -> Update:
    return gr.update(visible="fixed" in (selectors or []))


def estimated(lab: LabContext, request: gr.Request, *values: Any) -> Iterator[Sequence[Update]]:
    """The number of requests at once, tokens and time as they are found; Stop ends it."""
    key = str(request.session_hash)
    if before := _ESTIMATES.pop(key, None):
        before.stop()
    found = _ESTIMATES[key] = Estimating(lab, plan_of(lab, *values))
    shown = ""
    try:
        while True:
            done, latest = found.done, found.latest
            text = " ".join((latest.sentence, *(f"{one}." for one in latest.fewer)))
            if text != shown or done:
                shown = text
                yield text, gr.update(visible=not done)
            if done and found.problem is not None:
                raise found.problem
            if done:
                return
            found.wait(0.5)
    finally:
        found.stop()
        if _ESTIMATES.get(key) is found:
            del _ESTIMATES[key]


def stop_estimating(request: gr.Request) -> Update:
    if found := _ESTIMATES.get(str(request.session_hash)):
        found.stop()
    return gr.update(visible=False)


def started(lab: LabContext, *values: Any) -> Sequence[Update]:
    return _fresh(lab, service.start(lab, plan_of(lab, *values)).run_id)


def rerun(lab: LabContext, run: int | None) -> Sequence[Update]:
    if run is None:
        raise LabError("No matrix is open; run one first.")
    return _fresh(lab, service.rerun(lab, run).run_id)


def switched(lab: LabContext, run: int | None) -> Sequence[Update]:
    return _fresh(lab, run)


def ticked(
    lab: LabContext, run: int | None, seen: str, figure: str | None, kind: str, cell: int | None
) -> Sequence[Update]:
    """Draws again while rows come in, here or in another browser."""
    if run is None and not service.find(lab, 1):
        return gr.skip()
    mark = results.mark(lab, run)
    return gr.skip() if mark == seen else _drawn(lab, run, figure, cell, kind)


def _drawn(
    lab: LabContext, run: int | None, figure: str | None, cell: int | None, kind: str = "curve", fresh: bool = False
) -> Sequence[Update]:
    return results.mark(lab, run), *results.overview(lab, run, figure, cell, kind, fresh)


def _fresh(lab: LabContext, run: int | None, cell: int | None = None) -> Sequence[Update]:
    """Another matrix than the one that was open, with this cell."""
    return run, str(run or ""), cell, *_drawn(lab, run, None, cell, fresh=True)
