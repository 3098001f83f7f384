"""The functions behind the prompt lab, without a browser."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

import pages  # noqa: F401  (turns Gradio's analytics off)
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import datasets, generation, prompting
from pages.playground import single
from pages.prompts import actions, matrix, matrix_form, preview, results, trying

ROWS = [{"text": "Win a prize", "label": "spam"}, {"text": "See you at six", "label": "ham"}]


@pytest.fixture(scope="module")
def spam(lab: LabContext) -> str:
    return datasets.import_rows(lab, ROWS, "tried-spam", {"kind": "typed"}).name


PARTS = ("system", "instruction", "shot", "separator")


def values(source: str, model: str | None = "tiny", rendering: str = "plain", **changes: Any) -> dict[str, Any]:
    """The editor and the preview as the handlers read them."""
    texts = ("Answer {{ labels | join(' or ') }}.", "Text: {{ input }}\nClass:", "", "\\n\\n")
    parts = dict(zip(PARTS, texts, strict=True))
    inputs = {"source": source, "model": model, "rendering": rendering, "shots": 0, "answer_tokens": 5}
    return {**parts, **preview.START, **inputs, **changes}


def value_of(update: Any) -> Any:
    return update.get("value") if isinstance(update, dict) and "__type__" in update else update


def opened(lab: LabContext, draft: Any = None, **query: str) -> dict[str, Any]:
    request: Any = SimpleNamespace(query_params=query)
    updates = actions.load_page(lab, {"draft": json.dumps(draft) if draft else None}, request)
    return {name: value_of(update) for name, update in updates.items()}


def test_a_template_is_tried_on_the_row_of_its_preview_beside_its_reference(lab: LabContext, spam: str) -> None:
    last = list(trying.try_row(lab, prompting.KeptRows(lab), values(spam)))[-1]
    row = datasets.pick(lab, datasets.show(lab, spam).id, [0])[0]
    assert last["reference"] in {"spam", "ham"}
    view = generation.run(lab, last["run"])
    assert view.prompt.text.startswith("Answer ham or spam.\n\nText: ")
    assert (view.sampling.greedy, view.sampling.max_new_tokens) == (True, 5)
    assert json.loads(last["answer"]["tokens"])
    assert last["note"]["run"] == last["run"]
    assert "greedy" in last["note"]["text"]
    assert row.references or row.label


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": None}, "No model is chosen"),
        ({"source": None}, "No rows are chosen"),
        ({"instruction": "{{ input"}, "instruction"),
        ({"selector": "fixed", "fixed": "1, two"}, "two"),
    ],
)
def test_a_try_that_cannot_be_is_one_sentence(
    lab: LabContext, spam: str, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(LabError, match=sentence):
        list(trying.try_row(lab, prompting.KeptRows(lab), {**values(spam), **changes}))


def test_the_preview_shows_the_filled_prompt_its_tokens_or_one_sentence(lab: LabContext, spam: str) -> None:
    rows = prompting.KeptRows(lab)
    filled = preview.fill(lab, rows, values(spam))
    assert "Text: " in filled["filled"]["parts"][-1]["text"]
    assert filled["slots"].startswith("Slots: ")
    figures = [cell for row in preview.count(lab, rows, values(spam))["figures"] for cell in row]
    assert "0 of 0" in figures
    assert "No rows are chosen" in preview.fill(lab, rows, {**values(spam), "source": None})["filled"]["problem"]
    assert "figures" in preview.count(lab, rows, values(spam, None))
    typed = preview.on_source(values(prompting.TYPED))["typed"]
    assert (typed["visible"], "input: " in typed["value"]) == (True, True)
    assert preview.on_selector({"selector": "fixed"})["fixed"]["visible"]


@pytest.mark.parametrize("rendering", ["plain", "chat"])
def test_the_filled_prompt_opens_in_the_playground(lab: LabContext, spam: str, rendering: str) -> None:
    rows = prompting.KeptRows(lab)
    draft = trying.open_in_playground(lab, rows, values(spam, rendering=rendering))["playground_draft"]
    page = single.read_page_draft(draft)
    assert page["model"] == "tiny"
    assert "Class:" in page["prompt"]
    assert page["mode"] == ("chat" if rendering == "chat" else "completion")
    if rendering == "chat":
        assert page["system"].startswith("Answer ham or spam")


def test_a_link_from_a_dataset_opens_with_it_and_the_template_that_suits(lab: LabContext, spam: str) -> None:
    page = opened(lab, dataset=spam)
    assert (page["name"], page["source"]) == ("classify-labels", spam)
    assert opened(lab, dataset="tried-spam")["name"] == "classify-labels"
    text = "A text that is not saved {{ input }}"
    former = ["summarise-dialogue@1", "summarise-dialogue", "summarise", "", text, "", "\\n\\n"]
    former += [None, 1, "", "random", 2, 0, "", None, "by model", 64]
    assert opened(lab, former, dataset=spam)["instruction"] == text
    draft = dict(zip(actions.FORMER_DRAFT, former, strict=True))
    again = opened(lab, {**draft, "shots": 3})
    assert (again["instruction"], again["shots"], again["version"]) == (text, 3, "summarise-dialogue@1")


def editor(**changes: Any) -> dict[str, Any]:
    parts = {"system": "", "instruction": "{{ input }}", "shot": "", "separator": " "}
    return {**actions.EVERYTHING, **parts, "version": "", "name": "", "task": None, "message": "", **changes}


def test_a_template_is_saved_tagged_copied_archived_and_restored_by_name(lab: LabContext) -> None:
    saved = actions.save(lab, editor(name="mine", task="answer"))
    assert (saved["version"], saved["instruction"]) == ("mine@1", "{{ input }}")
    now = editor(version="mine@1", name="mine", tag="best")
    assert actions.unsaved_note(lab, now) == ""
    assert "Changed since mine@1" in actions.unsaved_note(lab, {**now, "system": "Be kind."})
    tagged = actions.add_tag(lab, now)
    assert tagged["versions"]["rows"][0]["tags"] == ["best"]
    assert actions.remove_tag(lab, now)["versions"]["rows"][0]["tags"] == []
    assert actions.copy(lab, now)["name"] == "mine-copy"
    assert actions.archive(lab, now)["restore"]["visible"]
    assert not actions.restore(lab, now)["restore"]["visible"]
    assert actions.on_new(lab, now)["version"] == ""
    with pytest.raises(LabError, match="not saved yet"):
        actions.copy(lab, editor())


def matrix_values(lab: LabContext, draft: Any = None, dataset: str = "") -> dict[str, Any]:
    """The matrix form's values by name."""
    updates = matrix_form.first_values(lab, json.dumps(draft) if draft else None, dataset)
    return {name: value_of(update) for name, update in updates.items()}


