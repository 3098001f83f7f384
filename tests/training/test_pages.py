"""The Fine-tune page without a browser: plans through the form and back, runs by their number."""

from dataclasses import replace
from typing import Any

import pytest

from genai_lab.errors import LabError
from genai_lab.lab import Lab
from genai_lab.services import models, training
from genai_lab.training import Part, Plan, Training
from pages.finetune import form, runs

TRAINING = Training(steps=4, batch=4, length=64, target_length=24, seed=3, validation_rows=6, evaluate_every=2)
LORA = Plan("t5", (Part("pairs@1", ("plain",)),), method="lora", training=TRAINING)


def test_the_weight_of_every_dataset_goes_through_the_form() -> None:
    parts = (Part("pairs", ("plain",), 5.0), Part("more", ("plain",), 1.23456789))
    plan = replace(LORA, data=parts, mixing="weights")
    assert form.plan_of(*form.values_of(plan, "named")) == (plan, "named")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"method": "sola"}, "no method called 'sola'"),
        ({"split": "holdout"}, "Split is 'holdout', but it must be one of train, validation, test"),
        ({"method_settings": {"depth": 3}}, "LoRA has no such setting"),
    ],
)
def test_a_plan_that_the_form_cannot_show_is_told_in_one_sentence(more: dict[str, Any], words: str) -> None:
    with pytest.raises(LabError, match=words):
        form.values_of(replace(LORA, **more))


def test_a_plan_whose_base_was_archived_leaves_the_base_empty_and_says_so(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(form, "warned", told.append)
    assert form.offered(lab, form.values_of(LORA))[0]["value"] == "t5"
    assert not told
    models.archive(lab, "t5")
    try:
        assert form.offered(lab, form.values_of(LORA))[0]["value"] is None
    finally:
        models.restore(lab, "t5")
    assert told == ["The base t5 is archived; the field Base model is left empty."]
    assert form.offered(lab, form.values_of(replace(LORA, data=(Part("gone"),))))[3]["value"] is None
    assert "The dataset gone is not in use here" in told[-1]


def test_a_run_that_the_list_no_longer_shows_is_opened_by_its_number(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = training.start(lab, LORA, title="An old one")
    monkeypatch.setattr(training, "find", lambda *_, **__: [])
    drawn = runs.draw(lab, begun.run_id, [])
    assert drawn[2]["title"] == "An old one"
    assert runs.words(lab, begun.run_id)[0] == "An old one"
    assert runs.draw(lab, 999_999, [])[2] == {}
    training.cancel(lab, begun.run_id)
