"""Adding a model: one tab for each kind of source, and what its button does."""

import re
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.models import Source
from genai_lab.services import models as service
from pages.components.errors import INTERNAL, notice
from pages.components.forms import Form, section
from pages.components.head import escaped_html
from pages.components.settings_inputs import Updates, Values
from pages.components.stats import size_text

CHECK_FIRST = "Check the size first; nothing is fetched before you press Download."
HUB_SOURCE = ["hub.repo", "hub.revision", "hub.key"]
HUB_PLAN = ["hub.plan", "hub.start", "hub.commit"]


def build(lab: LabContext, form: Form) -> None:
    """Draws the tabs here and adds their fields to the form, in a section for each tab."""
    roots = " or ".join(str(root) for root in lab.options.roots)
    with gr.Tabs(elem_id="models-add") as tabs:
        with gr.Tab("Hub", id="hub"):
            _hub(form)
        with gr.Tab("Local folder", id="local") as local_tab:
            _local(form, roots)
        with gr.Tab("Adapter", id="adapter") as adapter_tab:
            _adapter(lab, form, roots)
        with gr.Tab("Endpoint", id="endpoint"):
            _endpoint(form)
    form.add(add_tabs=tabs)
    form.on(local_tab.select, list_folders, lab, "config.json", "local.path", outputs=["local.path"], queue=False)
    form.on(
        adapter_tab.select, list_folders, lab, "adapter_config.json", "adapter.path", outputs=["adapter.path"],
        queue=False,
    )  # fmt: skip


def wire(lab: LabContext, form: Form) -> list[Any]:
    """Wires the buttons; the dependencies after which a model has been added and is the selected one."""
    form.on(form["hub.check"].click, check_size, lab, inputs=HUB_SOURCE, outputs=HUB_PLAN)
    gr.on(
        [component.input for component in form.pick(HUB_SOURCE)],
        form.handler(forget_size),
        None,
        form.pick(HUB_PLAN),
        queue=False,
        **INTERNAL,
    )
    fields = {
        "local": (add_local, ["local.name", "local.path"]),
        "adapter": (add_adapter, ["adapter.name", "adapter.path", "adapter.base"]),
        "endpoint": (
            add_endpoint,
            ["endpoint.name", "endpoint.address", "endpoint.remote", "endpoint.key", "endpoint.new_host"],
        ),
    }
    added = [
        form.on(form[f"{tab}.add"].click, fn, lab, inputs=inputs, outputs=["model"], concurrency_id="models")
        for tab, (fn, inputs) in fields.items()
    ]
    download_inputs = ["hub.name", *HUB_SOURCE, "hub.commit"]
    started = form.on(form["hub.start"].click, start_download, lab, inputs=download_inputs, outputs=["model"])
    return [*added, started]


def _hub(form: Form) -> None:
    with gr.Group():
        fields = {
            "hub.repo": _text("Hub id", "owner/name", "hub-repo"),
            "hub.revision": _text("Revision", "main", "hub-revision", "A branch, tag or commit; empty is main."),
            "hub.key": _text(
                "Token variable", "HF_TOKEN", "hub-key", "For gated models: the variable's name, not the token."
            ),
            "hub.name": _text("Name here", "as on the Hub", "hub-name"),
        }
    with gr.Row():
        check = gr.Button("Check size", scale=0, min_width=100, elem_id="hub-check")
        start = gr.Button("Download", variant="primary", scale=0, min_width=100, interactive=False, elem_id="hub-start")
    plan = escaped_html(
        CHECK_FIRST,
        html_template="<p class='hint' role='status'>{{value}}</p>",
        elem_classes=["plain"],
        js_on_load=None,
        elem_id="hub-plan",
    )
    form.add({**fields, "hub.check": check, "hub.start": start, "hub.plan": plan, "hub.commit": gr.State(None)})


def _local(form: Form, roots: str) -> None:
    info = f"With config.json and safetensors; choose one or type its path, inside {roots}."
    with gr.Group():
        path = _folder("Folder", "local-path", info)
        name = _text("Name here", "the folder's name", "local-name")
    add = gr.Button("Add folder", variant="primary", scale=0, min_width=110, elem_id="local-add")
    form.add({"local.path": path, "local.name": name, "local.add": add})


def _adapter(lab: LabContext, form: Form, roots: str) -> None:
    info = f"With adapter_config.json; choose one or type its path, inside {roots}."
    with gr.Group():
        path = _folder("PEFT folder", "adapter-path", info)
        base = gr.Dropdown(bases(lab), label="Base model", interactive=True, elem_id="adapter-base")
        name = _text("Name here", "the folder's name", "adapter-name")
    add = gr.Button("Add adapter", variant="primary", scale=0, min_width=110, elem_id="adapter-add")
    form.add({"adapter.path": path, "adapter.base": base, "adapter.name": name, "adapter.add": add})


