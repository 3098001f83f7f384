"""What the Templates tab does: open, search, save, copy, archive, tag and compare templates."""

from typing import Any
from urllib.parse import quote

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.prompts import PARTS, Template
from genai_lab.services import templates as service
from pages.components.errors import notice, show_warning
from pages.components.forms import Updates, Values, read_draft
from pages.prompts import pieces, preview
from pages.prompts.separators import as_typed

FIRST = "classify-review"
NEW = Template(instruction="{{ input }}\nAnswer:")
LISTING = ("search", "task_filter", "archived")  # what the library lists
EDITOR = ("name", "task", *PARTS)
# Everything that an opened version fills.
OUTPUTS = ("library", *EDITOR, "message", "versions", "difference", "archive", "restore", "version")
DRAFT_NAMES = ("version", *EDITOR, *preview.START)
# A draft of earlier versions is a list of the values in this order.
FORMER_DRAFT = (
    "version", "name", "task", "system", "instruction", "shot", "separator", "source", "row", "typed", "selector",
    "shots", "seed", "fixed", "model", "rendering", "answer_tokens",
)  # fmt: skip
EVERYTHING: Values = {"search": "", "task_filter": "", "archived": False}


def load_page(lab: LabContext, values: Values, request: gr.Request) -> Updates:
    """What the address asks for (?template=name@2, ?dataset=name@1), else the draft, else the library's first."""
    named, dataset = (request.query_params.get(name, "") for name in ("template", "dataset"))
    draft = read_draft(values["draft"], DRAFT_NAMES, FORMER_DRAFT) or {}
    best = _best_template(lab, dataset) if dataset and not named else None
    view = service.show(lab, named or best or FIRST)
    if best and not _has_unsaved(lab, draft):  # a link from a dataset begins with the template that suits it
        draft = {}
    # A draft of the version that the address names is the same work, taken up again.
    if not isinstance(draft.get("version"), str) or (named and draft["version"] != view.name):
        return {**_show_template(lab, view), **preview.first_values(lab, view.name, draft, dataset)}
    name, number = _split(draft["version"])
    views = _versions(lab, name)
    return {
        **{part: draft.get(part) for part in EDITOR},
        "message": "",
        "library": _library(lab, name),
        "versions": pieces.versions_value(views, service.uses(lab, name) if views else {}, number),
        "difference": pieces.difference_value("", ""),
        **_archive_buttons(views[0] if views else None),
        "version": draft["version"],
        **preview.first_values(lab, name, draft, dataset),
    }


