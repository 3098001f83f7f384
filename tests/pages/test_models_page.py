"""The models page without a browser: the catalogue, loading and archiving, and the forms that add a model."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

import pages  # noqa: F401  (turns Gradio's analytics off)
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import models as service
from pages.models import adding
from pages.models import page as models


def request(**parameters: str) -> Any:
    return SimpleNamespace(query_params=parameters)


def selected(name: str, show_archived: bool = False) -> dict[str, Any]:
    return {"model": name, "show_archived": show_archived}


def test_the_address_selects_a_model_and_a_way_to_add(lab: LabContext) -> None:
    updates = models.load_page(lab, request(model="tiny", add="local"))
    assert set(updates) == {"add_tabs", *models.CHANGED, "model"}
    assert (updates["model"], updates["detail"]["name"]) == ("tiny", "tiny")
    assert updates["add_tabs"]["selected"] == "local"
    assert "add_tabs" not in models.load_page(lab, request(add="elsewhere"))
    assert models.render(lab, selected("no such model"))["model"]


def test_a_model_is_loaded_and_unloaded(lab: LabContext) -> None:
    service.unload(lab, "tiny")
    busy, after = models.load_model(lab, selected("tiny"))
    assert (busy["load"]["value"], busy["load"]["interactive"]) == ("Loading…", False)
    assert (after["load"]["value"], after["unload"]["visible"]) == ("Load", True)
    assert models.unload_model(lab, selected("tiny"))["unload"]["visible"] is False


def test_a_tick_draws_only_what_has_changed_and_selects_nothing(lab: LabContext) -> None:
    values = {**selected("tiny"), "drawn_state": ""}
    updates = models.refresh(lab, values)
    assert "model" not in updates
    assert models.refresh(lab, {**values, "drawn_state": updates["drawn_state"]}) == {}


def test_a_local_folder_is_added_under_its_own_name_and_archived(lab: LabContext, tiny_folder: Path) -> None:
    again = shutil.copytree(tiny_folder, tiny_folder.parent / "tiny again")
    added = adding.add_local(lab, {"local.name": "", "local.path": f" {again} "})
    assert added == {"model": "tiny-again"}
    assert models.archive_model(lab, selected("tiny-again"))["model"] != "tiny-again"
    assert models.render(lab, selected("tiny-again", True))["restore"]["visible"] is True
    assert models.restore_model(lab, selected("tiny-again"))["archive"]["visible"] is True
    models.archive_model(lab, selected("tiny-again"))


def test_folders_are_those_of_the_roots(lab: LabContext) -> None:
    folders = adding.list_folders(lab, "config.json", "local.path")["local.path"]["choices"]
    assert service.show(lab, "tiny").card.source.location in folders
    assert all(any(path.startswith(str(root)) for root in lab.options.roots) for path in folders)


@pytest.mark.parametrize(
    ("add", "values", "label"),
    [
        (adding.add_local, {"local.name": "x", "local.path": " "}, "Folder"),
        (adding.add_adapter, {"adapter.name": "", "adapter.path": "x", "adapter.base": None}, "Base model"),
        (
            adding.add_endpoint,
            {
                "endpoint.name": "",
                "endpoint.address": "http://127.0.0.1:1/v1",
                "endpoint.remote": "",
                "endpoint.key": "",
                "endpoint.new_host": False,
            },
            "Model name at the endpoint",
        ),
        (adding.check_size, {"hub.repo": None, "hub.revision": "", "hub.key": ""}, "Hub id"),
    ],
)
def test_an_empty_field_is_named(lab: LabContext, add: Any, values: dict[str, Any], label: str) -> None:
    with pytest.raises(LabError, match=f"{label} is empty; fill it in first"):
        add(lab, values)


def test_a_download_fetches_the_commit_whose_size_was_checked(lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef"
    started: list[Any] = []
    size = SimpleNamespace(files=3, bytes=2_000_000, revision=commit, licence=None, gated=True)
    monkeypatch.setattr(service, "hub_size", lambda *_: size)
    monkeypatch.setattr(service, "start_download", lambda _, name, source: started.append((name, source)))
    hub = {"hub.repo": "owner/small-model", "hub.revision": "", "hub.key": "HF_TOKEN", "hub.name": ""}
    plan = adding.check_size(lab, hub)
    assert plan["hub.plan"] == "owner/small-model: 3 files, 2.0 MB, revision 0123456789, licence not stated, gated."
    updates = adding.start_download(lab, {**hub, "hub.commit": plan["hub.commit"]})
    [(name, source)] = started
    assert (updates, name) == ({"model": "small-model"}, "small-model")
    assert source == replace(source, location="owner/small-model", revision=commit, key_env="HF_TOKEN")
    assert adding.forget_size()["hub.commit"] is None


def test_every_name_of_the_page_is_a_component(lab: LabContext) -> None:
    """The wiring refers to components by name; a wrong one fails when the page is built."""
    with gr.Blocks():
        models.build(lab)
