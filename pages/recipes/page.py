"""Recipes: choose one, give it its data, press Run, read the answer."""

from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.recipes import RECIPES, Recipe, all_recipes
from genai_lab.services import models
from genai_lab.services import recipes as service
from pages.components import jobstrip
from pages.components.forms import Form, Updates, Values
from pages.components.head import page_head, section
from pages.components.loading import number_of
from pages.components.selection import Selection
from pages.recipes import parts

TITLE = "Recipes"
ROUTE = "recipes"
# What a recipe fills; an answer of another recipe or run is dropped.
RECIPE = ["recipe", "list", "plan", "dataset", "models", "choice", "watch", "rows", "steps", "hub", "note", "file_note"]
ANSWER = ["run", "answer", "drawn_state", "address"]
CHOICES = ["recipe", "file", "dataset", "models", "rows", "steps"]
ADDRESS = """(text) => { if (text) history.replaceState(null, '', text); return text; }"""
ENDED = "ended: "  # begins the state of an answer that changes no more
KINDS = ("matrix", "evaluate", "train", "convert")


def build(lab: LabContext) -> None:
    page_head(TITLE, "Experiments that run as they stand: bring the data, press Run, read the answer.")
    form = Form(recipe=gr.State(""), run=gr.State(None), drawn_state=gr.State(""), choice=gr.State(None))
    form.add(list=parts.draw_list(), watch=gr.Timer(2, active=False))  # runs while the recipe's model is coming
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            form.add(plan=parts.draw_plan())
        with gr.Column(scale=6, min_width=320):
            _draw_inputs(form)
    section("Answer")
    jobstrip.build(lab, KINDS)
    form.add(answer=parts.draw_answer(), address=gr.Textbox("", visible="hidden", show_label=False, container=False))
    _wire(lab, form)


def _draw_inputs(form: Form) -> None:
    form.add(
        file=gr.File(label="A file with the data", type="filepath", height=110, interactive=True, elem_id="rc-file"),
        file_note=parts.draw_note("rc-recognised"),
    )
    with gr.Row():
        form.add(
            dataset=gr.Dropdown(
                [], label="Or a dataset of this lab", interactive=True, elem_id="rc-dataset", min_width=180
            ),
            models=gr.Dropdown(
                [], label="Models", multiselect=True, interactive=True, elem_id="rc-models", min_width=200
            ),
            rows=gr.Number(
                None, label="Rows", info="At most.", precision=0, minimum=1, elem_id="rc-rows", min_width=90
            ),
            steps=gr.Number(None, label="Training steps", precision=0, minimum=1, elem_id="rc-steps", min_width=90),
        )
    with gr.Row(elem_classes=["actions"]):
        form.add(
            start=gr.Button("Run recipe", variant="primary", scale=0, min_width=110, elem_id="rc-run"),
            hub=gr.Button("Take the data from the Hub and run", scale=0, min_width=110, elem_id="rc-hub"),
        )
    form.add(note=parts.draw_note("rc-note"))


def _wire(lab: LabContext, form: Form) -> None:
    selection = Selection(key=lambda arguments: _choice(arguments[0]["recipe"], arguments[0]["run"]))
    form.on_load(load_page, lab, selection, outputs=[*RECIPE, *ANSWER])
    uploaded = form.on(form["file"].change, on_file, lab, selection, inputs=CHOICES, outputs=[*RECIPE, *ANSWER])
    uploaded.success(None, form["address"], None, js=ADDRESS, queue=False, api_visibility="private")
    form.on(form["dataset"].input, on_dataset, outputs=["file", "file_note"], queue=False)
    for button, from_hub in (("start", False), ("hub", True)):
        going = form.on(
            form[button].click, run, lab, selection, from_hub, inputs=CHOICES, outputs=["note", "dataset", *ANSWER]
        )
        going.success(None, form["address"], None, js=ADDRESS, queue=False, api_visibility="private")
    tick, arrived = selection.for_choice(refresh, lab), selection.for_choice(offer_what_came, lab)
    form.on(gr.Timer(1).tick, tick, inputs=["recipe", "run", "drawn_state"], outputs=["answer", "drawn_state"])
    coming = ["recipe", "run", "choice", "models", "note"]
    form.on(form["watch"].tick, arrived, inputs=coming, outputs=["choice", "models", "note", "watch"])


def _choice(recipe: str, run_id: int | None) -> str:
    return f"{recipe} {run_id or ''}"


def load_page(lab: LabContext, selection: Selection, request: gr.Request) -> Updates:
    """The page as its address asks for it: ?recipe=NAME, and &run=RUN for one of its runs, else the newest."""
    name = request.query_params.get("recipe", "")
    recipe = RECIPES.get(name) if name in RECIPES else all_recipes()[0]
    run_id = number_of(request.query_params.get("run"))
    return _show(lab, selection, request, recipe, service.latest(lab, recipe.name) if run_id is None else run_id)


