"""The models page without a browser: the catalogue, loading and archiving, and the forms that add a model."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

import pages  # noqa: F401  (turns Gradio's analytics off)
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.machine import this_machine
from genai_lab.models import BACKENDS, Backend, Card, Options, Source, SourceCheck, SourceField
from genai_lab.models.loading import LoadProgress
from genai_lab.models.speed import Speed, class_of
from genai_lab.services import models as service
from genai_lab.services.models.speeds import Measurement, measurements
from pages.models import adding, torch_copy
from pages.models import page as models


def request(**parameters: str) -> Any:
    return SimpleNamespace(query_params=parameters)


def selected(name: str, show_archived: bool = False) -> dict[str, Any]:
    return {"model": name, "show_archived": show_archived}


def test_the_address_selects_a_model_and_a_way_to_add(lab: LabContext) -> None:
    updates = models.load_page(lab, request(model="tiny", add="local"))
    assert set(updates) == {"add_tabs", *models.CHANGED, "adapter.base", "model"}
    assert (updates["model"], updates["detail"]["name"]) == ("tiny", "tiny")
    assert updates["add_tabs"]["selected"] == "local"
    assert "add_tabs" not in models.load_page(lab, request(add="elsewhere"))
    assert models.render(lab, selected("no such model"))["model"]


def test_a_model_is_loaded_and_unloaded(lab: LabContext) -> None:
    service.unload(lab, "tiny")
    busy, *_, after = models.load_model(lab, selected("tiny"))
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
    checked = adding.check(lab, "local", {"local.name": "", "local.location": f" {again} "})
    assert "decoder-only" in checked["local.plan"]
    assert "parameters" in checked["local.plan"]
    added = adding.add(lab, "local", {"local.name": "", "local.location": f" {again} "})
    assert added == {"model": "tiny-again"}
    assert models.archive_model(lab, selected("tiny-again"))["model"] != "tiny-again"
    assert models.render(lab, selected("tiny-again", True))["restore"]["visible"] is True
    assert models.restore_model(lab, selected("tiny-again"))["archive"]["visible"] is True
    models.archive_model(lab, selected("tiny-again"))


def test_folders_are_those_of_the_roots(lab: LabContext) -> None:
    folders = adding.suggest_paths(lab, "local", ["local.location"])["local.location"]["choices"]
    assert service.show(lab, "tiny").card.source.location in folders
    assert all(any(path.startswith(str(root)) for root in lab.options.roots) for path in folders)


@pytest.mark.parametrize(
    ("backend", "values", "label"),
    [
        ("local", {"local.name": "x", "local.location": " "}, "Folder"),
        ("adapter", {"adapter.name": "", "adapter.location": "x", "adapter.base": None}, "Base model"),
        ("endpoint", {"endpoint.name": "", "endpoint.location": "", "endpoint.new_host": False}, "Address"),
        ("hub", {"hub.location": None, "hub.revision": "", "hub.key_env": ""}, "Hub id"),
    ],
)
@pytest.mark.parametrize("action", [adding.add, adding.check])
def test_an_empty_field_is_named(
    lab: LabContext, action: Any, backend: str, values: dict[str, Any], label: str
) -> None:
    with pytest.raises(LabError, match=f"{label} is empty; fill it in first"):
        action(lab, backend, values)


def test_a_download_fetches_the_commit_whose_size_was_checked(lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef"
    started: list[Any] = []
    source_check = SourceCheck(Source("hub", "owner/small-model", commit, key_env="HF_TOKEN"), ("3 files", "gated"))
    monkeypatch.setattr(service, "check_source", lambda *_, **__: source_check)
    monkeypatch.setattr(service, "start_download", lambda _, name, source: started.append((name, source)))
    hub = {"hub.location": "owner/small-model", "hub.revision": "", "hub.key_env": "HF_TOKEN", "hub.name": ""}
    plan = adding.check(lab, "hub", hub)
    assert plan["hub.plan"] == "owner/small-model: 3 files, gated."
    updates = adding.add(lab, "hub", {**hub, "hub.checked": plan["hub.checked"]})
    assert (updates, started) == ({"model": "small-model"}, [("small-model", source_check.source)])
    assert adding.forget_check("hub")["hub.checked"] is None


def test_what_is_typed_opens_the_tab_that_knows_it(lab: LabContext, tiny_folder: Path) -> None:
    source_check = adding.find_source(lab, {"source": str(tiny_folder)})
    assert (source_check["add_tabs"]["selected"], source_check["local.location"]) == ("local", str(tiny_folder))
    source_check = adding.find_source(lab, {"source": "https://huggingface.co/owner/small/tree/main"})
    assert (source_check["add_tabs"]["selected"], source_check["hub.location"], source_check["hub.revision"]) == (
        "hub", "owner/small", "main",
    )  # fmt: skip
    assert source_check["hub.add"]["interactive"] is False
    with pytest.raises(LabError, match="starter-causal is shipped with the lab and does not have to be added"):
        adding.find_source(lab, {"source": "starter-causal"})


class Shelf(Backend):
    """A backend that no page knows."""

    name, title, precedence = "shelf", "Shelf", 60
    fields = (SourceField("location", "Name on the shelf", required=True), SourceField("base", "Base", kind="model"))

    def inspect(self, source: Source, name: str, options: Options) -> Card:
        return replace(BACKENDS.get("fake").inspect(Source("fake", "fake"), name, options), source=source)


def test_another_backend_brings_its_tab(lab: LabContext) -> None:
    BACKENDS.register("shelf")(Shelf())
    try:
        with gr.Blocks() as page:
            models.build(lab)
        labels = {block.label for block in page.blocks.values() if isinstance(block, gr.Tab | gr.Textbox)}
        assert {"Shelf", "Name on the shelf"} <= labels
        assert "shelf.base" in models.render(lab, selected("tiny"))
        checked = adding.check(lab, "shelf", {"shelf.location": "first", "shelf.name": ""})
        assert checked["shelf.plan"].startswith("first: Fake (decoder-only)")
        with pytest.raises(LabError, match="Name on the shelf is empty"):
            adding.add(lab, "shelf", {"shelf.location": "", "shelf.name": ""})
    finally:
        BACKENDS.drop("shelf")


def test_a_model_that_is_being_read_shows_how_far_it_is(lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    service.unload(lab, "tiny")
    watched = [LoadProgress(1, 4), LoadProgress(3_000_000, 4_000_000, "bytes"), None]

    def load_watched(*_: Any) -> Iterator[LoadProgress | None]:
        for progress in watched:
            monkeypatch.setattr(lab.models, "loading", lambda progress=progress: {"tiny": progress})
            yield progress

    monkeypatch.setattr(service, "load_watched", load_watched)
    first, *updates, last = models.load_model(lab, selected("tiny"))
    observed = [(update["load"]["value"], update["budget"]["loading"][0]["text"]) for update in updates]
    assert observed == [
        ("Loading… 25 %", "25 %, 1 of 4 tensors"),
        ("Loading… 75 %", "75 %, 3.0 MB of 4.0 MB"),
        ("Loading…", "getting ready"),
    ]
    assert (first["load"]["value"], last["load"]["value"]) == ("Loading…", "Load")


def test_every_name_of_the_page_is_a_component(lab: LabContext) -> None:
    """The wiring refers to components by name; a wrong one fails when the page is built."""
    with gr.Blocks():
        models.build(lab)


def test_a_model_of_another_engine_has_its_torch_copy_made_and_then_shown(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert models.render(lab, selected("tiny"))["torch_copy"]["visible"] is False
    view = service.show(lab, "tiny")
    packed = replace(view, card=replace(view.card, engine="llama.cpp"))
    assert torch_copy.button_state(lab, packed)["value"] == torch_copy.MAKE
    asked: list[str] = []
    monkeypatch.setattr(service, "convert_model", lambda lab, name: asked.append(name) or service.Conversion(1, "c", 2))
    assert torch_copy.make_or_show(lab, "tiny") == "tiny"
    assert asked == ["tiny"]
    monkeypatch.setattr(service, "torch_copy", lambda lab, name: f"{name} in torch")
    assert torch_copy.button_state(lab, packed)["value"] == torch_copy.SHOW
    assert torch_copy.make_or_show(lab, "tiny") == "tiny in torch"
    assert asked == ["tiny"]


def test_speed_is_measured_and_a_dtype_chosen(lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "options", replace(lab.options, dtype="auto"))

    def figures(lab: LabContext, name: str) -> Iterator[str]:
        yield "float32 on cpu"
        speeds = (Speed("float32", "cpu", 300, 12.34, 40_000_000), Speed("bfloat16", "cpu", 900, 60, 20_000_000))
        kind = class_of(service.show(lab, name).card)
        measurements(lab).keep(Measurement(name, kind, str(this_machine()), "2026-12-01T00:00:00", speeds))

    monkeypatch.setattr(service, "measure_watched", figures)
    before = models.render(lab, selected("tiny"))
    assert (before["speeds"]["rows"], before["measure"]["value"]) == ([], "Measure speed")
    assert "not measured yet" in dict(before["detail"]["facts"])["Dtype"]
    *told, after = models.measure_speed(lab, selected("tiny"))
    assert [update["measure"]["value"] for update in told] == ["Measuring…", "Measuring float32 on cpu…"]
    exact, coarse = after["speeds"]["rows"]
    assert (exact["read"], exact["written"], exact["taken"]) == ("300", "12.3", False)
    assert (coarse["memory"], coarse["taken"]) == ("20.0 MB", True)
    assert after["measure"]["value"] == "Measure again"
    choices = dict(after["dtype"]["choices"])
    assert choices["bfloat16: 60 tokens/s"] == "bfloat16"
    assert "changes texts" in next(text for text, dtype in choices.items() if dtype == "int4")
    chosen = models.choose_dtype(lab, {**selected("tiny"), "dtype": "float32"})
    assert [row["taken"] for row in chosen["speeds"]["rows"]] == [True, False]
    assert "chosen for this model" in dict(chosen["detail"]["facts"])["Dtype"]
    assert models.choose_dtype(lab, {**selected("tiny"), "dtype": "auto"})["dtype"]["value"] == "auto"
    (lab.config.home / "speeds.json").unlink()


def test_what_has_no_choice_of_dtype_shows_none(lab: LabContext) -> None:
    updates = models.render(lab, selected("starter-toxicity"))
    assert updates["dtype"]["visible"] is False
    assert updates["measure"]["visible"] is False
