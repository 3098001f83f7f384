"""The functions behind the evaluate and models pages and the first screen, without a browser."""

import json
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

import pages  # noqa: F401  (turns Gradio's analytics off)
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import datasets, evaluation, jobs
from pages.evaluate import new, page, results, rows
from pages.playground import examples, welcome
from tests.inline_jobs import run_inline


def request_with(**params: str) -> Any:
    return SimpleNamespace(query_params=params)


@pytest.fixture(scope="module")
def spam(lab: LabContext) -> str:
    rows = [{"text": "Win a prize today", "label": "spam"}, {"text": "See you at seven", "label": "ham"}]
    return datasets.import_rows(lab, rows, "measured-spam", {"kind": "typed"}).name


def test_a_link_from_a_dataset_opens_new_with_what_suits_it(lab: LabContext, spam: str) -> None:
    assert page.load_page(lab, request_with(dataset=spam))["tabs"]["selected"] == "new"
    updates = new.load_choices(lab, request_with(dataset=spam))
    assert (updates["kinds"]["selected"], updates["models.dataset"]["value"]) == ("models", spam)
    assert updates["models.template"]["value"].startswith("classify-labels")
    assert (updates["models.metrics"], updates["models.max_new_tokens"]) == (["classification"], 16)
    assert updates["models.split"] in datasets.show(lab, spam).splits
    assert (updates["suite.name"]["value"], updates["suite.models"]["value"]) == ("summary", ["starter-seq2seq"])


def test_evaluate_opens_new_while_there_is_nothing_to_see(lab: LabContext) -> None:
    tab = "figures" if evaluation.find(lab, 1) else "new"
    assert page.load_page(lab, request_with())["tabs"]["selected"] == tab


@pytest.fixture(scope="module")
def scored(lab: LabContext, tmp_path_factory: pytest.TempPathFactory) -> int:
    """A finished evaluation of two uploaded systems; `good` answers every row right, `fair` every second."""
    rows = [{"question": f"q{n}", "answer": f"a{n}", "good": f"a{n}", "fair": f"a{n % 2 * n}"} for n in range(1, 31)]
    file = tmp_path_factory.mktemp("uploads") / "predictions.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    columns = new.read_columns({"upload.file": str(file)})
    assert columns["upload.references"]["value"] == ["answer"]
    values = {
        "upload.file": str(file),
        "upload.predictions": ["good", "fair"],
        "upload.references": ["answer"],
        "upload.input": "question",
        "upload.metrics": ["exact_match"],
        "upload.seed": 0.0,
    }
    run_id: int = new.run_upload(lab, values)["run_id"]
    [job] = [view for view in jobs.find(lab, kinds=("evaluate",))[0] if view.run_id == run_id]
    assert run_inline(lab, job.id).status == "finished"
    return run_id


def test_the_overview_of_an_evaluation_fills_everything_and_none_leaves_nothing(lab: LabContext, scored: int) -> None:
    updates = page.render(lab, scored)
    assert {"drawn_state", "list", *results.OVERVIEW, *rows.CHOICES} == set(updates)
    labels = [label for label, _ in updates["baseline"]["choices"]]
    assert labels == ["good", "fair"]
    assert updates["a"]["value"] != updates["b"]["value"]
    nothing = page.render(lab, None)
    assert (nothing["body"]["visible"], nothing["row_choices"]["visible"]) == (False, False)


@pytest.fixture
def selected(lab: LabContext, scored: int) -> dict[str, Any]:
    """The inputs as an opened evaluation fills them."""
    updates = page.render(lab, scored)
    selection = {name: updates[name]["value"] for name in ("figure", "baseline", "a", "b")}
    return {"run_id": scored, "chart": "intervals", "order": "difference", "row_page": 0, **selection}


@pytest.mark.parametrize("chart", [name for _, name in results.VIEWS])
def test_every_chart_is_drawn(lab: LabContext, selected: dict[str, Any], chart: str) -> None:
    updates = results.render(lab, {**selected, "chart": chart})
    assert "good" in updates["verdicts"]
    assert updates["plot"].data