def on_library_select(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    view = service.show(lab, str(event.name))
    return {**_show_template(lab, view, values), **preview.suited_sample(lab, view, values["source"])}


def on_version_select(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    return _show_template(lab, service.show(lab, f"{_split(values['version'])[0]}@{int(event.number)}"), values)


def on_search(lab: LabContext, values: Values) -> Updates:
    return {"library": _library(lab, _split(values["version"])[0], values)}


def on_new(lab: LabContext, values: Values) -> Updates:
    """An empty editor; nothing is stored before it is saved."""
    return {
        "library": _library(lab, "", values),
        "name": "",
        "task": None,
        **_parts(NEW),
        "message": "",
        "versions": pieces.versions_value([], {}, None),
        "difference": pieces.difference_value("", ""),
        **_archive_buttons(None),
        "version": "",
    }


def on_compare(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    """From a version to the text in the editor."""
    old = service.show(lab, f"{_split(values['version'])[0]}@{int(event.number)}")
    text = service.difference(old.value, preview.read_template(values), old.name, "this text")
    title = f"From {old.name} to this text" if text else f"{old.name} is this text, word for word."
    return {"difference": pieces.difference_value(text, title)}


def on_edit(lab: LabContext, values: Values) -> Updates:
    return {"unsaved": unsaved_note(lab, values)}


def unsaved_note(lab: LabContext, values: Values) -> str:
    """Says so when the text in the editor is no saved version."""
    if not values["version"]:
        return "Not saved yet."
    view = service.show(lab, values["version"])
    same = preview.read_template(values).as_dict() == view.value.as_dict()
    return "" if same else f"Changed since {view.name}; not saved yet."


def version_link(version: str, request: gr.Request) -> str:
    """The link that opens this version."""
    scheme = str(request.headers.get("origin", "")).partition("://")[0] or "http"
    return f"{scheme}://{request.headers['host']}/prompts?template={quote(_saved_text(version), safe='@')}"


def save(lab: LabContext, values: Values) -> Updates:
    name = values["name"] or ""
    before = {view.content_hash for view in _versions(lab, name.strip())}
    template = preview.read_template(values)
    view = service.save(lab, name, template, task=values["task"] or "", message=values["message"] or "")
    if view.content_hash in before:
        notice(f"{view.name} has this text already; nothing new was saved.")
    else:
        notice(f"Saved {view.name}.")
    return _show_template(lab, view, values)


def copy(lab: LabContext, values: Values) -> Updates:
    """The saved version under a free name."""
    version = _saved_text(values["version"])
    name = _split(version)[0]
    names = {view.template for archived in (False, True) for view in service.find(lab, archived=archived)}
    free = next(new for n in range(1, 10_000) if (new := f"{name}-copy{n if n > 1 else ''}") not in names)
    view = service.copy(lab, version, free)
    notice(f"Copied to {view.template}; save it under another name to rename it.")
    return _show_template(lab, view, values)


def archive(lab: LabContext, values: Values) -> Updates:
    name = _split(_saved_text(values["version"]))[0]
    service.archive(lab, name)
    notice(f"Archived {name}; Undo archive brings it back.")
    return _show_template(lab, service.show(lab, values["version"]), values)


def restore(lab: LabContext, values: Values) -> Updates:
    service.restore(lab, _split(_saved_text(values["version"]))[0])
    return _show_template(lab, service.show(lab, values["version"]), values)


def add_tag(lab: LabContext, values: Values) -> Updates:
    name, number = _split(_saved_text(values["version"]))
    service.tag(lab, name, number or 0, values["tag"] or "")
    return _tag_updates(lab, values["version"])


def remove_tag(lab: LabContext, values: Values) -> Updates:
    service.untag(lab, _split(_saved_text(values["version"]))[0], (values["tag"] or "").strip())
    return _tag_updates(lab, values["version"])


def _tag_updates(lab: LabContext, version: str) -> Updates:
    name, number = _split(version)
    versions = pieces.versions_value(service.versions(lab, name), service.uses(lab, name), number)
    return {"versions": versions, "library": _library(lab, name), "tag": ""}


def _show_template(lab: LabContext, view: service.TemplateView, listing: Values = EVERYTHING) -> Updates:
    """Everything that a version fills: OUTPUTS."""
    versions = service.versions(lab, view.template)
    return {
        "library": _library(lab, view.template, listing),
        "name": view.template,
        "task": view.task,
        **_parts(view.value),
        "message": "",
        "versions": pieces.versions_value(versions, service.uses(lab, view.template), view.number),
        "difference": pieces.difference_value("", ""),
        **_archive_buttons(view),
        "version": view.name,
    }


def _parts(template: Template) -> Updates:
    return {**template.as_dict(), "separator": as_typed(template.separator)}


def _library(lab: LabContext, name: str, listing: Values = EVERYTHING) -> dict[str, Any]:
    search, task, archived = listing["search"] or "", listing["task_filter"] or "", bool(listing["archived"])
    views = service.find(lab, search=search, task=task, archived=archived)
    return pieces.library_value(views, name, archived=archived, searched=bool(search or task))


def _archive_buttons(view: service.TemplateView | None) -> Updates:
    archived = view is not None and view.archived
    return {
        "archive": gr.update(visible=not archived, interactive=view is not None),
        "restore": gr.update(visible=archived),
    }


def _versions(lab: LabContext, name: str) -> list[service.TemplateView]:
    try:
        return service.versions(lab, name)
    except LabError:
        return []


def _has_unsaved(lab: LabContext, draft: Values) -> bool:
    """Whether the draft holds a text that is no saved version."""
    if not all(name in draft for name in ("version", *PARTS)):
        return False
    if not draft["version"]:
        return bool(draft["instruction"] != NEW.instruction)
    try:
        return bool(unsaved_note(lab, draft))
    except LabError:
        return True


def _best_template(lab: LabContext, dataset: str) -> str | None:
    """The template that suits the dataset best; None where there is no such dataset, or none that it could fill."""
    try:
        best = service.for_dataset(lab, dataset)[:1]
    except LabError as problem:
        show_warning(str(problem))
        return None
    return best[0].view.template if best and best[0].fits else None


def _split(version: str | None) -> tuple[str, int | None]:
    """Name and number of the open version; no name where nothing is saved yet."""
    name, _, number = (version or "").partition("@")
    return name, int(number) if number.isdecimal() else None


def _saved_text(version: str | None) -> str:
    if not version:
        raise LabError("This template is not saved yet; give it a name and press Save version.")
    return version
