"""The models page: what can be used, what it needs, where it came from; adding, loading and putting away."""

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.models import Source
from genai_lab.services import models as service
from pages.components import catalogue as pieces
from pages.components.confirm import Confirm
from pages.components.errors import PRIVATE, guarded
from pages.components.head import page_head, section
from pages.components.opening import on_open
from pages.components.stats import NOTHING, count_text, seconds_text, size_text
from pages.models import adding

TITLE = "Models"
ROUTE = "models"
README_LIMIT = 60_000
LOAD = 5  # the Load button's place among the outputs that draw() gives
Update = Any


def build(lab: LabContext) -> None:
    page_head(TITLE, "Everything that can generate: what it needs, where it came from, and what is in memory now.")
    chosen, seen, planned = gr.State(""), gr.State(""), gr.State(None)
    budget = pieces.budget_bar("models-budget")
    table = pieces.model_table("models-table")
    archived = gr.Checkbox(
        False, label="Show archived models", container=False, elem_classes=["quiet"], elem_id="models-archived"
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            detail = pieces.model_detail("models-detail")
            with gr.Row():
                load_ = gr.Button("Load", variant="primary", scale=0, min_width=90, elem_id="models-load")
                unload = gr.Button("Unload", scale=0, min_width=90, elem_id="models-unload")
                play = gr.Button(
                    "Open in playground", scale=0, min_width=150, elem_id="models-play", link_target="_self"
                )
                archive = gr.Button("Archive", scale=0, min_width=90, elem_id="models-archive")
                restore = gr.Button("Restore", scale=0, min_width=90, elem_id="models-restore")
            surely_archive = Confirm("Archive", "models-archive-confirm")
            surely_unload = Confirm("Unload", "models-unload-confirm")
            with gr.Accordion("Model card", open=False, visible=False, elem_id="models-card") as shelf:
                readme = gr.Markdown(elem_id="models-readme", elem_classes=["prose-small"])
        with gr.Column(scale=2, min_width=300):
            section("Add a model")
            offers = adding.tabs(lab)
            hub, added, base = offers.hub, offers.added, offers.base
            downloads = pieces.download_list("models-downloads")
    shown = [table, budget, detail, shelf, readme, load_, unload, play, archive, restore, downloads, base, chosen]
    now = [chosen, archived]

    on_open(opened, [offers.tabs, *shown], lab)
    table.select(guarded(choose, lab), [archived], shown, **PRIVATE)
    archived.input(guarded(draw, lab), now, shown, **PRIVATE)
    load_.click(guarded(loading, lab), now, shown, concurrency_id="models", concurrency_limit=2, **PRIVATE)
    unload.click(guarded(ask_unload, lab, surely_unload), [chosen], surely_unload.outputs, **PRIVATE).success(
        guarded(draw, lab), now, shown, **PRIVATE
    )
    surely_unload.yes.click(guarded(unloaded, lab), now, shown, **PRIVATE).then(
        surely_unload.close, None, surely_unload.outputs, **PRIVATE
    )
    archive.click(guarded(ask_archive, surely_archive), [chosen], surely_archive.outputs, **PRIVATE)
    surely_archive.yes.click(guarded(put_away, lab), now, shown, **PRIVATE).then(
        surely_archive.close, None, surely_archive.outputs, **PRIVATE
    )
    restore.click(guarded(brought_back, lab), now, shown, **PRIVATE)

    for button, fn, inputs in added:
        made = button.click(guarded(fn, lab), inputs, [chosen], concurrency_id="models", **PRIVATE)
        made.success(guarded(draw, lab), now, shown, **PRIVATE)
    where = [hub["repo"], hub["revision"], hub["key"]]
    hub["check"].click(guarded(adding.plan, lab), where, [hub["plan"], hub["start"], planned], **PRIVATE)
    gr.on(
        [item.input for item in where],
        adding.forget_plan,
        None,
        [hub["plan"], hub["start"], planned],
        queue=False,
        **PRIVATE,
    )
    hub["start"].click(guarded(adding.download, lab), [hub["name"], *where, planned], [chosen], **PRIVATE).success(
        guarded(draw, lab), now, shown, **PRIVATE
    )
    downloads.cancel(guarded(cancel, lab), now, shown, **PRIVATE)
    downloads.resume(guarded(resume, lab), now, shown, **PRIVATE)
    # A tick that is late must not undo a choice, so it never says what is chosen.
    gr.Timer(2).tick(guarded(tick, lab), [*now, seen], [*shown[:-1], seen], queue=False, **PRIVATE)


# Drawing


def opened(lab: LabContext, request: gr.Request) -> Sequence[Update]:
    """The page as its address asks for it: ?model=NAME, and ?add=local (hub, adapter, endpoint) for a way of adding."""
    way = request.query_params.get("add", "")
    tab = gr.update(selected=way) if way in ("hub", "local", "adapter", "endpoint") else gr.skip()
    return tab, *draw(lab, request.query_params.get("model", ""), False)


def choose(lab: LabContext, archived: bool, event: gr.EventData) -> Sequence[Update]:
    return draw(lab, event.name, archived)


def draw(lab: LabContext, name: str, archived: bool) -> Sequence[Update]:
    """Everything that depends on the catalogue, in the order of `shown`."""
    views = _views(lab, archived)
    view = next((item for item in views if item.card.name == name), None)
    if view is None and name:
        view = _known(lab, name)
    if view is None and views:
        view = views[0]
    picked = view.card.name if view else ""
    text = _readme(view) if view else ""
    return (
        {"rows": [_row(item, item.card.name == picked) for item in views]},
        _budget(lab),
        _detail(view, service.budget(lab).loaded.get(picked)) if view else {},
        gr.update(visible=bool(text)),
        text,
        *_buttons(view),
        [_download(item) for item in service.downloads(lab)],
        gr.update(choices=adding.bases(lab)),
        picked,
    )


def tick(lab: LabContext, name: str, archived: bool, seen: str) -> Sequence[Update]:
    """Draws again where something changed: a download moved, a model was loaded elsewhere."""
    state = [(view.card.name, view.status, view.detail) for view in _views(lab, archived)]
    mark = repr((name, state, service.budget(lab).used_bytes, [_download(item) for item in service.downloads(lab)]))
    if mark == seen:
        return gr.skip()
    shown = list(draw(lab, name, archived))[:-1]
    shown[LOAD].pop("interactive")  # a button that says Loading… stays as it is
    return (*shown, mark)


def _views(lab: LabContext, archived: bool) -> list[service.ModelView]:
    put_away = service.catalogue(lab, archived=True) if archived else []
    return service.catalogue(lab) + put_away


def _known(lab: LabContext, name: str) -> service.ModelView | None:
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
        "dtype": _dtype(card),
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
    if source.backend == "starter":
        return "shipped with the lab"
    where = f"{source.location}@{source.revision[:10]}" if source.revision else source.location
    return f"{source.backend}: {where}" + (f" on {source.base}" if source.base else "")


def _detail(view: service.ModelView, state: service.LoadedState | None) -> dict[str, Any]:
    card = view.card
    together = state.rows_together if state else 0
    facts = {
        "Architecture": f"{card.architecture} ({card.family})",
        "Modes": ", ".join(card.modes) or "none: it classifies",
        "Parameters": f"{card.parameters:,}" if card.parameters else NOTHING,
        "Dtype": _dtype(card),
        "Disk": size_text(card.disk_bytes),
        "Memory": _memory(card, state),
        "Context": f"{card.context:,} tokens" if card.context else NOTHING,
        "Licence": card.licence or NOTHING,
        "Source": _origin(card.source),
        "Model there": card.source.remote_name or "",
        "Key variable": card.source.key_env or "",
        "Content hash": card.content_hash or NOTHING,
        "Batch": f"at most {together} rows together since it was loaded" if together else "",
        "Made by run": str(view.made_by_run or ""),
        "Added": f"{view.created_at:%Y-%m-%d %H:%M} UTC" if view.created_at else "",
    }
    return {
        "name": card.name,
        "status": view.status,
        "about": card.about,
        "detail": view.detail if view.status in ("missing", "failed", "training") else "",
        "facts": [[name, text] for name, text in facts.items() if text],
    }


def _dtype(card: Any) -> str:
    """The dtype on file, and the one that it is loaded in where that is another."""
    if not card.dtype or card.loaded_dtype in (None, card.dtype):
        return card.dtype or NOTHING
    return f"{card.dtype} on file, {card.loaded_dtype} loaded"


def _memory(card: Any, state: service.LoadedState | None) -> str:
    cache = f", {size_text(card.cache_bytes)} of it for a text that fills the context" if card.cache_bytes else ""
    foreseen = f"about {size_text(card.memory_bytes)} foreseen{cache}" if card.memory_bytes else NOTHING
    return f"{size_text(state.memory_bytes)} measured; {foreseen}" if state and state.measured else foreseen


def _buttons(view: service.ModelView | None) -> tuple[Update, ...]:
    """Updates for load, unload, play, archive, restore."""
    status = view.status if view else ""
    plays = view is not None and status in ("ready", "loaded") and view.card.role == "generate"
    return (
        gr.update(visible=status != "loaded" and status != "archived", interactive=plays),
        gr.update(visible=status == "loaded"),
        gr.update(interactive=plays, link=f"/?model={view.card.name}" if view and plays else None),
        gr.update(visible=status != "archived", interactive=bool(view) and status != "downloading"),
        gr.update(visible=status == "archived"),
    )


def _budget(lab: LabContext) -> dict[str, Any]:
    state = service.budget(lab)
    share = state.used_bytes / state.budget_bytes if state.budget_bytes else 0.0
    return {
        "used": size_text(state.used_bytes),
        "budget": size_text(state.budget_bytes),
        "percent": round(100 * share, 1),
        "loaded": " · ".join(f"{name} {size_text(one.memory_bytes)}" for name, one in state.loaded.items()),
        "note": f"device {lab.config.device}, dtype {lab.config.dtype}; the least recently used model makes room; the "
        f"whole process takes {size_text(state.process_bytes)}",
    }


def _download(item: service.Download) -> dict[str, Any]:
    running = item.status in ("queued", "running")
    done, total = item.done_bytes, item.total_bytes
    text = f"{size_text(done)} of {size_text(total)}" if total else size_text(done)
    if running and item.seconds_left is not None:
        text += f", {seconds_text(max(1.0, item.seconds_left))} left"
    return {
        "id": str(item.id),
        "name": item.name,
        "text": f"{item.status}: {text}",
        "percent": round(100 * done / total, 1) if total else 0,
        "error": item.error or "",
        "running": running,
        "stopped": item.status in ("cancelled", "failed"),
    }


def _readme(view: service.ModelView) -> str:
    """A starter's model card without its front matter; other folders' texts may name foreign pictures."""
    path = view.card.path
    if view.card.source.backend != "starter" or path is None or not (path / "README.md").is_file():
        return ""
    text = (path / "README.md").read_text(errors="replace")[:README_LIMIT]
    return text.split("---\n", 2)[2] if text.startswith("---\n") and text.count("---\n") > 1 else text


# Loading and putting away


def loading(lab: LabContext, name: str, archived: bool) -> Iterator[Sequence[Update]]:
    """Loads while the page says so; what does not fit is refused by a sentence."""
    busy = list(draw(lab, name, archived))
    busy[LOAD] = gr.update(value="Loading…", interactive=False)
    yield busy
    try:
        service.load(lab, name)
    except Exception:
        yield _idle(lab, name, archived)
        raise
    yield _idle(lab, name, archived)


def _idle(lab: LabContext, name: str, archived: bool) -> Sequence[Update]:
    after = list(draw(lab, name, archived))
    after[LOAD] = {**after[LOAD], "value": "Load"}
    return after


def ask_unload(lab: LabContext, question: Confirm, name: str) -> tuple[Update, Update]:
    """Unloads at once; asks first where a generation under way would be lost."""
    state = service.budget(lab).loaded.get(name)
    if state is not None and state.busy:
        return question.ask(f"{name} is generating; unloading it ends that text where it is.")
    service.unload(lab, name)
    return question.close()


def unloaded(lab: LabContext, name: str, archived: bool) -> Sequence[Update]:
    service.unload(lab, name)
    return draw(lab, name, archived)


def ask_archive(question: Confirm, name: str) -> tuple[Update, Update]:
    return question.ask(f"Archive {name}? It leaves every list; its runs keep it, and it can be restored.")


def put_away(lab: LabContext, name: str, archived: bool) -> Sequence[Update]:
    service.archive(lab, name)
    return draw(lab, name if archived else "", archived)


def brought_back(lab: LabContext, name: str, archived: bool) -> Sequence[Update]:
    service.restore(lab, name)
    return draw(lab, name, archived)


# Downloads under way


def cancel(lab: LabContext, name: str, archived: bool, event: gr.EventData) -> Sequence[Update]:
    service.cancel_download(lab, int(event.id))
    return draw(lab, name, archived)


def resume(lab: LabContext, name: str, archived: bool, event: gr.EventData) -> Sequence[Update]:
    """Starts the download again; what is there already is not fetched twice."""
    item = next((one for one in service.downloads(lab) if str(one.id) == str(event.id)), None)
    if item is None:
        raise LabError("This download is gone from the list; start it again with its Hub id.")
    service.start_download(lab, item.name, service.show(lab, item.name).card.source)
    return draw(lab, name, archived)
