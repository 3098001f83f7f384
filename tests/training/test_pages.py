"""The Fine-tune page without a browser: plans through the form and back, runs by their number."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import models, templates, training
from genai_lab.services.training import progress
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from pages.finetune import choices, form, new, page, runs, samples, studies
from pages.finetune.run_panels import detail_value, table_value
from storage import jobs as queries
from storage.tables import Job

TRAINING = Training(
    max_steps=4, per_device_batch_size=4, max_length=64, max_target_length=24, seed=3, validation_rows=6, eval_steps=2
)
RUN = {"title": "", "tags": "", "gate": []}
LORA = TrainingPlan("t5", (DatasetSpec("pairs@1", ("plain",)),), method="lora", training=TRAINING)


def test_the_weight_of_every_dataset_goes_through_the_form() -> None:
    parts = (DatasetSpec("pairs", ("plain",), 5.0), DatasetSpec("more", ("plain",), 1.23456789))
    plan = replace(LORA, data=parts, mixing="weights")
    assert form.read_plan(form.write_plan(plan, "named")) == (plan, "named")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "sola"}, "no method called 'sola'"),
        ({"split": "holdout"}, "Split is 'holdout', but it must be one of train, validation, test"),
        ({"method_settings": {"depth": 3}}, "LoRA has no setting"),
    ],
)
def test_a_plan_that_the_form_cannot_show_is_told_in_one_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError, match=message):
        form.write_plan(replace(LORA, **options))


def test_a_plan_whose_base_was_archived_leaves_the_base_empty_and_says_so(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    monkeypatch.setattr(choices, "show_warning", messages.append)
    assert choices.form_updates(lab, form.write_plan(LORA))["model"]["value"] == "t5"
    assert not messages
    models.archive(lab, "t5")
    try:
        assert choices.form_updates(lab, form.write_plan(LORA))["model"]["value"] is None
    finally:
        models.restore(lab, "t5")
    assert messages == ["The base t5 is archived; the field Base model is left empty."]
    assert (
        choices.form_updates(lab, form.write_plan(replace(LORA, data=(DatasetSpec("gone"),))))["dataset"]["value"]
        is None
    )
    assert "The dataset gone is not available here" in messages[-1]


def test_a_run_that_the_list_no_longer_shows_is_opened_by_its_number(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_run = training.start(lab, LORA, title="An old one")
    monkeypatch.setattr(training, "find", lambda *_, **__: [])
    values = {"run": started_run.run_id, "beside": [], "all_samples": False}
    assert runs.draw(lab, values)["detail"]["title"] == "An old one"
    assert runs.words_of(lab, started_run.run_id)["run_title"] == "An old one"
    assert runs.draw(lab, {**values, "run": 999_999})["detail"] == {}
    training.cancel(lab, started_run.run_id)


def test_a_run_tells_where_it_stands_while_it_runs_and_after_it_was_cancelled(lab: LabContext) -> None:
    started_run = training.start(lab, LORA, title="Followed")
    points = [("validation loss", step, loss) for step, loss in ((0, 3.0), (60, 1.5), (120, 1.8))]
    points += [("tokens per second", step, 10.0 * step) for step in (60, 66)]
    with lab.database.session() as session:
        queries.add_metrics(session, started_run.job_id, points)
        job = session.get_one(Job, started_run.job_id)
        job.done, job.total = 66.0, 160.0
    view = training.show(lab, started_run.run_id)
    at = progress.standings(lab, [view])[view.id]
    assert (at.step, at.steps, at.last, at.best, at.best_step, at.speed) == (66, 160, 1.8, 1.5, 60, 660.0)
    row = next(item for item in table_value(lab, [view], view.id)["rows"])
    assert (row["step"], row["loss"], row["best"], row["speed"]) == ("66 of 160", "1.800", "best 1.500 at 60", "660")
    training.cancel(lab, started_run.run_id)
    report = detail_value(lab, replace(view, status="cancelled"), None)["ended"]
    assert report == "Cancelled at step 66 of 160; no checkpoint yet."


def test_a_start_is_listed_as_being_checked_until_it_is_a_run_or_refused(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed: list[Any] = []

    def begin(*_: Any, **__: Any) -> Any:
        observed.append(table_value(lab, [], None)["checking"])
        raise LabError("It does not fit.")

    monkeypatch.setattr(new.studies, "start_gated", begin)
    steps = new.start_run(lab, {**RUN, "title": "Mine", **form.write_plan(LORA)})
    assert next(steps)["tabs"]["selected"] == "runs"
    assert next(steps)["tabs"]["selected"] == "new"
    with pytest.raises(LabError, match="It does not fit"):
        next(steps)
    assert observed == [[{"title": "Mine", "base": "t5", "method": "LoRA"}]]
    assert table_value(lab, [], None) == {"rows": [], "checking": [], "any": False}


def test_what_is_computed_says_so_in_words_and_its_button_waits(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new.estimates, "time_run", lambda *_: SimpleNamespace(sentence="About 25 min here."))
    steps = new.show_memory(lab, {"gpu": form.ANY_GPU, **form.write_plan(LORA)})
    first = next(steps)
    assert "Estimating" in first["memory"]["waiting"]
    assert not first["weigh"]["interactive"]
    second = next(steps)
    panel = second["memory"]
    assert (bool(panel["bars"]), "Timing" in panel["waiting"], second["weigh"]["interactive"]) == (True, True, False)
    assert panel["passes"].startswith("4 steps of 4 rows: ")
    last = next(steps)
    assert (last["memory"]["passes"], last["weigh"]["interactive"]) == ("About 25 min here.", True)
    assert "waiting" not in last["memory"]


def test_samples_stand_in_one_row_a_prompt_with_what_changed_marked() -> None:
    texts = {0: "the cat sat", 10: "the cat sat down", 20: "the dog sat"}
    rows = [
        {"step": step, "place": index, "prompt": f"p{index}", "reference": "the dog sat", "text": text}
        for step, text in texts.items()
        for index in range(2)
    ]
    table = samples.table(rows)
    assert (table["steps"], len(table["rows"])) == (["Step 0", "Step 20"], 2)
    first, last = table["rows"][0]["cells"]
    assert first == {"parts": [["the cat sat", False]], "same": False}
    assert last == {"parts": [["the ", False], ["dog", True], [" sat", False]], "same": True}
    assert samples.table(rows, every_step=True)["steps"] == ["Step 0", "Step 10", "Step 20"]


def test_templates_that_suit_the_dataset_come_first_with_its_first_row(lab: LabContext) -> None:
    menu, best = choices.template_choices(lab, "pairs@1")
    assert len(menu) == len(templates.find(lab))
    assert ": " in menu[0][0]  # the first row, filled in
    assert best in ([], [menu[0][1]])
    assert choices.template_choices(lab, None)[1] == []


def test_every_setting_of_a_plan_goes_through_the_form_by_name() -> None:
    plan = replace(
        LORA,
        method_settings={"rank": 4, "dropout": 0.1},
        models={"reference": "t5"},
        mixing="temperature",
        temperature=3.0,
        cap=7,
        training=replace(TRAINING, learning_rate=0.002, lr_scheduler_type="linear"),
    )
    values = form.write_plan(plan)
    assert set(values) == set(form.input_names())
    assert (values["method.lora.rank"], values["training.max_steps"]) == (4, 4)
    assert form.read_plan(values)[0] == plan
    assert form.read_plan({**values, "method.dora.rank": 64})[0] == plan  # settings of what is not chosen stay out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": None}, "No dataset is chosen"),
        ({"model": ""}, "No model is chosen"),
        ({"training.max_steps": 0}, "Max steps is 0"),
        ({"method.lora.rank": 0}, "Rank is 0"),
        ({"other_datasets": "more | plain | heavy"}, "Line 1 of the datasets has the weight 'heavy'"),
        ({"other_models": "reference"}, "write role: model"),
        ({"weight": None}, "Weight is 0"),
    ],
)
def test_a_form_that_is_no_plan_is_refused_in_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError, match=message):
        form.read_plan({**form.write_plan(LORA), **changes})


def test_a_draft_of_the_form_is_read_by_name_and_one_of_an_earlier_version_too() -> None:
    values = form.write_plan(LORA, "mine")
    assert form.read_plan_draft(json.dumps(values)) == values
    some = form.read_plan_draft(json.dumps({"model": "t5", "training.steps": 7, "method": "bottleneck"}))
    assert some is not None
    assert (some["model"], some["training.max_steps"], some["method"]) == ("t5", 7, "houlsby")
    assert set(some) == set(values)
    former = dict.fromkeys(form.FORMER_DRAFT)
    former |= {"model": "t5", "objective": "spans", "method": "lora", "method.lora.rank": 16, "training.batch": 3}
    old = form.read_plan_draft(json.dumps(list(former.values())))
    assert old is not None
    assert (old["objective"], old["method.lora.rank"], old["training.per_device_batch_size"]) == (
        "span_corruption",
        16,
        3,
    )
    assert len(form.FORMER_DRAFT) == 79
    assert form.read_plan_draft("[1, 2]") is None


def test_yaml_and_command_are_written_from_the_form_and_loaded_into_it(lab: LabContext) -> None:
    written = new.write_yaml(lab, {**RUN, "tags": "a, b", **form.write_plan(LORA, "mine")})
    assert "mine" in written["command"]
    loaded = new.load_yaml(lab, {"yaml": written["yaml"]})
    assert (loaded["training.max_steps"], loaded["model"]["value"]) == (4, "t5")
    with pytest.raises(LabError, match="no YAML to load"):
        new.load_yaml(lab, {"yaml": " "})


def test_a_choice_shows_its_settings_and_what_goes_with_it(lab: LabContext) -> None:
    updates = choices.on_choice(lab, {"model": "t5", "objective": "instruction", "method": "dora"})
    assert updates["method.dora.group"]["visible"]
    assert not updates["method.lora.group"]["visible"]
    assert updates["method"]["value"] == "dora"
    assert form.on_preset({"preset": "Quick look"}) == {
        "training.max_steps": 60,
        "training.per_device_batch_size": 8,
    }
    assert form.on_preset({"preset": None}) == {}


def test_a_link_chooses_base_and_dataset(lab: LabContext) -> None:
    request: Any = SimpleNamespace(query_params={"model": "t5", "dataset": "pairs"})
    updates = page.load_page(lab, {"plan_draft": None}, request)
    assert (updates["model"]["value"], updates["dataset"]["value"]) == ("t5", "pairs@1")
    assert "tabs" not in updates
    with pytest.raises(LabError, match="No run is chosen"):
        page.clone_run(lab, {"run": None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study.shots": "0, many"}, "Shots are '0, many'"),
        ({"study.grid": "training.learning_rate"}, "Line 1 of the grid"),
        ({"study.after": []}, "Choose the tuned model"),
    ],
)
def test_a_study_that_cannot_start_is_one_sentence(lab: LabContext, changes: dict[str, Any], message: str) -> None:
    held_out = {"study.rows": 4, "study.split": "test", "study.metric": "rouge", "study.max_new_tokens": 8}
    values = {**form.write_plan(LORA), **held_out, "study.draws": 0, "study.tuned": ["lora"], **changes}
    start = {"study.shots": studies.start_shots, "study.grid": studies.start_sweep, "study.after": studies.start_gate}
    with pytest.raises(LabError, match=message):
        start[next(iter(changes))](lab, values)
