"""The datasets page without a browser: previews, imports, splits, and reading rows; values and updates by name."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

import pages  # noqa: F401  (turns Gradio's analytics off)
from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.errors import LabError
from genai_lab.services import datasets
from pages.components.forms import in_section
from pages.components.selection import Selection
from pages.datasets import importing, page, previews, rows, splitting


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabContext]:
    lab = bootstrap.open_lab(Config(home=tmp_path_factory.mktemp("home")))
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def reviews(lab: LabContext) -> str:
    examples = [{"text": f"review {n}", "label": "good" if n % 2 else "bad"} for n in range(60)]
    return datasets.import_rows(lab, examples, "reviews", {"kind": "typed"}).name


def selected(name: str, **options: Any) -> dict[str, Any]:
    return {"dataset": name, "search": "", "show_archived": False, **options}


def filled(updates: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The form's values once these updates have been applied; fields without a value have the one drawn."""
    with gr.Blocks():
        sampled = in_section({name: field.value for name, field in splitting.draw_split_fields("x").items()}, "split")
    values = {name: sampled.get(name) for name in names}
    for name, update in updates.items():
        is_update = isinstance(update, dict) and "__type__" in update
        values[name] = update.get("value", values.get(name)) if is_update else update
    return {name: values[name] for name in names}


def test_a_preview_fills_the_form_and_the_form_imports_the_rows(lab: LabContext, tmp_path: Path) -> None:
    file = tmp_path / "my <odd> reviews.csv"
    file.write_text("review,label\nfine,good\npoor,bad\nnice,good\n")
    updates = previews.preview_upload(lab, {"upload.file": str(file)})
    assert set(updates) <= set(previews.PREVIEWED)
    assert (updates["role.input"]["value"], updates["role.label"]["value"]) == ("review", "label")
    assert (updates["name"], updates["split.by"]) == ("my -odd- reviews", "ratio")
    values = filled(updates, importing.VALUES) | {"name": "odd reviews", "split.by": "none", "split.only": "test"}
    done = importing.import_rows(lab, False, values)
    assert set(done) <= set(importing.IMPORTED)
    assert done["dataset"] == "odd reviews@1"
    view = datasets.show(lab, "odd reviews@1")
    assert (view.splits, view.roles) == ({"test": 3}, {"input": ("review",), "label": ("label",)})
    again = previews.preview_upload(lab, {"upload.file": str(file)})
    assert "This file has already been imported as odd reviews@1" in again["preview"]


def test_bad_rows_are_asked_about_and_then_dropped(lab: LabContext) -> None:
    updates = previews.preview_paste(lab, {"paste.text": "text,label\nfine,a\nshort\ngood,b\n"})
    values = filled(updates, importing.VALUES) | {"name": "pasted"}
    request = importing.import_rows(lab, False, values)
    assert "1 row cannot be read" in request["bad_rows"]
    assert (request["bad_buttons"]["visible"], "dataset" in request) == (True, False)
    assert importing.stop_import() == previews.NO_BAD_ROWS
    done = importing.import_rows(lab, True, values)
    assert datasets.show(lab, done["dataset"]).rows == 2


def test_a_file_that_can_be_read_in_two_ways_is_asked_about_first(lab: LabContext, tmp_path: Path) -> None:
    file = tmp_path / "lines.csv"
    file.write_text("first line of a text\nsecond line of a text\n")
    question = previews.preview_upload(lab, {"upload.file": str(file)})
    assert "would become one column" in question["question"]
    assert (question["question_buttons"]["visible"], question["panel"]["visible"]) == (True, False)
    answered = previews.confirm_question(lab, {"source": question["source"]})
    assert (answered["question"], answered["panel"]["visible"]) == ("", True)
    assert previews.confirm_question(lab, {"source": {}}) == previews.NOTHING


def test_a_starter_task_keeps_its_own_splits(lab: LabContext) -> None:
    updates = previews.preview_starter(lab, {"starter.task": "sentiment"})
    assert (updates["split.by"], updates["split.column"]["value"]) == ("column", "split")
    order = importing.read_order(filled(updates, importing.VALUES), drop_bad=False)
    assert order.name == "sentiment"
    with pytest.raises(LabError, match="There is nothing to import"):
        importing.read_order({"source": {}, "name": ""}, drop_bad=False)


@pytest.mark.parametrize(
    ("by", "visible"),
    [
        ("ratio", {"train", "validation", "test", "seed"}),
        ("group", {"train", "validation", "test", "column", "seed"}),
        ("column", {"column"}),
        ("none", {"only"}),
    ],
)
def test_each_way_of_splitting_shows_its_fields_and_gives_its_plan(by: str, visible: set[str]) -> None:
    updates = importing.on_split_change({"split.by": by})
    assert set(updates) == set(importing.SPLIT_FIELDS[1:])
    assert {name for name, update in updates.items() if update["visible"]} == {f"split.{name}" for name in visible}
    fields = {"by": by, "train": 0.5, "validation": 0.5, "test": 0, "column": "c", "only": "train", "seed": 7.0}
    shares = (0.5, 0.5, 0.0) if by in ("ratio", "group") else (0.8, 0.1, 0.1)
    assert splitting.read_split_plan(fields) == SplitPlan(by, shares, "c", 7, "train")  # type: ignore[arg-type]


