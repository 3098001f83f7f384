"""Adding a model: one tab for each backend, drawn from what it declares; another backend brings its tab with it."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.models import BACKENDS, Backend, Source, SourceField
from genai_lab.services import models as service
from pages.components.errors import INTERNAL, notice
from pages.components.forms import Form, section
from pages.components.head import escaped_html
from pages.components.settings_inputs import Updates, Values

CHECK_FIRST = "Check the size first; nothing is downloaded until you press Download."
UNCHECKED = "Check shows what would be added, without adding it."


def backends() -> list[Backend]:
    """Those that a user can add models of, in the order of their tabs."""
    every = [BACKENDS.get(name) for name in BACKENDS]
    return sorted((backend for backend in every if backend.fields), key=lambda backend: backend.precedence)


def inputs_of(backend: Backend) -> list[str]:
    """The names of a tab's inputs in the form."""
    fields = [field.name for field in backend.fields] + ["name"] + (["new_host"] if backend.served else [])
    return [f"{backend.name}.{name}" for name in fields]


def model_inputs() -> list[str]:
    """The inputs that choose a model of the catalogue, and so change with it."""
    return [f"{b.name}.{field.name}" for b in backends() for field in b.fields if field.kind == "model"]


def build(lab: LabContext, form: Form) -> None:
    """Draws the tabs here and adds their inputs to the form, in a section for each backend."""
    anything = gr.Textbox(
        label="Path, Hub id or address",
        placeholder="/models/tiny, owner/name or http://127.0.0.1:8000/v1",
        info="Its kind is detected, and the tab below is filled in.",
        elem_id="models-source",
        submit_btn="Detect",
        max_lines=1,
        max_length=1000,
    )
    form.add(source=anything)
    with gr.Tabs(elem_id="models-add") as tabs:
        for backend in backends():
            with gr.Tab(backend.title, id=backend.name) as tab:
                _draw_tab(lab, form, backend)
            if paths := [f"{backend.name}.{field.name}" for field in backend.fields if field.kind == "path"]:
                form.on(tab.select, suggest_paths, lab, backend.name, paths, outputs=paths, queue=False)
    form.add(add_tabs=tabs)


def wire(lab: LabContext, form: Form) -> list[Any]:
    """Wires the buttons; the dependencies after which a model has been added and is the selected one."""
    added = []
    for backend in backends():
        name, inputs = backend.name, inputs_of(backend)
        plan = [f"{name}.plan", f"{name}.add", f"{name}.checked"]
        form.on(form[f"{name}.check"].click, check, lab, name, inputs=inputs, outputs=plan)
        sources = form.pick(f"{name}.{field.name}" for field in backend.fields)
        gr.on(
            [component.input for component in sources], form.handler(forget_check, name), None, form.pick(plan),
            queue=False, **INTERNAL,
        )  # fmt: skip
        added.append(
            form.on(
                form[f"{name}.add"].click, add, lab, name, inputs=[*inputs, f"{name}.checked"], outputs=["model"],
                concurrency_id="models",
            )
        )  # fmt: skip
    every = [f"{b.name}.{name}" for b in backends() for name in (*(f.name for f in b.fields), "plan", "add", "checked")]
    form.on(form["source"].submit, find_source, lab, inputs=["source"], outputs=["add_tabs", *every])
    return added


def _draw_tab(lab: LabContext, form: Form, backend: Backend) -> None:
    name = backend.name
    with gr.Group():
        inputs: dict[str, Any] = {f"{name}.{field.name}": _input(lab, name, field) for field in backend.fields}
        inputs[f"{name}.name"] = gr.Textbox(
            label="Name in the lab", placeholder="the last part of the source", elem_id=f"{name}-name", max_lines=1,
            max_length=1000,
        )  # fmt: skip
        if backend.served:
            inputs[f"{name}.new_host"] = gr.Checkbox(
                False, label="Allow sending the key to a new host", elem_id=f"{name}-new-host"
            )
    with gr.Row():
        inputs[f"{name}.check"] = gr.Button("Check", scale=0, min_width=90, elem_id=f"{name}-check")
        inputs[f"{name}.add"] = gr.Button(
            "Download" if backend.downloads else "Add", variant="primary", scale=0, min_width=100,
            interactive=not backend.downloads, elem_id=f"{name}-add",
        )  # fmt: skip
    inputs[f"{name}.plan"] = escaped_html(
        _unchecked(backend),
        html_template="<p class='hint' role='status'>{{value}}</p>",
        elem_classes=["plain"],
        js_on_load=None,
        elem_id=f"{name}-plan",
    )
    form.add({**inputs, f"{name}.checked": gr.State(None)})


