"""The library and the editor: choose, change, save as the next version, tag, compare, put away."""

import json
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import quote

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.prompts import PARTS, Template
from genai_lab.prompts.library import TASKS
from genai_lab.services import templates as service
from pages.components.copying import copy_computed
from pages.components.errors import PRIVATE, guarded, notice, warned
from pages.components.head import drawn, section
from pages.components.opening import on_open
from pages.prompts import pieces, preview, trying
from pages.prompts.separators import CHOICES, as_typed, from_typed

HELP = {item.name: item.metadata["help"] for item in fields(Template)}
HINTS = {"shot": "The instruction, a space and {{ reference }}"}
FIRST = "classify-review"
NEW = Template(instruction="{{ input }}\nAnswer:")
KEEP = "(...values) => JSON.stringify(values)"
Update = Any


@dataclass
class Editor:
    """The inputs that make a template, and what stands around them."""

    name: gr.Textbox
    task: gr.Dropdown
    system: gr.Textbox
    instruction: gr.Textbox
    shot: gr.Textbox
    separator: gr.Dropdown
    message: gr.Textbox

    @property
    def parts(self) -> list[Any]:
        return [self.system, self.instruction, self.shot, self.separator]

    @property
    def inputs(self) -> list[Any]:
        return [self.name, self.task, *self.parts]


def build(lab: LabContext) -> None:
    state = gr.Textbox("", visible="hidden", show_label=False, container=False, elem_id="prompts-open")
    draft = gr.BrowserState(None, storage_key="genai-lab-prompts", secret="genai-lab")
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=230):
            section("Library")
            search, task, archived, shelf, new = _library()
        with gr.Column(scale=4, min_width=320):
            section("Template")
            editor = _editor()
            save, copy, link, archive, restore, mark = _buttons()
            table, difference, tag, put_tag, drop_tag = _versions()
        with gr.Column(scale=4, min_width=320):
            sight = preview.build(lab, editor.parts)
            trying.build(lab, sight)
    listing = [search, task, archived]
    shown = [shelf, *editor.inputs, editor.message, table, difference, archive, restore, state]
    on_open(opened, [*shown, *sight.inputs], lab, inputs=[draft]).then(
        guarded(preview.draw, lab, sight.kept), sight.watched, sight.outputs, **PRIVATE
    ).then(guarded(preview.count, lab, sight.kept), sight.counted, sight.figures, **PRIVATE)
    shelf.select(guarded(chosen, lab), [sight.source, *listing], [*shown, sight.source], **PRIVATE)
    table.select(guarded(other_version, lab), [state, *listing], shown, **PRIVATE)
    table.compare(guarded(compared, lab), [state, *editor.parts], difference, **PRIVATE)
    new.click(guarded(begun, lab), listing, shown, **PRIVATE)
    save.click(guarded(saved, lab), [*editor.inputs, editor.message, *listing], shown, **PRIVATE)
    copy_computed(link, address, [state])
    copy.click(guarded(copied, lab), [state, *listing], shown, **PRIVATE)
    archive.click(guarded(put_away, lab), [state, *listing], shown, **PRIVATE)
    restore.click(guarded(brought_back, lab), [state, *listing], shown, **PRIVATE)
    put_tag.click(guarded(tagged, lab), [state, tag], [table, shelf, tag], **PRIVATE)
    drop_tag.click(guarded(untagged, lab), [state, tag], [table, shelf, tag], **PRIVATE)
    for one in listing:
        one.change(guarded(listed, lab), [state, *listing], shelf, trigger_mode="always_last", queue=False, **PRIVATE)
    for one in editor.parts:
        one.change(
            guarded(changed, lab), [state, *editor.parts], mark, trigger_mode="always_last", queue=False, **PRIVATE
        )
    kept = [state, *editor.inputs, *sight.inputs]
    for one in (*editor.inputs, *sight.inputs):
        one.change(None, kept, draft, js=KEEP, queue=False, **PRIVATE)


