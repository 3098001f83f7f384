"""The tab "New campaign": fresh completions, existing ones, or a file."""

from pathlib import Path
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback import CampaignPlan
from genai_lab.services import datasets, evaluation, models, templates
from genai_lab.services import feedback as service
from genai_lab.services.feedback import fresh, sources, systems
from pages.components.errors import notice, show_warning
from pages.components.forms import Form, in_section, section
from pages.components.settings_inputs import Updates, Values
from pages.feedback import new_fields
from pages.feedback.new_fields import COLUMNS, FRESH, GUIDELINES, OWN_QUESTION, PLAN, RUNS

MAX_NAME = 100
EXAMPLE_PROMPTS = (
    "Write a short story about a cat.",
    "Tell me about a day at the sea.",
    "A boy finds a key. What happens next?",
    "Describe a garden in the morning.",
    "Write about two friends who share an apple.",
    "Tell a story about a lost ball.",
)
OFFERED = ["sources", "fresh.models", "fresh.dataset", "fresh.template", *RUNS]


def build(lab: LabContext, page: Form) -> Form:
    """Draws the tab. A new campaign becomes the page's `started`; `load_choices` fills OFFERED of the returned form."""
    form = Form(started=page["started"])
    new_fields.draw(form)
    form.on(
        form["plan.criterion"].change, show_question, inputs=["plan.criterion"], outputs=["plan.question"], queue=False
    )
    form.on(form["file.file"].change, read_columns, inputs=["file.file"], outputs=COLUMNS)
    loads_models: dict[str, Any] = {"outputs": ["started"], "concurrency_id": "models"}
    form.on(form["fresh.run"].click, start_fresh, lab, inputs=[*PLAN, *FRESH], **loads_models)
    form.on(form["example.run"].click, start_example, lab, **loads_models)
    form.on(form["runs.run"].click, start_from_runs, lab, inputs=[*PLAN, *RUNS], outputs=["started"])
    form.on(form["file.run"].click, start_from_file, lab, inputs=[*PLAN, "file.file", *COLUMNS], outputs=["started"])
    return form


def show_question(values: Values) -> Updates:
    return {"plan.question": gr.update(visible=values["plan.criterion"] == OWN_QUESTION)}


def load_choices(lab: LabContext, runs: str = "") -> Updates:
    """What can be chosen now; `runs` are run numbers from the address, as other pages send them."""
    model_names = [view.card.name for view in models.catalogue(lab) if view.card.modes]
    versions, _ = datasets.find(lab, "", 200)
    template_names = [view.name for view in templates.find(lab)]
    plain = next((name for name in template_names if name.startswith("plain")), None)
    runs_to_compare = [
        (f"{run.id}: {run.label} on {run.dataset} (n = {run.n})", run.id) for run in evaluation.systems(lab)
    ]
    numbers = ", ".join(part for part in runs.split(",") if part.strip().isdecimal())
    return {
        "sources": gr.update(selected="runs") if numbers else gr.skip(),
        "fresh.models": gr.update(choices=model_names, value=list(fresh.comparable(lab))),
        "fresh.dataset": gr.update(choices=["", *(view.name for view in versions)], value=""),
        "fresh.template": gr.update(choices=template_names, value=plain),
        "runs.systems": gr.update(choices=runs_to_compare),
        "runs.numbers": gr.update(value=numbers),
    }


def read_plan(lab: LabContext, default_name: str, values: Values) -> CampaignPlan:
    """The campaign's plan; without a name it gets one that is free. Raises LabError."""
    fields = section(values, "plan")
    criterion = fields["criterion"]
    if criterion == OWN_QUESTION and not (criterion := (fields["question"] or "").strip()):
        raise LabError("The question is empty; write what annotators are asked, or choose another criterion.")
    return CampaignPlan(
        name=(fields["name"] or "").strip() or _free_name(lab, default_name),
        criterion=criterion,
        guidelines=fields["guidelines"] or "",
        kind=fields["kind"],
        overlap=_whole(fields["overlap"]),
        ties=bool(fields["ties"]),
        both_bad=bool(fields["both_bad"]),
        repeats=float(fields["repeats"] or 0) / 100,
        seed=_whole(fields["seed"]),
    )


def _free_name(lab: LabContext, name: str) -> str:
    names = {view.name for view in service.find(lab)}
    number, free = 1, name[:MAX_NAME]
    while free in names:
        number += 1
        free = f"{name[:MAX_NAME]} {number}"
    return free


def start_example(lab: LabContext) -> Updates:
    """Completions of a starter model for six prompts at two temperatures, to be ranked in a minute."""
    name = _free_name(lab, "Starter stories")
    plan = CampaignPlan(name, "helpful", GUIDELINES, "ranking", overlap=2, repeats=0.1)
    settings = fresh.samplings((0.6, 1.3), 40)
    campaign = fresh.start(
        lab, plan, ["starter-causal"], prompts=EXAMPLE_PROMPTS, samplings=settings, samples=2, opened=True
    ).campaign
    notice(f"{plan.name}: its completions are being generated; invite yourself meanwhile.")
    return {"started": campaign}


