"""The Recipes page without a browser: what an address opens, what a file changes, from Run to the answer."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.recipes import RECIPES, all_recipes
from genai_lab.services import jobs, matrix, models, recipes
from genai_lab.services.recipes.recipe_data import import_file
from pages.components.selection import Selection
from pages.finetune import form
from pages.finetune import page as finetune_page
from pages.prompts import matrix as matrix_page
from pages.prompts.matrix_form import INPUTS, plan_of
from pages.recipes import page, parts
from tests import recipe_files
from tests.fake_lab import fake_lab, open_fake_lab
from tests.inline_jobs import run_inline

__all__ = ["fake_lab"]


@pytest.fixture(scope="module")
def unused_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabContext]:
    """A lab in which no test imports or runs anything."""
    lab = open_fake_lab(tmp_path_factory.mktemp("recipes") / "home")
    yield lab
    lab.close()


@pytest.fixture
def selection() -> Selection:
    return Selection(key=lambda arguments: arguments[0])


def visit(**query: str) -> Any:
    return SimpleNamespace(query_params=query, session_hash="visitor")


def values_of(updates: dict[str, Any]) -> dict[str, Any]:
    """The value that each field is given."""
    return {
        name: update.get("value") if isinstance(update, dict) and "__type__" in update else update
        for name, update in updates.items()
    }


def opened(lab: LabContext, selection: Selection, **query: str) -> dict[str, Any]:
    return values_of(page.load_page(lab, selection, visit(**query)))


def test_the_address_opens_a_recipe_and_the_first_one_without(unused_lab: LabContext, selection: Selection) -> None:
    first = opened(unused_lab, selection)
    assert first["recipe"] == all_recipes()[0].name == "sms-spam"
    assert first["rows"] == 200
    assert first["answer"] == parts.NO_ANSWER
    tuning = page.load_page(unused_lab, selection, visit(recipe="lab-2-tuning"))
    assert tuning["steps"]["visible"]
    assert tuning["steps"]["value"] == 30
    assert "CC BY-NC-SA 4.0" in str(tuning["plan"])
    assert [item["state"] for item in tuning["list"]].count("selected") == 1


@pytest.mark.parametrize("chosen", [None, ["fake"]], ids=["as offered", "chosen by hand"])
def test_a_model_that_comes_while_the_page_is_open_is_offered(
    unused_lab: LabContext, selection: Selection, monkeypatch: pytest.MonkeyPatch, chosen: list[str] | None
) -> None:
    coming = recipes.ModelChoice(("starter-causal",), "SmolLM2-135M-Instruct is being downloaded", coming=True)
    monkeypatch.setattr(recipes, "choose_models", lambda lab, recipe: coming)
    values = opened(unused_lab, selection)
    assert values["models"] == ["starter-causal"]
    values |= {"choice": coming} | ({"models": chosen} if chosen else {})
    assert page.offer_what_came(unused_lab, values) == {}
    monkeypatch.setattr(recipes, "choose_models", lambda lab, recipe: recipes.ModelChoice(("fake-completion",)))
    offered = page.offer_what_came(unused_lab, values)
    assert offered["models"].get("value") == (None if chosen else ["fake-completion"])
    assert "fake-completion" in offered["models"]["choices"]
    assert offered["note"] == ""
    assert offered["watch"]["active"] is False
    assert page.offer_what_came(unused_lab, values | offered) == {}


def test_a_file_of_another_recipe_opens_that_one(unused_lab: LabContext, selection: Selection, tmp_path: Path) -> None:
    start = opened(unused_lab, selection)
    path = recipe_files.sms(tmp_path / "SMSSpamCollection")
    same = page.on_file(unused_lab, selection, {**start, "file": str(path)}, visit())
    assert same.keys() == {"file_note", "dataset"}
    assert "input is 'column 2', label is 'column 1'" in same["file_note"]
    other = recipe_files.trec(tmp_path / "trec.jsonl")
    switched = page.on_file(unused_lab, selection, {**start, "file": str(other)}, visit())
    assert switched["recipe"] == "trec"
    assert switched["address"] == "/recipes?recipe=trec"
    assert page.on_file(unused_lab, selection, {**start, "file": None}, visit()) == {"file_note": ""}


def run(lab: LabContext, selection: Selection, values: dict[str, Any]) -> list[dict[str, Any]]:
    answers: Iterator[dict[str, Any]] = page.run(lab, selection, False, values, visit())
    return list(answers)


def test_run_says_what_it_does_and_the_answer_comes_in(
    fake_lab: LabContext, selection: Selection, tmp_path: Path
) -> None:
    path = recipe_files.sms(tmp_path / "SMSSpamCollection")
    values = {**opened(fake_lab, selection), "models": ["fake-completion"], "file": str(path), "rows": 5}
    first, second, *_, last = run(fake_lab, selection, values)
    assert first["answer"] == parts.NO_ANSWER
    assert second == {"note": "Importing SMSSpamCollection."}
    assert last["address"] == f"/recipes?recipe=sms-spam&run={last['run']}"
    assert last["answer"]["short"] == ""
    state = {"recipe": "sms-spam", "run": last["run"], "drawn_state": last["drawn_state"]}
    assert page.refresh(fake_lab, state) == {}
    job = jobs.of_run(fake_lab, last["run"])
    assert job is not None
    run_inline(fake_lab, job.id)
    drawn = page.refresh(fake_lab, state)
    assert drawn["answer"]["status"] == "finished"
    assert drawn["answer"]["short"]
    assert len(drawn["answer"]["verdicts"]) == 3
    assert page.refresh(fake_lab, {**state, "drawn_state": drawn["drawn_state"]}) == {}
    again = opened(fake_lab, selection, recipe="sms-spam")
    assert (again["run"], again["dataset"]) == (last["run"], "sms-spam@1")


def test_without_data_the_page_says_what_is_needed(unused_lab: LabContext, selection: Selection) -> None:
    values = {**opened(unused_lab, selection), "file": None}
    with pytest.raises(LabError, match="needs SMS Spam Collection"):
        run(unused_lab, selection, values)


def test_the_form_of_the_prompt_lab_holds_the_plan_of_a_recipe(fake_lab: LabContext, tmp_path: Path) -> None:
    models.show(fake_lab, "fake-completion")
    with pytest.raises(LabError, match="the Recipes page takes a file with it"):
        matrix_page.load_page(fake_lab, {"draft": None}, visit(recipe="sms-spam"))
    path = recipe_files.sms(tmp_path / "SMSSpamCollection")
    started = recipes.run(fake_lab, "sms-spam", str(path), models=["starter-causal"])
    updates = matrix_page.load_page(fake_lab, {"draft": None}, visit(recipe="sms-spam"))
    filled = values_of({name: updates[name] for name in INPUTS})
    assert updates["dataset"]["choices"]
    assert updates["models"]["choices"]
    assert plan_of(fake_lab, filled) == matrix.find(fake_lab, 1)[0].plan
    assert filled["dataset"] == started.dataset


def test_the_form_of_fine_tuning_holds_the_plan_of_a_recipe(fake_lab: LabContext, tmp_path: Path) -> None:
    recipe = RECIPES.get("lab-2-tuning")
    match = recipes.recognise(fake_lab, recipe_files.dialogsum(tmp_path / "dev.jsonl"))
    version = import_file(fake_lab, match, tmp_path / "dev.jsonl")
    updates = finetune_page.load_page(fake_lab, {"plan_draft": None}, visit(recipe=recipe.name))
    filled = values_of({name: updates[name] for name in form.input_names()})
    plan, _ = form.read_plan(filled)
    assert plan == recipes.training_plan(recipe, version.name, "starter-seq2seq")