def _library() -> tuple[Any, ...]:
    with gr.Group():
        search = gr.Textbox(label="Search", placeholder="Words in name or task", max_lines=1, elem_id="prompts-search")
        task = gr.Dropdown(
            [("All tasks", ""), *((name, name) for name in TASKS)],
            value="",
            label="Task",
            interactive=True,
            elem_id="prompts-filter",
        )
    shelf = pieces.library("prompts-library")
    with gr.Row(elem_classes=["actions"]):
        new = gr.Button("New", size="sm", scale=0, min_width=70, elem_id="prompts-new")
        archived = gr.Checkbox(
            False, label="Show archived", container=False, elem_classes=["quiet"], elem_id="prompts-archived"
        )
    return search, task, archived, shelf, new


def _editor() -> Editor:
    with gr.Group():
        with gr.Row():
            name = gr.Textbox(label="Name", max_lines=1, scale=3, interactive=True, elem_id="prompts-name")
            task = gr.Dropdown(
                list(TASKS), label="Task", scale=2, interactive=True, allow_custom_value=True, elem_id="prompts-task"
            )
        texts = {
            part: gr.Textbox(
                label=part.capitalize(),
                info=HELP[part],
                lines=lines,
                max_lines=most,
                interactive=True,
                elem_id=f"prompts-{part}",
                elem_classes=["mono"],
                placeholder=HINTS.get(part),
            )
            for part, lines, most in (("system", 2, 12), ("instruction", 4, 24), ("shot", 3, 16))
        }
        separator = gr.Dropdown(
            list(CHOICES),
            label="Separator",
            info=f"{HELP['separator']} Choose one, or type a text; \\n in it is a line break.",
            allow_custom_value=True,
            interactive=True,
            elem_id="prompts-separator",
        )
    message = gr.Textbox(
        label="Message",
        placeholder="What is new in this version",
        max_lines=1,
        interactive=True,
        elem_id="prompts-message",
    )
    return Editor(name, task, **texts, separator=separator, message=message)


def _buttons() -> tuple[Any, ...]:
    with gr.Row(elem_classes=["actions"]):
        save = gr.Button("Save version", variant="primary", scale=0, min_width=110, elem_id="prompts-save")
        copy = gr.Button("Copy", scale=0, min_width=70, elem_id="prompts-copy")
        link = gr.Button("Copy link", scale=0, min_width=90, elem_id="prompts-link")
        archive = gr.Button("Archive", scale=0, min_width=80, elem_id="prompts-archive")
        restore = gr.Button("Undo archive", scale=0, min_width=110, visible=False, elem_id="prompts-restore")
        mark = drawn(
            "",
            html_template='{{#if value}}<p class="panel-note" role="status">{{value}}</p>{{/if}}',
            elem_classes=["plain"],
            js_on_load=None,
            elem_id="prompts-mark",
        )
    return save, copy, link, archive, restore, mark


def _versions() -> tuple[Any, ...]:
    section("Versions")
    table = pieces.version_table("prompts-versions")
    with gr.Row(elem_classes=["actions"]):
        tag = gr.Textbox(
            placeholder="best",
            label="Tag of the open version",
            max_lines=1,
            scale=1,
            min_width=120,
            elem_id="prompts-tag",
        )
        put_tag = gr.Button("Tag", size="sm", scale=0, min_width=60, elem_id="prompts-tag-put")
        drop_tag = gr.Button("Remove tag", size="sm", scale=0, min_width=90, elem_id="prompts-tag-drop")
    difference = pieces.difference("prompts-difference")
    return table, difference, tag, put_tag, drop_tag


# What is shown


