"""The functions behind the evaluate and models pages and the first screen, without a browser."""

from types import SimpleNamespace
from typing import Any

import pytest

import pages  # noqa: F401  (turns Gradio's analytics off)
from genai_lab.context import LabContext
from genai_lab.services import datasets
from pages import evaluate
from pages.evaluate import new
from pages.playground import examples, welcome


def asked(**params: str) -> Any:
    return SimpleNamespace(query_params=params)


@pytest.fixture(scope="module")
def spam(lab: LabContext) -> str:
    rows = [{"text": "Win a prize today", "label": "spam"}, {"text": "See you at seven", "label": "ham"}]
    return datasets.import_rows(lab, rows, "measured-spam", {"kind": "typed"}).name


def test_a_link_from_a_dataset_opens_new_with_what_suits_it(lab: LabContext, spam: str) -> None:
    tab, *_ = evaluate.arrived(lab, asked(dataset=spam))
    assert tab["selected"] == "new"
    kinds, suite, chosen, _, dataset, template, metrics, length, split, *_ = new.choices(lab, asked(dataset=spam))
    assert (kinds["selected"], dataset["value"]) == ("models", spam)
    assert template["value"].startswith("classify-labels")
    assert (metrics, length) == (["classification"], 16)
    assert split in datasets.show(lab, spam).splits
    assert (suite["value"], chosen["value"]) == ("summary", ["starter-seq2seq"])


def test_evaluate_opens_new_while_there_is_nothing_to_see(lab: LabContext) -> None:
    wanted = "figures" if evaluate.service.find(lab, 1) else "new"
    assert evaluate.arrived(lab, asked())[0]["selected"] == wanted


def test_every_door_of_the_first_screen_leads_somewhere() -> None:
    titles = {one.title for one in examples.examples()}
    assert "Continue a story" in titles
    routes = {f"/{route}" for route in ("", "prompts", "models")}
    assert {address.partition("?")[0] for *_, address in welcome.DOORS} <= routes
