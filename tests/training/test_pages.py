"""The Fine-tune page without a browser: plans through the form and back, runs by their number."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import models, templates, training
from genai_lab.services.training import progress
from genai_lab.training import DatasetSpec, Plan, Training
from pages.finetune import form, new, runs, samples
from storage import jobs as queries
from storage.tables import Job

TRAINING = Training(
    max_steps=4, per_device_batch_size=4, max_length=64, max_target_length=24, seed=3, validation_rows=6, eval_steps=2
)
LORA = Plan("t5", (DatasetSpec("pairs@1", ("plain",)),), method="lora", training=TRAINING)


def test_the_weight_of_every_dataset_goes_through_the_form() -> None:
    parts = (DatasetSpec("pairs", ("plain",), 5.0), DatasetSpec("more", ("plain",), 1.23456789))
    plan = replace(LORA, data=parts, mixing="weights")
    assert form.plan_of(*form.values_of(plan, "named")) == (plan, "named")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"method": "sola"}, "no method called 'sola'"),
        ({"split": "holdout"}, "Split is 'holdout', but it must be one of train, validation, test"),
        ({"method_settings": {"depth": 3}}, "LoRA has no setting"),
    ],
)
def test_a_plan_that_the_form_cannot_show_is_told_in_one_sentence(more: dict[str, Any], words: str) -> None:
    with pytest.raises(LabError, match=words):
        form.values_of(replace(LORA, **more))


def test_a_plan_whose_base_was_archived_leaves_the_base_empty_and_says_so(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
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
    assert form.offered(lab, form.values_of(replace(LORA, data=(DatasetSpec("gone"),))))[3]["value"] is None
    assert "The dataset gone is not in use here" in told[-1]


def test_a_run_that_the_list_no_longer_shows_is_opened_by_its_number(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = training.start(lab, LORA, title="An old one")
    monkeypatch.setattr(training, "find", lambda *_, **__: [])
    drawn = runs.draw(lab, begun.run_id, [])
    assert drawn[2]["title"] == "An old one"
    assert runs.words(lab, begun.run_id)[0] == "An old one"
    assert runs.draw(lab, 999_999, [])[2] == {}
    training.cancel(lab, begun.run_id)


def test_a_run_tells_where_it_stands_while_it_runs_and_after_it_was_cancelled(lab: LabContext) -> None:
    begun = training.start(lab, LORA, title="Followed")
    points = [("validation loss", step, loss) for step, loss in ((0, 3.0), (60, 1.5), (120, 1.8))]
    points += [("tokens per second", step, 10.0 * step) for step in (60, 66)]
    with lab.database.session() as session:
        queries.add_metrics(session, begun.job_id, points)
        job = session.get_one(Job, begun.job_id)
        job.done, job.total = 66.0, 160.0
    view = training.show(lab, begun.run_id)
    at = progress.standings(lab, [view])[view.id]
    assert (at.step, at.steps, at.last, at.best, at.best_step, at.speed) == (66, 160, 1.8, 1.5, 60, 660.0)
    row = next(one for one in runs.listed(lab, [view], view.id)["rows"])
    assert (row["step"], row["loss"], row["best"], row["speed"]) == ("66 of 160", "1.800", "best 1.500 at 60", "660")
    training.cancel(lab, begun.run_id)
    told = runs.detail(lab, replace(view, status="cancelled"), False, {})["ended"]
    assert told == "Cancelled at step 66 of 160; no checkpoint yet."


def test_a_start_is_listed_as_being_checked_until_it_is_a_run_or_refused(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def begin(*_: Any, **__: Any) -> Any:
        seen.append(runs.listed(lab, [], None)["checking"])
        raise LabError("It does not fit.")

    monkeypatch.setattr(new.studies, "start_gated", begin)
    steps = new.start_run(lab, "Mine", "", [], *form.values_of(LORA))
    assert next(steps)[1]["selected"] == "runs"
    assert next(steps)[1]["selected"] == "new"
    with pytest.raises(LabError, match="It does not fit"):
        next(steps)
    assert seen == [[{"title": "Mine", "base": "t5", "method": "LoRA"}]]
    assert runs.listed(lab, [], None) == {"rows": [], "checking": [], "any": False}


def test_what_is_computed_says_so_in_words_and_its_button_waits(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new.estimates, "time_run", lambda *_: SimpleNamespace(sentence="About 25 min here."))
    steps = new.weigh_plan(lab, form.NO_GPU, *form.values_of(LORA))
    panel, button = next(steps)
    assert ("Weighing" in panel["waiting"], button["interactive"]) == (True, False)
    panel, button = next(steps)
    assert (bool(panel["bars"]), "Timing" in panel["waiting"], button["interactive"]) == (True, True, False)
    assert panel["passes"].startswith("4 steps of 4 rows: ")
    panel, button = next(steps)
    assert (panel["passes"], "waiting" in panel, button["interactive"]) == ("About 25 min here.", False, True)


def test_samples_stand_in_one_row_a_prompt_with_what_changed_marked() -> None:
    texts = {0: "the cat sat", 10: "the cat sat down", 20: "the dog sat"}
    rows = [
        {"step": step, "place": place, "prompt": f"p{place}", "reference": "the dog sat", "text": text}
        for step, text in texts.items()
        for place in range(2)
    ]
    made = samples.table(rows)
    assert (made["steps"], len(made["rows"])) == (["Step 0", "Step 20"], 2)
    first, last = made["rows"][0]["cells"]
    assert first == {"parts": [["the cat sat", False]], "same": False}
    assert last == {"parts": [["the ", False], ["dog", True], [" sat", False]], "same": True}
    assert samples.table(rows, whole=True)["steps"] == ["Step 0", "Step 10", "Step 20"]


def test_templates_that_suit_the_dataset_come_first_with_its_first_row(lab: LabContext) -> None:
    choices, best = form.template_choices(lab, "pairs@1")
    assert len(choices) == len(templates.find(lab))
    assert ": " in choices[0][0]  # the first row, filled in
    assert best in ([], [choices[0][1]])
    assert form.template_choices(lab, None)[1] == []