def _endpoint(form: Form) -> None:
    with gr.Group():
        fields = {
            "endpoint.address": _text(
                "Address", "http://127.0.0.1:11434/v1", "endpoint-address", "Of vLLM, Ollama, llama.cpp ..."
            ),
            "endpoint.remote": _text("Model name at the endpoint", "llama3.2", "endpoint-remote"),
            "endpoint.key": _text("Key variable", "none", "endpoint-key", "The variable's name, not the key."),
            "endpoint.name": _text("Name here", "as at the endpoint", "endpoint-name"),
            "endpoint.new_host": gr.Checkbox(
                False,
                label="The key may be sent to a host for the first time",
                elem_id="endpoint-new-host",
                interactive=True,
            ),
        }
    add = gr.Button("Add endpoint", variant="primary", scale=0, min_width=110, elem_id="endpoint-add")
    form.add({**fields, "endpoint.add": add})


def _folder(label: str, elem_id: str, info: str) -> gr.Dropdown:
    return gr.Dropdown([], label=label, info=info, allow_custom_value=True, elem_id=elem_id, interactive=True)


def _text(label: str, placeholder: str, elem_id: str, info: str | None = None) -> gr.Textbox:
    return gr.Textbox(
        label=label, placeholder=placeholder, info=info, elem_id=elem_id, interactive=True, max_lines=1, max_length=1000
    )


def list_folders(lab: LabContext, config_file: str, field: str) -> Updates:
    """The folders that hold this file, for the field; searched when its tab is opened."""
    return {field: gr.update(choices=service.folders(lab, config_file))}


def bases(lab: LabContext) -> list[str]:
    return [view.card.name for view in service.catalogue(lab, role="generate") if view.card.family != "endpoint"]


def add_local(lab: LabContext, values: Values) -> Updates:
    fields = section(values, "local")
    return _add(lab, fields["name"], Source("local", _required(fields["path"], "Folder")))


def add_adapter(lab: LabContext, values: Values) -> Updates:
    fields = section(values, "adapter")
    path, base = _required(fields["path"], "PEFT folder"), _required(fields["base"], "Base model")
    return _add(lab, fields["name"], Source("adapter", path, base=base))


def add_endpoint(lab: LabContext, values: Values) -> Updates:
    fields = section(values, "endpoint")
    source = Source(
        "endpoint",
        _required(fields["address"], "Address"),
        remote_name=_required(fields["remote"], "Model name at the endpoint"),
        key_env=_optional(fields["key"]),
    )
    return _add(lab, fields["name"], source, bool(fields["new_host"]))


def _add(lab: LabContext, name: str | None, source: Source, new_host: bool = False) -> Updates:
    view = service.add(lab, _name_or_default(name, source), source, new_host=new_host)
    notice(f"{view.card.name} is in the catalogue.")
    return {"model": view.card.name}


def check_size(lab: LabContext, values: Values) -> Updates:
    """Says what a download would fetch, and allows it."""
    fields = section(values, "hub")
    repo = _required(fields["repo"], "Hub id")
    size = service.hub_size(lab, repo, (fields["revision"] or "").strip() or None, _optional(fields["key"]))
    facts = [f"{size.files} files", size_text(size.bytes), f"revision {size.revision[:10]}"]
    facts += [f"licence {size.licence or 'not stated'}"] + (["gated"] if size.gated else [])
    sentence = f"{repo}: {', '.join(facts)}."
    return {"hub.plan": sentence, "hub.start": gr.update(interactive=True), "hub.commit": size.revision}


def forget_size() -> Updates:
    return {"hub.plan": CHECK_FIRST, "hub.start": gr.update(interactive=False), "hub.commit": None}


def start_download(lab: LabContext, values: Values) -> Updates:
    """Fetches the commit whose size was checked, even if the branch has moved since."""
    fields = section(values, "hub")
    source = Source(
        "hub",
        _required(fields["repo"], "Hub id"),
        revision=fields["commit"] or _optional(fields["revision"]),
        key_env=_optional(fields["key"]),
    )
    name = _name_or_default(fields["name"], source)
    service.start_download(lab, name, source)
    notice(f"{name} is being downloaded; you may leave this page.")
    return {"model": name}


def _required(text: str | None, label: str) -> str:
    if not (text or "").strip():
        raise LabError(f"{label} is empty; fill it in first.")
    return str(text).strip()


def _optional(text: str | None) -> str | None:
    return (text or "").strip() or None


def _name_or_default(name: str | None, source: Source) -> str:
    """The name, or one made of the last part of the source's address."""
    last = (source.remote_name or source.location).rstrip("/").split("/")[-1]
    return (name or "").strip() or re.sub(r"[^\w.:@+-]+", "-", last).strip("-._:@+")