def opened(lab: LabContext, draft: str | None, request: gr.Request) -> list[Update]:
    """What the address asks for (?template=name@2, ?dataset=name@1), else the draft, else the library's first."""
    asked, dataset = (request.query_params.get(name, "") for name in ("template", "dataset"))
    kept = _kept(draft)
    best = _suited(lab, dataset) if dataset and not asked else None
    view = service.show(lab, asked or best or FIRST)
    if best and not _has_unsaved(lab, kept):  # a link from a dataset begins with the template that suits it
        kept = None
    # A draft of the version that is asked for is the same work, taken up again.
    if kept is None or (asked and kept[0] != view.name):
        return [*_shown(lab, view), *preview.beginning(lab, view.name, kept, dataset)]
    state, *values = kept
    name, number = _split(state)
    views = _versions_of(lab, name)
    now = [
        _shelf(lab, name),
        *values[:6],
        "",
        pieces.versions_value(views, service.uses(lab, name) if views else {}, number),
        pieces.difference_value("", ""),
        *_archiving(views[0] if views else None),
        state,
    ]
    return [*now, *preview.beginning(lab, name, kept, dataset)]


def chosen(
    lab: LabContext, source: str | None, search: str, task: str, archived: bool, event: gr.EventData
) -> list[Update]:
    view = service.show(lab, str(event.name))
    return [*_shown(lab, view, search, task, archived), preview.suited(lab, view, source)]


def other_version(lab: LabContext, state: str, search: str, task: str, archived: bool, event: gr.EventData) -> list:
    return _shown(lab, service.show(lab, f"{_split(state)[0]}@{int(event.number)}"), search, task, archived)


def listed(lab: LabContext, state: str, search: str, task: str, archived: bool) -> dict[str, Any]:
    return _shelf(lab, _split(state)[0], search, task, archived)


def begun(lab: LabContext, search: str, task: str, archived: bool) -> list[Update]:
    """An empty editor; nothing is kept before it is saved."""
    return [
        _shelf(lab, "", search, task, archived),
        *("", None, NEW.system, NEW.instruction, NEW.shot, as_typed(NEW.separator), ""),
        pieces.versions_value([], {}, None),
        pieces.difference_value("", ""),
        *_archiving(None),
        "",
    ]


def compared(
    lab: LabContext, state: str, system: str, instruction: str, shot: str, separator: str, event: gr.EventData
) -> dict[str, Any]:
    """From the version to what stands in the editor now."""
    old = service.show(lab, f"{_split(state)[0]}@{int(event.number)}")
    text = service.difference(old.value, _template(system, instruction, shot, separator), old.name, "this text")
    title = f"From {old.name} to this text" if text else f"{old.name} is this text, word for word."
    return pieces.difference_value(text, title)


def changed(lab: LabContext, state: str, system: str, instruction: str, shot: str, separator: str) -> str:
    """Says when what stands in the editor is no saved version."""
    if not state:
        return "Not saved yet."
    view = service.show(lab, state)
    parts = (system or "", instruction or "", shot or "", from_typed(separator or ""))
    return "" if parts == tuple(view.value.as_dict().values()) else f"Changed since {view.name}; not saved yet."


def address(state: str, request: gr.Request) -> str:
    """The link that opens this version."""
    scheme = str(request.headers.get("origin", "")).partition("://")[0] or "http"
    return f"{scheme}://{request.headers['host']}/prompts?template={quote(_open(state), safe='@')}"


# What is changed


def saved(lab: LabContext, name: str, task: str | None, *rest: Any) -> list[Update]:
    *parts, message, search, filtered, archived = rest
    before = {view.content_hash for view in _versions_of(lab, (name or "").strip())}
    template = _template(*parts)
    view = service.save(lab, name or "", template, task=task or "", message=message or "")
    if view.content_hash in before:
        notice(f"{view.name} has this text already; nothing new was saved.")
    else:
        notice(f"Saved {view.name}.")
    return _shown(lab, view, search, filtered, archived)


def copied(lab: LabContext, state: str, search: str, task: str, archived: bool) -> list[Update]:
    """The saved version under a free name."""
    name = _split(_open(state))[0]
    taken = {view.template for hidden in (False, True) for view in service.find(lab, archived=hidden)}
    free = next(new for n in range(1, 10_000) if (new := f"{name}-copy{n if n > 1 else ''}") not in taken)
    view = service.copy(lab, _open(state), free)
    notice(f"Copied to {view.template}; give it a name of its own by saving it under one.")
    return _shown(lab, view, search, task, archived)