def test_the_matrix_proposes_what_suits_the_dataset_and_keeps_what_was_left(lab: LabContext, spam: str) -> None:
    fresh = matrix_values(lab, None, spam)
    assert (fresh["dataset"], fresh["metrics"], fresh["max_new_tokens"]) == (spam, ["classification"], 16)
    assert fresh["templates"] == ["classify-labels"]
    former = [spam, ["tiny"], ["plain"], "0", ["random"], 33, ["rouge"], "", ["greedy"], 8, "0", "test", "train"]
    former += ["plain", True]
    for draft in (former, dict(zip(matrix_form.FORMER_DRAFT, former, strict=True))):
        again = matrix_values(lab, draft)
        assert (again["templates"], again["rows"], again["metrics"]) == (["plain"], 33, ["rouge"])
        assert again["max_new_tokens"] == 8
        linked = matrix_values(lab, draft, "tried-spam")
        assert (linked["rows"], linked["metrics"]) == (33, ["classification"])
    proposal = matrix_form.on_dataset(lab, {"dataset": spam})
    assert proposal["templates"]["choices"][0] == "classify-labels"
    assert proposal["metrics"] == ["classification"]
    assert matrix_form.on_dataset(lab, {"dataset": None}) == {}


def test_the_form_of_a_matrix_gives_its_plan(lab: LabContext, spam: str) -> None:
    form = {**matrix_values(lab, None, spam), "models": ["tiny"], "shots": "0, 1", "seeds": "3,4", "fixed": ""}
    plan = matrix_form.plan_of(lab, form)
    assert (plan.dataset, plan.models, plan.templates) == (spam, ("tiny",), ("classify-labels",))
    assert (plan.shots, plan.seeds, plan.sample_seed) == ((0, 1), (3, 4), 3)
    assert [(sampling.greedy, sampling.max_new_tokens) for sampling in plan.samplings] == [(True, 16)]
    assert [choice.metric for choice in plan.metrics] == ["classification"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"dataset": None}, "No dataset is chosen"),
        ({"models": []}, "The matrix has no models"),
        ({"shots": "one"}, "Shots are 'one'; write whole numbers"),
        ({"seeds": ""}, "Seeds are ''; write whole numbers"),
        ({"samplings": ["gone"]}, "no preset called 'gone'"),
        ({"rows": 0}, "Rows is 0"),
        ({"split": "train"}, "Rows and shots both come from train"),
    ],
)
def test_a_matrix_that_cannot_be_is_one_sentence(
    lab: LabContext, spam: str, changes: dict[str, Any], sentence: str
) -> None:
    form = {**matrix_values(lab, None, spam), "models": ["tiny"], "shots": "1", **changes}
    with pytest.raises(LabError, match=sentence):
        matrix_form.plan_of(lab, form)


@pytest.mark.parametrize(("query", "tab"), [({}, None), ({"tab": "matrix"}, "matrix"), ({"example": "yes"}, "matrix")])
def test_a_link_opens_the_matrix(lab: LabContext, query: dict[str, str], tab: str | None) -> None:
    request: Any = SimpleNamespace(query_params=query)
    updates = matrix.load_page(lab, {"draft": None}, request)
    assert updates.get("tabs", {}).get("selected") == tab
    if "example" in query:
        assert updates["metrics"] == ["classification"]


def test_results_without_a_matrix_say_what_to_do() -> None:
    with pytest.raises(LabError, match="No matrix is open"):
        results.runs_to_rank({"run": None, "cell": None, "beside": None})
    assert results.runs_to_rank({"run": 3, "cell": None, "beside": None}) == "3"
    assert results.runs_to_rank({"run": 3, "cell": 4, "beside": 5}) == "4,5"
    assert results.turn_page(None, 1, {"run": 3, "cell": None, "beside": 0})["predictions"]["note"]  # type: ignore[arg-type]