def test_rows_are_read_page_by_page(lab: LabContext, selected: dict[str, Any]) -> None:
    first = rows.first_page(lab, selected)
    assert first["row_page"] == 0
    assert "B wins 0, loses 15, ties 15. Rows 1 to 25 of 30" in first["rows"]
    assert "Rows 26 to 30 of 30" in rows.turn_page(lab, 1, selected)["rows"]
    assert rows.turn_page(lab, 1, {**selected, "row_page": 1})["row_page"] == 1
    assert rows.first_page(lab, {**selected, "figure": None}) == rows.EMPTY_PANELS
    detail = rows.show_row(lab, selected, SimpleNamespace(row="1"))["row_detail"]  # type: ignore[arg-type]
    assert "<h3>Row 2</h3>" in detail
    with pytest.raises(LabError, match="Row 1000 is not in this evaluation"):
        rows.show_row(lab, selected, SimpleNamespace(row="999"))  # type: ignore[arg-type]


def test_a_tick_draws_only_what_has_changed(lab: LabContext, scored: int) -> None:
    drawn_state = page.render(lab, scored)["drawn_state"]
    assert page.refresh(lab, {"run_id": scored, "drawn_state": drawn_state}) == {}
    assert page.refresh(lab, {"run_id": scored, "drawn_state": ""})["drawn_state"] == drawn_state


MODELS = {
    "models.models": ["tiny"],
    "models.split": "test",
    "models.rows": 1.0,
    "models.shots": 0.0,
    "models.max_new_tokens": 4.0,
    "models.metrics": ["exact_match"],
    "models.seed": 3.0,
    "models.num_return_sequences": 1.0,
    "models.temperature": 0.0,
}


def test_models_on_a_dataset_are_queued_whole_or_not_at_all(lab: LabContext, spam: str) -> None:
    values = {**MODELS, **new.propose(lab, {"models.dataset": spam}), **MODELS, "models.dataset": spam}
    values |= {"models.template": new.propose(lab, {"models.dataset": spam})["models.template"]["value"]}
    before = jobs.find(lab)[1]
    with pytest.raises(LabError, match="no such metric"):
        new.run_models(lab, {**values, "models.metrics": ["no such metric"]})
    assert jobs.find(lab)[1] == before
    view = evaluation.show(lab, new.run_models(lab, values)["run_id"])
    assert (view.dataset, view.seed) == (spam, 3)
    for view_ in jobs.find(lab, status="queued")[0]:
        jobs.cancel(lab, view_.id)


@pytest.mark.parametrize(
    ("run", "values", "problem"),
    [
        (new.run_suite, {"suite.name": None, "suite.models": []}, "No suite is chosen"),
        (new.run_models, {**MODELS, "models.models": [], "models.dataset": None, "models.template": None}, "one model"),
        (new.run_systems, {"systems.systems": [], "systems.metrics": [], "systems.seed": 0}, "No system is chosen"),
        (new.run_upload, {"upload.file": None}, "No file is chosen"),
        (new.run_harness, {"harness.shots": "few", "harness.models": []}, "Shots are 'few'"),
    ],
)
def test_what_is_missing_is_one_sentence(lab: LabContext, run: Any, values: dict[str, Any], problem: str) -> None:
    with pytest.raises(LabError, match=problem):
        run(lab, values)


def test_every_name_of_the_page_is_a_component(lab: LabContext) -> None:
    """The wiring refers to components by name; a wrong one fails when the page is built."""
    with gr.Blocks():
        page.build(lab)


def test_every_way_in_on_the_first_screen_leads_somewhere() -> None:
    titles = {example.title for example in examples.examples()}
    assert "Continue a story" in titles
    routes = {f"/{route}" for route in ("", "prompts", "models")}
    assert {address.partition("?")[0] for *_, address in welcome.WAYS_IN} <= routes
