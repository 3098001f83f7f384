"""The models page: what can be used, what it needs, where it came from; adding, loading and archiving models."""

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.models import BACKENDS, Source
from genai_lab.services import lineage
from genai_lab.services import models as service
from pages.components import catalogue as pieces
from pages.components.confirm import Confirm
from pages.components.errors import INTERNAL, event_handler
from pages.components.forms import Form
from pages.components.head import page_head, section
from pages.components.settings_inputs import Updates, Values
from pages.components.stats import NOTHING, count_text, seconds_text, size_text
from pages.models import adding, speed, torch_copy
from pages.models import shelf as shelf_panel
from pages.models.budget import draw_budget

TITLE = "Models"
ROUTE = "models"
README_LIMIT = 60_000


# What depends on the catalogue and the selected model.
BUTTONS = ["load", "unload", "open_playground", "torch_copy", "lineage", "archive", "restore"]
CHANGED = ["table", "budget", "detail", "card_panel", "readme", *BUTTONS, *speed.NAMES, "downloads", "shelf"]
SELECTED = ["model", "show_archived"]
LOADING_PAUSE = 0.25  # seconds between two updates while a model is being read


def build(lab: LabContext) -> None:
    page_head(TITLE, "All models of the lab: what they need, where they came from, and which are in memory now.")
    form = Form(model=gr.State(""), drawn_state=gr.State(""), budget=pieces.budget_bar("models-budget"))
    form.add(table=pieces.model_table("models-table"))
    show_archived = gr.Checkbox(
        False, label="Show archived models", container=False, elem_classes=["quiet"], elem_id="models-archived"
    )
    form.add(show_archived=show_archived)
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            confirm_archive, confirm_unload = _selected_model(form)
        with gr.Column(scale=2, min_width=300):
            section("Add a model")
            adding.build(lab, form)
            form.add(downloads=pieces.download_list("models-downloads"))
    shelf_panel.build(form)
    _wire(lab, form, confirm_archive, confirm_unload)


def _selected_model(form: Form) -> tuple[Confirm, Confirm]:
    """One model's facts and buttons, with the questions before it is archived or unloaded."""
    form.add(detail=pieces.model_detail("models-detail"))
    with gr.Row():
        form.add(
            load=gr.Button("Load", variant="primary", scale=0, min_width=90, elem_id="models-load"),
            unload=gr.Button("Unload", scale=0, min_width=90, elem_id="models-unload"),
            open_playground=gr.Button(
                "Open in playground", scale=0, min_width=150, elem_id="models-play", link_target="_self"
            ),
            torch_copy=torch_copy.button(),
            lineage=gr.Button("Lineage", scale=0, min_width=90, elem_id="models-lineage", link_target="_self"),
            archive=gr.Button("Archive", scale=0, min_width=90, elem_id="models-archive"),
            restore=gr.Button("Restore", scale=0, min_width=90, elem_id="models-restore"),
        )
    confirm_archive = Confirm("Archive", "models-archive-confirm")
    confirm_unload = Confirm("Unload", "models-unload-confirm")
    speed.build(form)
    with gr.Accordion("Model card", open=False, visible=False, elem_id="models-card") as card_panel:
        form.add(readme=gr.Markdown(elem_id="models-readme", elem_classes=["prose-small"]))
    form.add(card_panel=card_panel)
    return confirm_archive, confirm_unload


