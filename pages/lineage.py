"""What a run, model, dataset, template or campaign came from, and what was made from it, as two trees."""

import json
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import lineage as service
from genai_lab.services import runs
from genai_lab.views import to_plain
from pages.components.copying import copy_computed
from pages.components.errors import INTERNAL
from pages.components.forms import Form
from pages.components.head import html_part, page_head
from pages.components.settings_inputs import Updates, Values

TITLE = "Lineage"
ROUTE = "lineage"
FIRST = 40  # steps in each direction that are shown at first
FACTOR = 4  # how many times as many "Show more" shows
DEEPEST = 8  # levels that are indented; what lies deeper stands under the last
TITLES = {"run": "Run", "model": "Model", "dataset": "Dataset", "template": "Template", "campaign": "Campaign"}
HINTS = {
    "run": "Its number, as the History shows it",
    "model": "Its name, as the Models page shows it",
    "dataset": "NAME, or NAME@2 for the second version",
    "template": "NAME, or NAME@2 for the second version",
    "campaign": "Its name, as the Feedback page shows it",
}
SIDES = {
    service.UPSTREAM: ("Came from", "Nothing: this is where it begins."),
    service.DOWNSTREAM: ("Made from it", "Nothing yet."),
}
_TREES = """
{{#if value.waiting}}<div class="empty-state"><b>Reading the lineage</b><p>One moment.</p></div>
{{else if value.problem}}<div class="empty-state" data-ready="yes"><b>Not found</b><p role="alert">{{value.problem}}</p>
</div>
{{else if value.root}}<div class="lineage" data-ready="yes" data-root="{{value.root.key}}">
<h2>{{value.root.kind}} <a href="{{value.root.address}}">{{value.root.name}}</a></h2>
<p class="panel-note">{{value.root.about}}<time>{{value.root.date}}</time></p>
<div class="sides">{{#each value.sides}}<section aria-label="{{this.title}}" data-side="{{this.name}}">
<h3>{{this.title}} <span>{{this.count}}</span></h3>
{{#if this.lines.length}}<ol>{{#each this.lines}}<li data-key="{{this.key}}" class="level-{{this.level}}
{{#if this.repeated}}repeated{{/if}}"><b>{{this.kind}}</b><a href="{{this.address}}">{{this.name}}</a>
{{#if this.about}}<span class="about">{{this.about}}</span>{{/if}}
{{#if this.note}}<small>{{this.note}}</small>{{/if}}<time>{{this.date}}</time>
{{#if this.lineage}}<a class="from-here" href="{{this.lineage}}" title="Lineage of {{this.name}}"
aria-label="Lineage of {{this.kind}} {{this.name}}">lineage</a>{{/if}}</li>{{/each}}</ol>
{{else}}<p class="panel-note">{{this.nothing}}</p>{{/if}}
{{#if this.more}}<p class="panel-note">The nearest {{this.limit}} are shown.</p>{{/if}}</section>{{/each}}</div></div>
{{else}}<div class="empty-state" data-ready="yes"><b>Nothing selected</b><p>Name one thing above, or follow the link
Lineage of a run in the History, of a model, a dataset or a campaign.</p></div>{{/if}}
"""
_ADDRESS = """(kind, name) => {
  if (name) history.replaceState(null, '', `${location.pathname}?${kind}=${encodeURIComponent(name)}`);
  return [];
}"""
NAMED = ["kind", "name", "limit"]


def build(lab: LabContext) -> None:
    page_head(TITLE, "What each thing was made from, down to data, prompts and seeds, and what was made from it.")
    form = Form(limit=gr.State(FIRST))
    with gr.Row(elem_classes=["actions"]):
        form.add(
            kind=gr.Dropdown(
                [(title, name) for name, title in TITLES.items()], value="run", label="Kind", elem_id="lineage-kind"
            ),
            name=gr.Textbox(
                label="Number or name", info=HINTS["run"], max_lines=1, max_length=200, elem_id="lineage-name"
            ),
        )
    with gr.Row(elem_classes=["actions"]):
        show = gr.Button("Show", variant="primary", size="sm", scale=0, min_width=90, elem_id="lineage-show")
        form.add(
            more=gr.Button("Show more", size="sm", scale=0, min_width=90, visible=False, elem_id="lineage-more"),
            copy=gr.Button("Copy as JSON", size="sm", scale=0, min_width=110, visible=False, elem_id="lineage-copy"),
        )
    form.add(trees=html_part({"waiting": True}, _TREES, "lineage-trees", sheet="lineage.css"))
    _wire(lab, form, show)