def test_the_address_selects_a_version_and_everything_about_it_is_drawn(lab: LabContext, reviews: str) -> None:
    selection = Selection(key=lambda arguments: arguments[0]["dataset"])

    def load(name: str) -> dict[str, Any]:
        request: Any = SimpleNamespace(query_params={"dataset": name}, session_hash="ann")
        return page.load_page(lab, selection, request)

    assert load(reviews)["dataset"] == reviews
    assert load("none")["dataset"] == ""
    selection.choose("ann", "another@1")  # before the answer came
    assert "dataset" not in load(reviews)
    updates = page.render(lab, selected(reviews))
    assert set(updates) == set(page.DETAIL)
    assert updates["detail"]["name"] == reviews
    assert "Rows 1 to 20 of 60" in updates["rows.table"]
    assert page.render(lab, selected("none"))["selected"]["visible"] is False


def test_rows_are_read_page_by_page(lab: LabContext, reviews: str) -> None:
    values = {"dataset": reviews, "rows.split": rows.ALL_ROWS, "rows.first": 0}
    assert rows.turn_page(lab, 1, values)["rows.first"] == 20
    assert rows.turn_page(lab, -1, values)["rows.first"] == 0
    assert rows.turn_page(lab, 1, {**values, "rows.first": 40})["rows.first"] == 40
    assert rows.go_to_row(lab, {**values, "rows.row": 50.0})["rows.first"] == 49
    assert "Rows 60 to 60 of 60" in rows.go_to_row(lab, {**values, "rows.row": 9999})["rows.table"]
    assert (
        "Rows 1 to 20 of 60" in rows.first_page(lab, {**values, "rows.split": "test", "rows.first": 20})["rows.table"]
    )
    assert "No rows here" in rows.first_page(lab, {**values, "rows.split": "train"})["rows.table"]
    with pytest.raises(LabError, match="No dataset is selected"):
        rows.first_page(lab, {**values, "dataset": ""})


def test_a_version_is_split_again_archived_and_brought_back(lab: LabContext, reviews: str) -> None:
    fields = {"by": "none", **splitting.DEFAULT_SHARES, "column": "", "only": "train", "seed": 0}
    new = page.split_again(lab, {"dataset": reviews, **in_section(fields, "again")})["dataset"]
    assert datasets.show(lab, new).splits == {"train": 60}
    assert page.archive(lab, True, selected(new))["restore"]["visible"] is True
    assert page.archive(lab, False, selected(new))["archive"]["visible"] is True


def test_a_tick_draws_only_what_has_changed_and_selects_only_where_nothing_was(lab: LabContext, reviews: str) -> None:
    first = page.refresh(lab, selected(reviews, drawn_state=[]))
    assert "dataset" not in first
    assert page.refresh(lab, selected(reviews, drawn_state=first["drawn_state"])) == {}
    assert page.refresh(lab, selected("", drawn_state=[]))["dataset"]
    newest = datasets.show(lab, "reviews").name
    rows.run_profile(lab, {"dataset": newest, "profile.model": "starter-causal"})
    profiled = page.refresh(lab, selected(newest, drawn_state=first["drawn_state"]))
    assert "starter-causal" in profiled["profile.markup"]


def test_late_rows_of_another_dataset_are_dropped(lab: LabContext, reviews: str) -> None:
    selection = Selection(key=lambda arguments: arguments[0]["dataset"])
    visitor: Any = SimpleNamespace(session_hash="ann")

    def slow_render(lab: LabContext, values: Any) -> Any:
        page.select_version(selection, visitor, SimpleNamespace(name="another@1"))  # type: ignore[arg-type]
        return page.render(lab, values)

    late = selection.for_choice(slow_render, lab)(visitor, selected(reviews))
    assert late == gr.skip()


def test_every_name_of_the_page_is_a_component(lab: LabContext) -> None:
    """The wiring refers to components by name; a wrong one fails when the page is built."""
    with gr.Blocks():
        page.build(lab)


def test_what_selects_a_version_is_queued(lab: LabContext) -> None:
    """Gradio does not tell a State's `change` event of answers that bypass its queue; the click would be lost."""
    with gr.Blocks() as blocks:
        page.build(lab)
    handlers = [
        fn for fn in blocks.fns.values() if fn.name in ("select_version", "refresh", "split_again", "import_rows")
    ]
    assert len(handlers) >= 5
    assert all(fn.queue for fn in handlers)