def start_fresh(lab: LabContext, values: Values) -> Updates:
    """A campaign about completions that are generated now."""
    fields = section(values, "fresh")
    prompts = [line for line in (fields["prompts"] or "").splitlines() if line.strip()]
    if not fields["models"]:
        raise LabError("No model is chosen; choose at least one.")
    if not prompts and not fields["dataset"]:
        raise LabError("There are no prompts; write one per line, or choose a dataset.")
    settings = fresh.samplings(_temperatures(fields["temperatures"]), _whole(fields["max_new_tokens"]))
    plan = read_plan(lab, "Fresh completions", values)
    campaign = fresh.start(
        lab,
        plan,
        fields["models"],
        dataset=fields["dataset"] or "",
        prompts=prompts,
        template=fields["template"] or "plain",
        samplings=settings,
        samples=_whole(fields["samples"]),
        rows=_whole(fields["rows"]),
        seed=plan.seed,
    ).campaign
    notice("Its completions are being generated; invite annotators meanwhile.")
    if len(set(fields["models"])) * len(settings) == 1:
        show_warning(
            f"All candidates come from {fields['models'][0]}: good for a reward model, but one system makes "
            "no leaderboard."
        )
    return {"started": campaign}


def _temperatures(text: str | None) -> list[float]:
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    try:
        temperatures = [float(part) for part in parts]
    except ValueError:
        temperatures = []
    if not temperatures:
        raise LabError(f"Temperatures is {(text or '')[:40]!r}; write numbers with commas, such as 0.7, 1.2.")
    return temperatures


def start_from_runs(lab: LabContext, values: Values) -> Updates:
    """A campaign about completions that exist already."""
    fields = section(values, "runs")
    numbers = [part.strip() for part in (fields["numbers"] or "").split(",") if part.strip()]
    wrong = next((part for part in numbers if not part.isdecimal()), None)
    if wrong is not None:
        raise LabError(f"{wrong[:40]!r} is not the number of a run; write numbers with commas, such as 12, 13.")
    run_ids = [*(fields["systems"] or []), *map(int, numbers)]
    if not run_ids:
        raise LabError("No run is chosen; choose systems, or write numbers of runs.")
    name = f"Runs {', '.join(map(str, run_ids))}"[:MAX_NAME]
    return _show_started(lab, sources.from_runs(lab, read_plan(lab, name, values), run_ids))


def start_from_file(lab: LabContext, values: Values) -> Updates:
    """A campaign about the prompts, completions and votes in a file."""
    fields = section(values, "file")
    if not fields["file"]:
        raise LabError("No file is chosen; upload one with prompts and completions.")
    columns = sources.Columns(
        tuple(fields["prompt"] or ()),
        tuple(fields["completions"] or ()),
        tuple(fields["systems"] or ()),
        tuple(fields["votes"] or ()),
        fields["gold"] or "",
        fields["separator"] or "_",
    )
    path = Path(fields["file"])
    plan = read_plan(lab, path.name.split(".")[0] or "Import", values)
    return _show_started(lab, sources.from_file(lab, plan, path, columns))


def _show_started(lab: LabContext, campaign: service.NewCampaign) -> Updates:
    notice(f"{campaign.name}: {campaign.told}")
    if (problem := systems.of(lab, campaign.campaign).problem) and not campaign.unnamed:
        show_warning(problem)
    return {"started": campaign.campaign}


def read_columns(values: Values) -> Updates:
    """The file's columns, with a guess at their roles."""
    file = values["file.file"]
    if not file:
        empty = gr.update(choices=[], value=[])
        nothing: Updates = dict.fromkeys(("prompt", "completions", "systems", "votes"), empty)
        return in_section({**nothing, "separator": "_", "gold": gr.update(choices=[], value=None)}, "file")
    rows = datasets.preview(Path(file)).rows
    names = list(rows[0]) if rows else []
    try:
        guess = sources.guess_systems(rows, sources.guess_columns(sources.Columns(), rows[0] if rows else {}))
    except LabError:
        guess = sources.Columns()
    updates: Updates = {
        "prompt": gr.update(choices=names, value=list(guess.prompt)),
        "completions": gr.update(choices=names, value=list(guess.completions)),
        "systems": gr.update(choices=names, value=list(guess.systems)),
        "votes": gr.update(choices=names, value=list(guess.votes)),
        "separator": guess.separator,
        "gold": gr.update(choices=[("none", ""), *((name, name) for name in names)], value=guess.gold),
    }
    return in_section(updates, "file")


def _whole(number: float | None) -> int:
    return int(number or 0)