def _wire(lab: LabContext, form: Form, show: gr.Button) -> None:
    changed = ["trees", "more", "copy", "limit"]
    form.on_load(load_page, lab, outputs=["kind", "name", *changed])
    form.on(form["kind"].input, show_hint, inputs=["kind"], outputs=["name"], queue=False)
    for event in (show.click, form["name"].submit):
        shown = form.on(event, show_first, lab, inputs=["kind", "name"], outputs=changed)
        shown.success(None, form.pick(["kind", "name"]), None, js=_ADDRESS, **INTERNAL)
    form.on(form["more"].click, show_more, lab, inputs=NAMED, outputs=changed)
    copy_computed(form["copy"], to_json, form.pick(NAMED), lab)


def load_page(lab: LabContext, request: gr.Request) -> Updates:
    """The page as its address asks for it: ?run=12, ?model=NAME, ?dataset=NAME@2, ?template=NAME@2, ?campaign=NAME."""
    for kind in service.KINDS:
        if name := request.query_params.get(kind, ""):
            field = gr.update(value=name, info=HINTS[kind])
            return {"kind": kind, "name": field, **render(lab, kind, name, FIRST)}
    return {"trees": {}}


def show_hint(values: Values) -> Updates:
    return {"name": gr.update(info=HINTS[values["kind"]], value="")}


def show_first(lab: LabContext, values: Values) -> Updates:
    return render(lab, values["kind"], values["name"] or "", FIRST)


def show_more(lab: LabContext, values: Values) -> Updates:
    return render(lab, values["kind"], values["name"] or "", values["limit"] * FACTOR)


def render(lab: LabContext, kind: str, name: str, limit: int) -> Updates:
    """Both trees of one thing; a name that nothing has is one sentence in their place."""
    try:
        if not name.strip():
            raise LabError(f"Write which {TITLES[kind].lower()} you mean: {HINTS[kind].lower()}.")
        graph = service.walk_from(lab, kind, name, limit)
    except LabError as problem:
        hidden = gr.update(visible=False)
        return {"trees": {"problem": str(problem)}, "more": hidden, "copy": hidden, "limit": limit}
    sides = [_side(graph, direction, limit) for direction in SIDES]
    return {
        "trees": {"root": _line(service.Line(0, graph.nodes[graph.root])), "sides": sides},
        "more": gr.update(visible=bool(graph.incomplete)),
        "copy": gr.update(visible=True),
        "limit": limit,
    }


def to_json(lab: LabContext, kind: str, name: str, limit: int) -> str:
    """What the command prints with --json for the same limit."""
    return json.dumps(to_plain(service.walk_from(lab, kind, name, limit)), ensure_ascii=False, indent=2)


def _side(graph: service.Lineage, direction: str, limit: int) -> dict[str, Any]:
    title, nothing = SIDES[direction]
    lines = graph.tree(direction)[1:]
    nodes, more = len({line.node.key for line in lines}), direction in graph.incomplete
    return {
        "name": direction,
        "title": title,
        "count": f"{nodes:,}{' or more' if more else ''}" if nodes else "",
        "lines": [_line(line) for line in lines],
        "nothing": nothing,
        "more": more,
        "limit": f"{limit:,}",
    }


def _line(line: service.Line) -> dict[str, Any]:
    node = line.node
    kind, _, number = node.key.partition(" ")
    name = number if kind in ("run", "campaign") else node.name
    return {
        "key": node.key,
        "level": min(max(line.depth - 1, 0), DEEPEST),
        "kind": _kind_title(node.kind),
        "name": f"run {number}" if kind == "run" else node.name,
        "address": node.address,
        "about": node.about if kind == "run" else "",
        "note": _note(line),
        "date": f"{node.created_at:%Y-%m-%d %H:%M} UTC" if node.created_at else "",
        "lineage": service.address_of(kind, name) if kind in service.KINDS else "",
        "repeated": line.repeated,
    }


def _kind_title(kind: str) -> str:
    """What a kind of node is called: a run by the title of its kind."""
    return runs.titles().get(kind.removesuffix(" run"), kind) if kind.endswith(" run") else TITLES.get(kind, kind)


def _note(line: service.Line) -> str:
    """What is special about a step, in a few words."""
    detail = line.node.detail
    notes = []
    if "rankings" in detail:
        notes.append(f"{len(detail['rankings']):,} rankings by {len(detail['annotators']):,} annotators")
    if "seed" in detail:
        notes.append(f"seed {detail['seed']}")
    if detail.get("status") in ("failed", "cancelled", "running"):
        notes.append(detail["status"])
    if detail.get("deleted"):
        notes.append("deleted from the history")
    if line.repeated:
        notes.append("opened above")
    return ", ".join(notes)