def _wire(lab: LabContext, form: Form, confirm_archive: Confirm, confirm_unload: Confirm) -> None:
    model, changed = form["model"], [*CHANGED, *adding.model_inputs()]

    def on(event: Any, fn: Any, *bound: Any, inputs: Sequence[str] = SELECTED, **options: Any) -> Any:
        return form.on(event, fn, *bound, inputs=inputs, outputs=[*changed, "model"], **options)

    form.on_load(load_page, lab, outputs=["add_tabs", *changed, "model"])
    on(form["table"].select, select_model, lab)
    on(form["show_archived"].input, render, lab)
    on(form["load"].click, load_model, lab, concurrency_id="models", concurrency_limit=2)
    unloaded = form["unload"].click(
        event_handler(unload_or_ask, lab, confirm_unload), model, confirm_unload.outputs, **INTERNAL
    )
    on(unloaded.success, render, lab)
    on(confirm_unload.yes.click, unload_model, lab).then(confirm_unload.close, None, confirm_unload.outputs, **INTERNAL)
    form["archive"].click(event_handler(ask_to_archive, confirm_archive), model, confirm_archive.outputs, **INTERNAL)
    on(confirm_archive.yes.click, archive_model, lab).then(
        confirm_archive.close, None, confirm_archive.outputs, **INTERNAL
    )
    on(form["restore"].click, restore_model, lab)
    on(form["torch_copy"].click, make_or_show_copy, lab)
    on(form["dtype"].input, choose_dtype, lab, inputs=[*SELECTED, "dtype"])
    on(form["measure"].click, measure_speed, lab, concurrency_id="models", concurrency_limit=2)
    for added in adding.wire(lab, form):
        on(added.success, render, lab)
    on(form["downloads"].cancel, cancel_download, lab)
    on(form["downloads"].resume, resume_download, lab)
    on(form["shelf"].get, get_from_shelf, lab)
    on(form["shelf"].cancel, cancel_getting, lab)
    on(form["shelf"].show, show_from_shelf, lab)
    form.on(form["gguf_file"].submit, shelf_panel.import_file, lab, inputs=["gguf_file"], outputs=["gguf_file"])
    # A late tick must not undo a selection, so it never says which model is selected.
    tick = gr.Timer(2).tick
    form.on(tick, refresh, lab, inputs=[*SELECTED, "drawn_state"], outputs=[*changed, "drawn_state"], queue=False)


# Drawing


def load_page(lab: LabContext, request: gr.Request) -> Updates:
    """The page as its address asks for it: ?model=NAME, and ?add=local (hub, adapter, endpoint...) for a way to add."""
    tab = request.query_params.get("add", "")
    selected = {"add_tabs": gr.update(selected=tab)} if tab in [b.name for b in adding.backends()] else {}
    return selected | render(lab, {"model": request.query_params.get("model", ""), "show_archived": False})