def on_file(lab: LabContext, selection: Selection, values: Values, request: gr.Request) -> Updates:
    """Says what the file is; where it is the data of another recipe, that one is chosen."""
    path = values["file"]
    if not path:
        return {"file_note": ""}
    match = service.recognise(lab, Path(path), preferred=values["recipe"])
    recipe = RECIPES.get(match.recipe)
    columns = ", ".join(f"{role} is {column!r}" for role, column in match.roles.items())
    note = " ".join((f"{recipe.data.about}: {columns}.", *match.notes))
    if match.recipe == values["recipe"]:
        return {"file_note": note, "dataset": None}
    shown = _show(lab, selection, request, recipe, service.latest(lab, recipe.name))
    return {**shown, "file_note": note, "dataset": gr.update(choices=_sets(lab, recipe), value=None)}


def on_dataset() -> Updates:
    return {"file": None, "file_note": ""}


def run(
    lab: LabContext, selection: Selection, from_hub: bool, values: Values, request: gr.Request
) -> Iterator[Updates]:
    """Runs the recipe on the file, else on the dataset of the lab, and says what it is doing."""
    recipe, path = RECIPES.get(values["recipe"]), values["file"]
    data = service.HUB if from_hub else path or values["dataset"] or ""
    going = service.run_steps(
        lab,
        recipe.name,
        data,
        filename=Path(path).name if path and not from_hub else "",
        models=values["models"] or (),
        rows=values["rows"] or None,
        steps=(values["steps"] or None) if recipe.tuning else None,
    )
    selection.choose(request.session_hash, _choice(recipe.name, None))
    yield {"note": "Starting.", **_show_answer(lab, recipe.name, None)}
    while True:
        try:
            yield {"note": next(going)}
        except StopIteration as end:
            started: service.StartedRecipe = end.value
            break
        except BaseException:
            yield {"note": ""}
            raise
    selection.choose(request.session_hash, _choice(recipe.name, started.run_id))
    yield {
        "note": "",
        "dataset": gr.update(choices=_sets(lab, recipe), value=None if path and not from_hub else started.dataset),
        **_show_answer(lab, recipe.name, started.run_id),
        "address": started.address,
    }


def refresh(lab: LabContext, values: Values) -> Updates:
    """The answer while it comes in; drawn again only where it has changed."""
    run_id, drawn_state = values["run"], values["drawn_state"]
    if run_id is None or drawn_state.startswith(ENDED):
        return {}
    shown = _show_answer(lab, values["recipe"], run_id)
    return {} if shown["drawn_state"] == drawn_state else {name: shown[name] for name in ("answer", "drawn_state")}


def offer_what_came(lab: LabContext, values: Values) -> Updates:
    """Where the page was opened while the recipe's own model was being downloaded: that one, once it is here.

    Models that a user has chosen meanwhile stay.
    """
    offered: service.ModelChoice | None = values["choice"]
    if offered is None or not offered.coming:
        return {}
    choice = service.choose_models(lab, RECIPES.get(values["recipe"]))
    if choice == offered:
        return {}
    drawn = gr.update(choices=_names(lab))
    if tuple(values["models"] or ()) == offered.models:
        drawn = gr.update(choices=_names(lab), value=list(choice.models))
    note = {"note": choice.note} if values["note"] == offered.note else {}
    return {"choice": choice, "models": drawn, "watch": gr.update(active=choice.coming), **note}


def _show(lab: LabContext, selection: Selection, request: gr.Request, recipe: Recipe, run_id: int | None) -> Updates:
    """Everything of a recipe, with the answer of one of its runs."""
    selection.choose(request.session_hash, _choice(recipe.name, run_id))
    try:
        choice = service.choose_models(lab, recipe)
    except LabError as problem:
        choice = service.ModelChoice((), str(problem))
    sets = _sets(lab, recipe)
    run_part = f"&run={run_id}" if run_id is not None else ""
    return {
        "recipe": recipe.name,
        "list": parts.list_value(recipe.name),
        "plan": parts.plan_value(recipe, bool(sets)),
        "dataset": gr.update(choices=sets, value=sets[0] if sets else None),
        "models": gr.update(choices=_names(lab), value=list(choice.models)),
        "choice": choice,
        "watch": gr.update(active=choice.coming),
        "rows": recipe.rows,
        "steps": gr.update(value=_steps(recipe), visible=recipe.tuning is not None),
        "hub": gr.update(visible=recipe.data.hub is not None),
        "note": choice.note,
        "file_note": "",
        **_show_answer(lab, recipe.name, run_id),
        "address": f"/recipes?recipe={recipe.name}{run_part}",
    }


def _show_answer(lab: LabContext, name: str, run_id: int | None) -> Updates:
    """The answer of a run, and what tells one state of it from another."""
    answer = None if run_id is None else service.answer(lab, name, run_id)
    ended = ENDED if answer is not None and not answer.live else ""
    return {"run": run_id, "answer": parts.answer_value(answer), "drawn_state": f"{ended}{answer!r}"}


def _names(lab: LabContext) -> list[str]:
    """Every model that writes text."""
    return [view.card.name for view in models.catalogue(lab) if view.card.modes]


def _sets(lab: LabContext, recipe: Recipe) -> list[str]:
    return [view.name for view in service.fitting_versions(lab, recipe)]


def _steps(recipe: Recipe) -> int | None:
    return recipe.tuning.settings.get("max_steps") if recipe.tuning else None
