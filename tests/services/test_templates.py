"""Templates in the database: versions, tags, differences, the shipped library."""

import random
import re

import pytest

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.prompts import Template, render
from genai_lab.services import datasets, templates
from genai_lab.starter.tasks import TASKS
from tests.prompts.rows import row

FIRST = Template(instruction="Say {{ text }}.")
SECOND = Template(instruction="Say {{ text }} {{ how }}.")


def test_a_version_stays_and_the_next_one_has_the_next_number(lab: LabContext) -> None:
    first = templates.save(lab, " say ", FIRST, task="other", message="as it began")
    second = templates.save(lab, "say", SECOND, message="louder")
    again = templates.save(lab, "say", FIRST, message="the old one")
    assert (first.name, second.name, again) == ("say@1", "say@2", templates.show(lab, "say@1"))
    assert templates.show(lab, "say") == second
    assert second.slots == ("how", "text")
    assert templates.by_id(lab, second.id).value == SECOND
    assert [view.message for view in templates.versions(lab, "say")] == ["louder", "as it began"]
    assert "-Say {{ text }}." in templates.diff(lab, "say@1", "say@2").splitlines()
    assert templates.diff(lab, "say@1", "say@1") == ""


def test_a_tag_moves_from_version_to_version(lab: LabContext) -> None:
    for template in (FIRST, SECOND):
        templates.save(lab, "tagged", template)
    templates.tag(lab, "tagged", 1, "best")
    templates.tag(lab, "tagged", 2, "best")
    assert templates.show(lab, "tagged@best").number == 2
    assert templates.show(lab, "tagged@1").tags == ()
    templates.untag(lab, "tagged", "best")
    with pytest.raises(LabError, match=r"no version of tagged called 'best'. Known: 1, 2"):
        templates.show(lab, "tagged@best")


def test_an_archived_template_comes_back(lab: LabContext) -> None:
    templates.save(lab, "tired", FIRST)
    templates.archive(lab, "tired")
    assert "tired" not in [view.template for view in templates.find(lab)]
    assert [view.template for view in templates.find(lab, search="tired", archived=True)] == ["tired"]
    templates.restore(lab, "tired")
    assert [view.template for view in templates.find(lab, search="TIR")] == ["tired"]
    assert templates.copy(lab, "tired@1", "fresh").value == FIRST
    with pytest.raises(LabError, match="called 'fresh' already exists"):
        templates.copy(lab, "tired", "fresh")


@pytest.mark.parametrize(
    ("name", "template", "message"),
    [
        ("a@b", FIRST, "1 to 100 letters"),
        ("", FIRST, "1 to 100 letters"),
        ("bad", Template(instruction="{{ text"), "The instruction cannot be read at line 1"),
        ("bad", Template(instruction="{{ text | shout }}"), "uses the filter 'shout'"),
    ],
)
def test_what_cannot_be_used_is_not_kept(lab: LabContext, name: str, template: Template, message: str) -> None:
    with pytest.raises(LabError, match=message):
        templates.save(lab, name, template)
    with pytest.raises(LabError, match="no template called"):
        templates.show(lab, "bad")


def test_the_library_is_there_and_is_put_in_once(lab: LabContext) -> None:
    before = templates.find(lab)
    assert {"summarise", "classify", "translate", "answer", "dialogue"} <= {view.task for view in before}
    templates.register_library(lab)
    assert templates.find(lab) == before
    shipped = [view for view in before if view.message == "Shipped with the lab"]
    assert all(view.slots == view.value.slots for view in shipped)


@pytest.mark.parametrize("task", ["summary", "translation", "sentiment", "story", "reply"])
def test_the_starter_models_find_the_words_they_were_trained_on(lab: LabContext, task: str) -> None:
    rng, texts = random.Random(1), [view.value for view in templates.find(lab)]
    for _ in range(12):
        example = TASKS.get(task).draw(rng, "test")
        if example.labels.get("attribute", "helpful") != "helpful":
            continue
        item = row(0, {"input": example.source})
        plain = [text for text in texts if text.slots == ("input",) and not text.system]
        assert example.prompt in {render(entry, [item], chat=False)[0].text for entry in plain}


@pytest.mark.parametrize(
    ("name", "row", "task", "first"),
    [
        ("spam", {"text": "Win a prize now", "label": "spam"}, "classify", "classify-labels"),
        ("reviews", {"review": "I liked it", "sentiment": "positive"}, "classify", "classify-"),
        ("talks", {"dialogue": "A: Hi.", "summary": "They meet."}, "summarise", "summarise-"),
        ("pairs", {"en": "Good day", "fr": "Bonjour"}, "translate", "translate-"),
        ("facts", {"context": "It rains.", "question": "Does it?", "answer": "Yes"}, "answer", "answer-context"),
        ("chats", {"instruction": "Say hello", "output": "Hello"}, "dialogue", "dialogue-"),
    ],
)
def test_templates_that_suit_the_dataset_come_first(
    lab: LabContext, name: str, row: dict[str, str], task: str, first: str
) -> None:
    templates.save(lab, "needs-more", Template(instruction="{{ input }} {{ a_column_of_no_dataset }}"), task=task)
    other = {"label": "ham", "sentiment": "negative"}
    rows = [row, {key: other.get(key, f"{value} too") for key, value in row.items()}]
    suited = templates.for_dataset(lab, datasets.import_rows(lab, rows, f"suited-{name}", {}).name)
    assert (suited[0].view.task, suited[0].suits) == (task, True)
    assert suited[0].view.template.startswith(first)
    assert {item.view.template for item in suited} == {view.template for view in templates.find(lab)}
    unfit = [item.view.template for item in suited if not item.fits]
    assert "needs-more" in unfit
    assert [item.fits for item in suited] == sorted((item.fits for item in suited), reverse=True)


def test_a_template_that_names_the_labels_of_the_dataset_comes_before_a_general_one(lab: LabContext) -> None:
    rows = [{"text": "I liked it", "label": "positive"}, {"text": "I left early", "label": "negative"}]
    suited = templates.for_dataset(lab, datasets.import_rows(lab, rows, "suited-labels", {}).name)
    assert re.search("positive.*negative", suited[0].view.value.instruction, re.IGNORECASE)