def _input(lab: LabContext, backend: str, field: SourceField) -> gr.components.Component:
    options: dict[str, Any] = {
        "label": field.label,
        "info": field.help or None,
        "elem_id": f"{backend}-{field.name.replace('_', '-')}",
        "interactive": True,
    }
    if field.kind == "model":
        return gr.Dropdown(base_models(lab), **options)
    if field.kind == "path":
        roots = " or ".join(str(root) for root in lab.options.roots)
        options["info"] = f"{field.help or 'Choose one or type its path'}, inside {roots}."
        return gr.Dropdown([], allow_custom_value=True, **options)
    return gr.Textbox(placeholder=field.placeholder, max_lines=1, max_length=1000, **options)


def base_models(lab: LabContext) -> list[str]:
    """The models that another one can stand on."""
    return [view.card.name for view in service.catalogue(lab, role="generate") if view.card.has_weights]


def suggest_paths(lab: LabContext, backend: str, fields: Iterable[str]) -> Updates:
    """The places that these fields could name; searched when their tab is opened."""
    choices = BACKENDS.get(backend).suggestions(service.options(lab))
    return {field: gr.update(choices=choices) for field in fields}


def find_source(lab: LabContext, values: Values) -> Updates:
    """Opens the tab of the backend that knows what was typed, with its fields filled."""
    text = (values["source"] or "").strip()
    if not text:
        raise LabError("Path, Hub id or address is empty; fill it in first.")
    source = service.detect_source(lab, text)
    backend = BACKENDS.get(source.backend)
    if not backend.fields:
        raise LabError(f"{text[:100]} is {backend.describe(source)} and does not have to be added.")
    filled = {f"{backend.name}.{field.name}": getattr(source, field.name) or "" for field in backend.fields}
    return {"add_tabs": gr.update(selected=backend.name), **filled, **forget_check(backend.name)}


def check(lab: LabContext, backend: str, values: Values) -> Updates:
    """Says what would be added, and allows a download."""
    fields = section(values, backend)
    result = service.check_source(lab, source_of(BACKENDS.get(backend), fields), new_host=bool(fields.get("new_host")))
    return {
        f"{backend}.plan": f"{result.source.remote_name or result.source.location}: {', '.join(result.facts)}.",
        f"{backend}.add": gr.update(interactive=True),
        f"{backend}.checked": asdict(result.source),
    }


def forget_check(backend: str) -> Updates:
    """After a change of what was checked."""
    kind = BACKENDS.get(backend)
    return {
        f"{backend}.plan": _unchecked(kind),
        f"{backend}.add": gr.update(interactive=not kind.downloads),
        f"{backend}.checked": None,
    }


def add(lab: LabContext, backend: str, values: Values) -> Updates:
    """Adds the model, or begins its download: of the commit that was checked, even if the branch has moved since."""
    fields, kind = section(values, backend), BACKENDS.get(backend)
    source, checked = source_of(kind, fields), fields.get("checked")
    if checked:
        source = replace(source, **{name: value for name, value in checked.items() if value})
    new_host = bool(fields.get("new_host"))
    source = service.complete_source(lab, source, new_host=new_host)
    name = (fields["name"] or "").strip() or source.default_name
    if kind.downloads:
        service.start_download(lab, name, source)
        notice(f"{name} is being downloaded; you can leave this page.")
    else:
        name = service.add(lab, name, source, new_host=new_host).card.name
        notice(f"{name} is in the catalogue.")
    return {"model": name}


def source_of(backend: Backend, fields: Values) -> Source:
    """The source that a tab's inputs name; raises LabError for an empty one that is needed."""
    given = {field: str(fields.get(field.name) or "").strip() for field in backend.fields}
    if missing := [field.label for field, text in given.items() if field.required and not text]:
        raise LabError(f"{missing[0]} is empty; fill it in first.")
    return Source(backend.name, **{field.name: text or None for field, text in given.items()})  # type: ignore[arg-type]


def _unchecked(backend: Backend) -> str:
    return CHECK_FIRST if backend.downloads else UNCHECKED