def put_away(lab: LabContext, state: str, search: str, task: str, archived: bool) -> list[Update]:
    name = _split(_open(state))[0]
    service.archive(lab, name)
    notice(f"Archived {name}; Undo archive brings it back.")
    return _shown(lab, service.show(lab, state), search, task, archived)


def brought_back(lab: LabContext, state: str, search: str, task: str, archived: bool) -> list[Update]:
    name = _split(_open(state))[0]
    service.restore(lab, name)
    return _shown(lab, service.show(lab, state), search, task, archived)


def tagged(lab: LabContext, state: str, tag: str) -> tuple[Update, Update, str]:
    name, number = _split(_open(state))
    service.tag(lab, name, number or 0, tag or "")
    return _tags(lab, state)


def untagged(lab: LabContext, state: str, tag: str) -> tuple[Update, Update, str]:
    service.untag(lab, _split(_open(state))[0], (tag or "").strip())
    return _tags(lab, state)


def _tags(lab: LabContext, state: str) -> tuple[Update, Update, str]:
    name, number = _split(state)
    views = service.versions(lab, name)
    return pieces.versions_value(views, service.uses(lab, name), number), _shelf(lab, name), ""


def _shown(
    lab: LabContext, view: service.TemplateView, search: str = "", task: str = "", archived: bool = False
) -> list[Update]:
    """Everything that a version fills, in the order of `shown`."""
    value = view.value
    return [
        _shelf(lab, view.template, search, task, archived),
        *(view.template, view.task, value.system, value.instruction, value.shot, as_typed(value.separator), ""),
        pieces.versions_value(service.versions(lab, view.template), service.uses(lab, view.template), view.number),
        pieces.difference_value("", ""),
        *_archiving(view),
        view.name,
    ]


def _shelf(lab: LabContext, name: str, search: str = "", task: str = "", archived: bool = False) -> dict[str, Any]:
    views = service.find(lab, search=search or "", task=task or "", archived=archived)
    return pieces.library_value(views, name, archived=archived, searched=bool(search or task))


def _archiving(view: service.TemplateView | None) -> tuple[Update, Update]:
    gone = view is not None and view.archived
    return gr.update(visible=not gone, interactive=view is not None), gr.update(visible=gone)


def _versions_of(lab: LabContext, name: str) -> list[service.TemplateView]:
    try:
        return service.versions(lab, name)
    except LabError:
        return []


def _has_unsaved(lab: LabContext, kept: list[Any] | None) -> bool:
    """Whether the draft holds a text that is no saved version."""
    if kept is None:
        return False
    state, _, _, *parts = kept[:7]
    if not state:
        return parts[1] != NEW.instruction
    try:
        return bool(changed(lab, state, *parts))
    except LabError:
        return True


def _suited(lab: LabContext, dataset: str) -> str | None:
    """The template that suits the dataset best; None where there is no such dataset, or none that it could fill."""
    try:
        best = service.for_dataset(lab, dataset)[:1]
    except LabError as problem:
        warned(str(problem))
        return None
    return best[0].view.template if best and best[0].fits else None


def _split(state: str) -> tuple[str, int | None]:
    """Name and number of the open version; no name where nothing is saved yet."""
    name, _, number = (state or "").partition("@")
    return name, int(number) if number.isdecimal() else None


def _open(state: str) -> str:
    if not state:
        raise LabError("This template is not saved yet; give it a name and press Save version.")
    return state


def _template(*parts: str) -> Template:
    system, instruction, shot, separator = (text or "" for text in parts)
    return Template(system, instruction, shot, from_typed(separator))


def _kept(draft: str | None) -> list[Any] | None:
    """The draft's state, editor and preview; None for one of another shape."""
    try:
        values = json.loads(draft) if draft else None
    except json.JSONDecodeError:
        return None
    if not isinstance(values, list) or len(values) != 1 + 2 + len(PARTS) + preview.INPUTS:
        return None
    return values if isinstance(values[0], str) else None
