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
from pages.prompts import matrix, templates, trying

ROWS = [{"text": "Win a prize", "label": "spam"}, {"text": "See you at six", "label": "ham"}]


@pytest.fixture(scope="module")
def spam(lab: LabContext) -> str:
    return datasets.import_rows(lab, ROWS, "tried-spam", {"kind": "typed"}).name


def values(source: str, model: str | None = "tiny", rendering: str = "plain") -> list[Any]:
    """The editor and the preview as `draw` reads them."""
    parts = ["Answer {{ labels | join(' or ') }}.", "Text: {{ input }}\nClass:", "", "\\n\\n"]
    return [*parts, source, 1, "", "random", 0, 0, "", model, rendering, 5]


def opened(lab: LabContext, draft: list[Any] | None = None, **params: str) -> list[Any]:
    return list(templates.opened(lab, json.dumps(draft) if draft else None, SimpleNamespace(query_params=params)))  # type: ignore[arg-type]


def test_a_template_is_tried_on_the_row_of_its_preview_beside_its_reference(lab: LabContext, spam: str) -> None:
    updates = list(trying.try_row(lab, prompting.KeptRows(lab), *values(spam)))
    tokens, reference, note, run = updates[-1]
    row = datasets.pick(lab, datasets.show(lab, spam).id, [0])[0]
    assert reference in {"spam", "ham"}
    view = generation.run(lab, run)
    assert view.prompt.text.startswith("Answer ham or spam.\n\nText: ")
    assert (view.sampling.greedy, view.sampling.max_new_tokens) == (True, 5)
    assert json.loads(tokens["tokens"])
    assert note["run"] == run
    assert "greedy" in note["text"]
    assert row.references or row.label


def test_a_try_without_a_model_is_one_sentence(lab: LabContext, spam: str) -> None:
    with pytest.raises(LabError, match="No model is chosen"):
        list(trying.try_row(lab, prompting.KeptRows(lab), *values(spam, None)))


@pytest.mark.parametrize("rendering", ["plain", "chat"])
def test_the_filled_prompt_opens_in_the_playground(lab: LabContext, spam: str, rendering: str) -> None:
    draft = trying.to_playground(lab, prompting.KeptRows(lab), *values(spam, rendering=rendering))
    page = single.read_page_draft(draft)
    assert page["model"] == "tiny"
    assert "Class:" in page["prompt"]
    assert page["mode"] == ("chat" if rendering == "chat" else "completion")
    if rendering == "chat":
        assert page["system"].startswith("Answer ham or spam")


def test_a_link_from_a_dataset_opens_with_it_and_the_template_that_suits(lab: LabContext, spam: str) -> None:
    made = opened(lab, dataset=spam)
    assert made[1] == "classify-labels"
    assert any(isinstance(one, dict) and one.get("value") == spam for one in made)
    assert opened(lab, dataset="tried-spam")[1] == "classify-labels"
    state = "summarise-dialogue@1"
    work = [state, "summarise-dialogue", "summarise", "", "A text that is not saved {{ input }}", "", "\\n\\n"]
    rest = [None, 1, "", "random", 2, 0, "", None, "by model", 64]
    assert opened(lab, [*work, *rest], dataset=spam)[4] == work[4]


def named(made: list[Any]) -> dict[str, Any]:
    """The matrix form's values by name."""
    names = ["dataset", "models", "templates", "shots", "selectors", "rows", "metrics", "fixed", "samplings", "length"]
    return {name: one["value"] if isinstance(one, dict) else one for name, one in zip(names, made, strict=False)}


def test_the_matrix_proposes_what_suits_the_dataset_and_keeps_what_was_left(lab: LabContext, spam: str) -> None:
    fresh = named(matrix.offered(lab, None, spam))
    assert (fresh["dataset"], fresh["metrics"], fresh["length"]) == (spam, ["classification"], 16)
    assert fresh["templates"] == ["classify-labels"]
    left = [spam, ["tiny"], ["plain"], "0", ["random"], 33, ["rouge"], "", ["greedy"], 8, "0", "test", "train"]
    draft = json.dumps([*left, "plain", True])
    again = named(matrix.offered(lab, draft))
    assert (again["templates"], again["rows"], again["metrics"], again["length"]) == (["plain"], 33, ["rouge"], 8)
    linked = named(matrix.offered(lab, draft, "tried-spam"))
    assert (linked["rows"], linked["metrics"]) == (33, ["classification"])
    templates_, metrics, _ = matrix.proposed(lab, spam)
    assert templates_["choices"][0] == "classify-labels"
    assert metrics == ["classification"]


@pytest.mark.parametrize(("params", "tab"), [({}, None), ({"tab": "matrix"}, "matrix"), ({"example": "yes"}, "matrix")])
def test_a_link_opens_the_matrix(lab: LabContext, params: dict[str, str], tab: str | None) -> None:
    made = matrix.arrived(lab, None, SimpleNamespace(query_params=params))  # type: ignore[arg-type]
    assert made[0].get("selected") == tab
    if "example" in params:
        assert named(list(made[1:]))["metrics"] == ["classification"]
