"""Plans as YAML: read and written, with the names of former versions, and one sentence for each mistake."""

import pytest

from genai_lab.errors import LabError
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.plan import RENAMED_METHODS, RENAMED_OBJECTIVES

PAIRS = DatasetSpec("pairs", ("plain", "answer-question"))


def test_a_plan_survives_yaml() -> None:
    parts = (PAIRS, DatasetSpec("other", ("plain",), 2.5))
    plan = TrainingPlan(
        "t5", parts, method="lora", method_settings={"rank": 4}, mixing="temperature", cap=0,
        training=Training(learning_rate=1e-3, num_train_epochs=1.5, early_stopping_patience=2),
    )  # fmt: skip
    assert TrainingPlan.from_yaml(plan.to_yaml()) == plan
    assert TrainingPlan.from_yaml(TrainingPlan("1e3", (DatasetSpec("2e-4"),)).to_yaml()).model == "1e3"


OLD_PLAN = """
model: starter-causal
data: [{dataset: pairs@1, templates: [plain]}]
objective: causal
method: biases
training: {steps: 24, epochs: 0.5, batch: 4, length: 48, target_length: 24, accumulation: 2, schedule: linear,
  warmup: 0.1, clip: 0.5, grouping: false, checkpointing: true, evaluate_every: 4, patience: 2, seed: 1}
"""


def test_a_plan_file_with_the_names_of_before_still_opens() -> None:
    plan = TrainingPlan.from_yaml(OLD_PLAN)
    assert (plan.objective, plan.method) == ("clm", "bitfit")
    assert plan.training == Training(
        max_steps=24, num_train_epochs=0.5, per_device_batch_size=4, max_length=48, max_target_length=24,
        gradient_accumulation_steps=2, lr_scheduler_type="linear", warmup_ratio=0.1, max_grad_norm=0.5,
        group_by_length=False, gradient_checkpointing=True, eval_steps=4, early_stopping_patience=2, seed=1,
    )  # fmt: skip
    assert TrainingPlan.from_yaml(plan.to_yaml()) == plan
    for old, new in {**RENAMED_OBJECTIVES, "instruction": "instruction"}.items():
        assert OBJECTIVES.get(old) is OBJECTIVES.get(new)
    for old, new in RENAMED_METHODS.items():
        assert METHODS.get(old) is METHODS.get(new)


def test_a_number_without_a_point_is_a_number() -> None:
    text = "{model: t5, data: [pairs], method_settings: {alpha: 1e1}, training: {learning_rate: 2e-4}}"
    plan = TrainingPlan.from_yaml(text)
    assert (plan.training.learning_rate, plan.method_settings["alpha"]) == (2e-4, 10.0)


BAD_PLANS: dict[str, tuple[str, str]] = {
    "no yaml": ("model: [", "not valid YAML in line"),
    "a tab": ("model: t5\n\tdata: x", "not valid YAML in line 2: a tab stands where"),
    "no data": ("{model: t5, data: null}", "No dataset is chosen"),
    "model is a number": ("{model: 5, data: [pairs]}", "Model of the plan is 5, but it must be text"),
    "models": ("{model: [t5], data: [pairs]}", "Model of the plan is .*, but it must be text"),
    "method is a number": ("{model: t5, method: 5, data: [pairs]}", "Method of the plan is 5"),
    "objective is a mapping": ("{model: t5, objective: {a: 1}, data: [pairs]}", "Objective of the plan is"),
    "a key is a number": ("{model: t5, 5: 7, data: [pairs]}", "The plan has no setting '5'"),
    "an inner key": ("{model: t5, method_settings: {5: 8}, data: [pairs]}", "settings whose names are text"),
    "dataset is nothing": ("{model: t5, data: [{dataset: null}]}", "Dataset of entry 1 of data is None"),
    "an entry is a number": ("{model: t5, data: [pairs, 5]}", "Entry 2 of data is 5"),
    "template is a number": ("{model: t5, data: [{dataset: pairs, templates: [5]}]}", "Templates of entry 1 of data"),
    "templates are no list": ("{model: t5, data: [{dataset: pairs, templates: 5}]}", "must be a list of texts"),
    "steps beyond": ("{model: t5, data: [pairs], training: {steps: 0}}", "from 1 to 10,000,000"),
    "a list": ("- 1", "must be a mapping"),
    "no model": ("data: [pairs]", "is missing the field 'model'"),
    "unknown field": (
        "{model: t5, data: [pairs], colour: red}",
        "The plan has no setting 'colour'",
    ),
    "unknown setting": ("{model: t5, data: [pairs], training: {pace: 3}}", "Training has no setting 'pace'"),
    "steps are text": ("{model: t5, data: [pairs], training: {steps: many}}", "Max steps of training is 'many'"),
    "rate too high": ("{model: t5, data: [pairs], training: {learning_rate: 1000.0}}", "from 1e-08 to 10"),
    "rate is nan": ("{model: t5, data: [pairs], training: {learning_rate: .nan}}", "Learning rate of training is nan"),
    "mixing": ("{model: t5, data: [pairs], mixing: soup}", "one of size, temperature, weights"),
    "weight": ("{model: t5, data: [{dataset: pairs, weight: -1}]}", "Weight of entry 1 of data is -1"),
    "settings are a list": ("{model: t5, data: [pairs], training: [1]}", "a mapping of settings"),
    "one process sharded": ("{model: t5, data: [pairs], training: {sharding: weights}}", "at least 2 processes"),
}


@pytest.mark.parametrize("case", BAD_PLANS)
def test_a_bad_plan_is_one_sentence(case: str) -> None:
    text, message = BAD_PLANS[case]
    with pytest.raises(LabError, match=message) as caught:
        TrainingPlan.from_yaml(text)
    assert "\n" not in str(caught.value)
