"""Adding a model: one tab for each kind of place, and what its button does."""

import re
from dataclasses import dataclass
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.models import Source
from genai_lab.services import models as service
from pages.components.errors import PRIVATE, guarded, notice
from pages.components.head import drawn
from pages.components.stats import size_text

Update = Any


@dataclass
class Adding:
    """The tabs, the Hub's inputs by name, for the others (button, handler, inputs), and the choice of a base."""

    tabs: gr.Tabs
    hub: dict[str, Any]
    added: list[tuple[gr.Button, Any, list[Any]]]
    base: gr.Dropdown


def tabs(lab: LabContext) -> Adding:
    """Draws the tabs here."""
    roots = " or ".join(str(root) for root in lab.options.roots)
    with gr.Tabs(elem_id="models-add") as every:
        with gr.Tab("Hub", id="hub"):
            with gr.Group():
                repo = _text("Hub id", "owner/name", "hub-repo")
                revision = _text("Revision", "main", "hub-revision", "A branch, tag or commit; empty is main.")
                key = _text(
                    "Token variable", "HF_TOKEN", "hub-key", "For gated models: the variable's name, not the token."
                )
                name = _text("Name here", "as on the Hub", "hub-name")
            with gr.Row():
                check = gr.Button("Check size", scale=0, min_width=100, elem_id="hub-check")
                start = gr.Button(
                    "Download", variant="primary", scale=0, min_width=100, interactive=False, elem_id="hub-start"
                )
            told = drawn(
                "Check the size first; nothing is fetched before you press Download.",
                html_template="<p class='hint' role='status'>{{value}}</p>",
                elem_classes=["plain"],
                js_on_load=None,
                elem_id="hub-plan",
            )
        with gr.Tab("Local folder", id="local") as local_tab:
            with gr.Group():
                path = _folder(
                    "Folder",
                    "local-path",
                    f"With config.json and safetensors; choose one or type its path, inside {roots}.",
                )
                local_name = _text("Name here", "the folder's name", "local-name")
            local = gr.Button("Add folder", variant="primary", scale=0, min_width=110, elem_id="local-add")
        with gr.Tab("Adapter", id="adapter") as adapter_tab:
            with gr.Group():
                adapter_path = _folder(
                    "PEFT folder",
                    "adapter-path",
                    f"With adapter_config.json; choose one or type its path, inside {roots}.",
                )
                base = gr.Dropdown(bases(lab), label="Base model", interactive=True, elem_id="adapter-base")
                adapter_name = _text("Name here", "the folder's name", "adapter-name")
            adapter = gr.Button("Add adapter", variant="primary", scale=0, min_width=110, elem_id="adapter-add")
        with gr.Tab("Endpoint", id="endpoint"):
            with gr.Group():
                address = _text(
                    "Address", "http://127.0.0.1:11434/v1", "endpoint-address", "Of vLLM, Ollama, llama.cpp ..."
                )
                remote = _text("Model name there", "llama3.2", "endpoint-remote")
                endpoint_key = _text("Key variable", "none", "endpoint-key", "The variable's name, not the key.")
                endpoint_name = _text("Name here", "as there", "endpoint-name")
                new_host = gr.Checkbox(
                    False,
                    label="The key may go to a host that it was not used at before",
                    elem_id="endpoint-new-host",
                    interactive=True,
                )
            endpoint = gr.Button("Add endpoint", variant="primary", scale=0, min_width=110, elem_id="endpoint-add")
    local_tab.select(guarded(found_folders, lab, "config.json"), None, path, queue=False, **PRIVATE)
    adapter_tab.select(guarded(found_folders, lab, "adapter_config.json"), None, adapter_path, queue=False, **PRIVATE)
    hub = {"repo": repo, "revision": revision, "key": key, "name": name, "check": check, "start": start, "plan": told}
    added: list[tuple[gr.Button, Any, list[Any]]] = [
        (local, add_local, [local_name, path]),
        (adapter, add_adapter, [adapter_name, adapter_path, base]),
        (endpoint, add_endpoint, [endpoint_name, address, remote, endpoint_key, new_host]),
    ]
    return Adding(every, hub, added, base)


def _folder(label: str, elem_id: str, info: str) -> gr.Dropdown:
    return gr.Dropdown([], label=label, info=info, allow_custom_value=True, elem_id=elem_id, interactive=True)


def found_folders(lab: LabContext, mark: str) -> Update:
    """The folders that can be chosen, looked for when the tab is opened."""
    return gr.update(choices=service.folders(lab, mark))


def _text(label: str, placeholder: str, elem_id: str, info: str | None = None) -> gr.Textbox:
    return gr.Textbox(
        label=label, placeholder=placeholder, info=info, elem_id=elem_id, interactive=True, max_lines=1, max_length=1000
    )


def bases(lab: LabContext) -> list[str]:
    return [view.card.name for view in service.catalogue(lab, role="generate") if view.card.family != "endpoint"]


def add_local(lab: LabContext, name: str, path: str) -> str:
    return _add(lab, name, Source("local", _needed(path, "Folder")))


def add_adapter(lab: LabContext, name: str, path: str, base: str | None) -> str:
    return _add(lab, name, Source("adapter", _needed(path, "PEFT folder"), base=_needed(base, "Base model")))


def add_endpoint(lab: LabContext, name: str, address: str, remote: str, key: str, new_host: bool) -> str:
    source = Source(
        "endpoint",
        _needed(address, "Address"),
        remote_name=_needed(remote, "Model name there"),
        key_env=key.strip() or None,
    )
    return _add(lab, name, source, new_host)


def _add(lab: LabContext, name: str, source: Source, new_host: bool = False) -> str:
    view = service.add(lab, _named(name, source), source, new_host=new_host)
    notice(f"{view.card.name} is in the catalogue.")
    return view.card.name


def plan(lab: LabContext, repo: str, revision: str, key: str) -> tuple[Update, Update, Update]:
    """What a download would fetch, before it starts."""
    repo = _needed(repo, "Hub id")
    found = service.hub_size(lab, repo, revision.strip() or None, key.strip() or None)
    words = [f"{found.files} files", size_text(found.bytes), f"revision {found.revision[:10]}"]
    words += [f"licence {found.licence or 'not stated'}"] + (["gated"] if found.gated else [])
    return f"{repo}: {', '.join(words)}.", gr.update(interactive=True), found.revision


def forget_plan() -> tuple[Update, Update, Update]:
    return "Check the size first; nothing is fetched before you press Download.", gr.update(interactive=False), None


def download(lab: LabContext, name: str, repo: str, revision: str, key: str, planned: str | None) -> str:
    """Fetches what the plan showed; its commit where the branch has moved since."""
    source = Source(
        "hub", _needed(repo, "Hub id"), revision=planned or revision.strip() or None, key_env=key.strip() or None
    )
    name = _named(name, source)
    service.start_download(lab, name, source)
    notice(f"{name} is being downloaded; you may leave this page.")
    return name


def _needed(text: str | None, label: str) -> str:
    if not (text or "").strip():
        raise LabError(f"{label} is empty; fill it in first.")
    return str(text).strip()


def _named(name: str, source: Source) -> str:
    """The name given, or one made of the place's last part."""
    last = (source.remote_name or source.location).rstrip("/").split("/")[-1]
    return name.strip() or re.sub(r"[^\w.:@+-]+", "-", last).strip("-._:@+")