def select_model(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    return render(lab, {**values, "model": event.name})


def render(lab: LabContext, values: Values) -> Updates:
    """Everything that depends on the catalogue; without a model of this name the first one is selected."""
    views, name = _views(lab, values["show_archived"]), values["model"]
    view = next((view for view in views if view.card.name == name), None)
    if view is None and name:
        view = _model(lab, name)
    if view is None and views:
        view = views[0]
    selected = view.card.name if view else ""
    text = _readme(view) if view else ""
    return {
        "table": {"rows": [_row(row, row.card.name == selected) for row in views]},
        "budget": draw_budget(lab),
        "detail": _detail(view, service.budget(lab).loaded.get(selected)) if view else {},
        "card_panel": gr.update(visible=bool(text)),
        "readme": text,
        **_buttons(view),
        "torch_copy": torch_copy.button_state(lab, view),
        **speed.state(lab, view),
        "downloads": [_download(item) for item in service.downloads(lab)],
        "shelf": shelf_panel.cards(lab),
        **{name: gr.update(choices=adding.base_models(lab)) for name in adding.model_inputs()},
        "model": selected,
    }


def refresh(lab: LabContext, values: Values) -> Updates:
    """Draws the page again where something changed: a download moved, a model was loaded elsewhere."""
    views = _views(lab, values["show_archived"])
    models = [(view.card.name, view.status, view.detail, view.card.loaded_dtype, view.speeds) for view in views]
    downloads = [_download(item) for item in service.downloads(lab)]
    budget = service.budget(lab)
    state = repr((values["model"], models, budget.used_bytes, budget.loading, downloads, shelf_panel.cards(lab)))
    if state == values["drawn_state"]:
        return {}
    updates = render(lab, values)
    del updates["model"]
    # A button that says Loading… or Measuring… stays as it is.
    updates["load"].pop("interactive")
    updates["measure"].pop("interactive", None)
    updates["measure"].pop("value", None)
    return {**updates, "drawn_state": state}


def _views(lab: LabContext, archived: bool) -> list[service.ModelView]:
    return service.catalogue(lab) + (service.catalogue(lab, archived=True) if archived else [])


def _model(lab: LabContext, name: str) -> service.ModelView | None:
    try:
        return service.show(lab, name)
    except LabError:
        return None


def _row(view: service.ModelView, selected: bool) -> dict[str, Any]:
    card = view.card
    return {
        "name": card.name,
        "family": card.family,
        "parameters": count_text(card.parameters),
        "dtype": speed.short_dtype(card),
        "disk": size_text(card.disk_bytes),
        "memory": size_text(card.memory_bytes),
        "context": f"{card.context:,}" if card.context else NOTHING,
        "licence": card.licence or NOTHING,
        "source": _origin(card.source),
        "hash": (card.content_hash or NOTHING)[:8],
        "status": view.status,
        "selected": selected,
    }


def _origin(source: Source) -> str:
    return BACKENDS.get(source.backend).describe(source)


def _detail(view: service.ModelView, state: service.LoadedState | None) -> dict[str, Any]:
    card = view.card
    rows_together = state.rows_together if state else 0
    facts = {
        "Architecture": f"{card.architecture} ({card.family})",
        "Modes": ", ".join(card.modes) or "none (a classifier)",
        "Parameters": f"{card.parameters:,}" if card.parameters else NOTHING,
        "Dtype": speed.dtype_text(view),
        "Disk": size_text(card.disk_bytes),
        "Memory": _memory(card, state),
        "Context": f"{card.context:,} tokens" if card.context else NOTHING,
        "Licence": card.licence or NOTHING,
        "Source": _origin(card.source),
        "Name at the endpoint": card.source.remote_name or "",
        "Key variable": card.source.key_env or "",
        "Content hash": card.content_hash or NOTHING,
        "Batch": f"at most {rows_together} rows at once since loading" if rows_together else "",
        "Made from": card.converted_from or "",
        "Created by run": str(view.made_by_run or ""),
        "Added": f"{view.created_at:%Y-%m-%d %H:%M} UTC" if view.created_at else "",
    }
    return {
        "name": card.name,
        "status": view.status,
        "about": card.about,
        "detail": view.detail if view.status in ("missing", "failed", "training") else "",
        "facts": [[name, text] for name, text in facts.items() if text],
    }


def _memory(card: Any, state: service.LoadedState | None) -> str:
    cache = f", {size_text(card.cache_bytes)} of it for a text that fills the context" if card.cache_bytes else ""
    estimate = f"about {size_text(card.memory_bytes)} estimated{cache}" if card.memory_bytes else NOTHING
    if state is None or not state.measured or state.dtype != card.loaded_dtype:
        return estimate
    return f"{size_text(state.memory_bytes)} measured; {estimate}"


def _buttons(view: service.ModelView | None) -> Updates:
    status = view.status if view else ""
    ready = view is not None and status in ("ready", "loaded") and view.card.role == "generate"
    return {
        "load": gr.update(visible=status not in ("loaded", "archived"), interactive=ready),
        "unload": gr.update(visible=status == "loaded"),
        "open_playground": gr.update(interactive=ready, link=f"/?model={view.card.name}" if view and ready else None),
        "lineage": gr.update(interactive=bool(view), link=lineage.address_of("model", view.name) if view else None),
        "archive": gr.update(visible=status != "archived", interactive=bool(view) and status != "downloading"),
        "restore": gr.update(visible=status == "archived"),
    }


def _download(item: service.Download) -> dict[str, Any]:
    running = item.status in ("queued", "running")
    received, total = item.done_bytes, item.total_bytes
    text = f"{size_text(received)} of {size_text(total)}" if total else size_text(received)
    if running and item.seconds_left is not None:
        text += f", {seconds_text(max(1.0, item.seconds_left))} left"
    return {
        "id": str(item.id),
        "name": item.name,
        "text": f"{item.status}: {text}",
        "percent": round(100 * received / total, 1) if total else 0,
        "error": item.error or "",
        "running": running,
        "stopped": item.status in ("cancelled", "failed"),
    }


def _readme(view: service.ModelView) -> str:
    """A starter's model card without its front matter; other folders' texts may name foreign pictures."""
    path = view.card.path
    if not BACKENDS.get(view.card.source.backend).shipped or path is None or not (path / "README.md").is_file():
        return ""
    text = (path / "README.md").read_text(errors="replace")[:README_LIMIT]
    return text.split("---\n", 2)[2] if text.startswith("---\n") and text.count("---\n") > 1 else text


# Loading and archiving


def load_model(lab: LabContext, values: Values) -> Iterator[Updates]:
    """Loads the model while its button says so; a model that does not fit is refused in one sentence."""
    first = render(lab, values)
    first["load"] = gr.update(value="Loading…", interactive=False)
    yield first
    try:
        for progress in service.load_watched(lab, values["model"], LOADING_PAUSE):
            text = "Loading…" if progress is None else f"Loading… {100 * progress.share:.0f} %"
            yield {"budget": draw_budget(lab), "load": gr.update(value=text, interactive=False)}
    except Exception:
        yield _after_loading(lab, values)
        raise
    yield _after_loading(lab, values)


def _after_loading(lab: LabContext, values: Values) -> Updates:
    updates = render(lab, values)
    updates["load"] = {**updates["load"], "value": "Load"}
    return updates


def unload_or_ask(lab: LabContext, question: Confirm, name: str) -> tuple[Any, Any]:
    """Unloads at once; asks first where a running generation would be lost."""
    state = service.budget(lab).loaded.get(name)
    if state is not None and state.busy:
        return question.ask(f"{name} is generating; unloading it ends that text where it is.")
    service.unload(lab, name)
    return question.close()


def unload_model(lab: LabContext, values: Values) -> Updates:
    service.unload(lab, values["model"])
    return render(lab, values)


def ask_to_archive(question: Confirm, name: str) -> tuple[Any, Any]:
    return question.ask(f"Archive {name}? It leaves every list; its runs keep it, and it can be restored.")


def archive_model(lab: LabContext, values: Values) -> Updates:
    service.archive(lab, values["model"])
    return render(lab, values if values["show_archived"] else {**values, "model": ""})


def restore_model(lab: LabContext, values: Values) -> Updates:
    service.restore(lab, values["model"])
    return render(lab, values)


def choose_dtype(lab: LabContext, values: Values) -> Updates:
    speed.choose(lab, values)
    return render(lab, values)


def measure_speed(lab: LabContext, values: Values) -> Iterator[Updates]:
    try:
        yield from speed.measure(lab, values)
    finally:
        yield render(lab, values)


def make_or_show_copy(lab: LabContext, values: Values) -> Updates:
    return render(lab, {**values, "model": torch_copy.make_or_show(lab, values["model"])})


# Downloads in progress


def cancel_download(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    service.cancel_download(lab, int(event.id))
    return render(lab, values)


def resume_download(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    """Starts the download again; files that are complete are not fetched twice."""
    download = next((item for item in service.downloads(lab) if str(item.id) == str(event.id)), None)
    if download is None:
        raise LabError("This download is no longer in the list; start it again with its Hub id.")
    service.start_download(lab, download.name, service.show(lab, download.name).card.source)
    return render(lab, values)


# The shelf


def get_from_shelf(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    """Begins to get a model of the shelf, or goes on with one that stopped."""
    shelf_panel.get(lab, event.name)
    return render(lab, values)


def cancel_getting(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    shelf_panel.cancel(lab, event.name)
    return render(lab, values)


def show_from_shelf(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    """Selects the model of the catalogue that a card of the shelf stands for."""
    return render(lab, {**values, "model": shelf_panel.model_of(lab, event.name)})
