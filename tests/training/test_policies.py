"""Policies as runs of the lab: planned, refused, trained as jobs, with their rollouts and lineage."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import alignment, lineage, models, training
from genai_lab.services.training import batch_preview, estimates, progress
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from genai_lab.training.step_timing import StepTime

TRAINING = Training(max_steps=2, per_device_batch_size=4, max_length=48, validation_rows=6, eval_steps=1, seed=3)
SETTINGS: dict[str, Any] = {
    "rewards": ["-1 * length", "0 * metric:token_f1"], "max_completion_length": 8, "num_generations": 2
}  # fmt: skip


def plan_of(model: str = "llama", objective: str = "grpo", **settings: Any) -> TrainingPlan:
    data = (DatasetSpec("pairs", ("plain",)),)
    return TrainingPlan(model, data, objective, "lora", objective_settings=SETTINGS | settings, training=TRAINING)


@pytest.mark.parametrize("model", ["llama", "t5"])
def test_a_policy_is_trained_as_a_job_and_keeps_what_it_wrote(
    lab: LabContext, finish_job: Callable[[int], Any], model: str
) -> None:
    started = training.start(lab, plan_of(model, "rloo"))
    finish_job(started.job_id)
    view = training.show(lab, started.run_id)
    assert view.rolls_out
    assert view.outcome["steps"] == 2
    assert models.show(lab, started.model).status == "ready"
    assert alignment.steps(lab, view.id) == [1, 2]
    assert [batch.step for batch in alignment.evaluations(lab, view.id)] == [0, 1, 2]
    batch = alignment.read(lab, view.id, 2)
    assert batch.labels == ("length", "metric token_f1")
    assert len(batch) == 8
    at = progress.standings(lab, [view])[view.id]
    objectives = dict(training.curves(lab, view)["validation objective"])
    assert at.best == max(objectives[1], objectives[2]) == view.outcome["best_loss"]


def test_a_reward_model_is_an_input_of_the_run(lab: LabContext, finish_job: Callable[[int], Any]) -> None:
    rows = [DatasetSpec("pairs", ("plain",))]
    classifier = training.start(
        lab, TrainingPlan("roberta", tuple(rows), "classification", "full", training=replace(TRAINING, max_steps=1)),
        name="kinds",
    )  # fmt: skip
    finish_job(classifier.job_id)
    plan = plan_of(rewards=["classifier:kinds label=colour"])
    started = training.start(lab, plan)
    roles = {role: name for role, name, _ in training.show(lab, started.run_id).inputs}
    assert roles["reward"] == "kinds"
    finish_job(started.job_id)
    assert "kinds" in {node.name for node in lineage.walk(lab, started.model).nodes.values()}
    assert estimates.estimate(lab, training.resolve(lab, plan)).memory.models > 0


def test_the_first_batch_shows_the_prompts(lab: LabContext) -> None:
    shown = batch_preview.first_batch(lab, plan_of())
    assert len(shown.rows) == 4
    assert "completed 2 times and rewarded; its answer is" in shown.rows[0].label
    assert {kind for row in shown.rows for _, kind in row.tokens} <= {"read", "padded"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": []}, "No reward is chosen"),
        ({"rewards": ["0 * length"]}, "No reward is chosen"),
        ({"rewards": ["parrot"]}, "no reward called 'parrot'"),
        ({"rewards": ["reward_model:nobody"]}, "nobody"),
        ({"rewards": ["reward_model:roberta"]}, "choose a reward model"),
        ({"rewards": ["classifier:llama"]}, "choose a classifier"),
        ({"num_generations": 1}, "at least 2"),
        ({"max_completion_length": 100}, "at most the 28 tokens of llama beside completions of 100 tokens"),
        ({"beta": -1.0}, "Beta .* a number from 0 to 100"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_in_one_sentence(
    lab: LabContext, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(LabError, match=message) as caught:
        training.check(lab, plan_of(**changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("training_changes", "message"),
    [
        ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps|Gradient accumulation steps"),
        ({"gradient_checkpointing": True}, "checkpointing"),
    ],
)
def test_what_rollouts_do_not_go_with_is_refused(
    lab: LabContext, training_changes: dict[str, Any], message: str
) -> None:
    plan = plan_of()
    with pytest.raises(LabError, match=message):
        training.check(lab, replace(plan, training=replace(plan.training, **training_changes)))


def test_a_run_that_learns_from_data_has_no_rollouts(lab: LabContext) -> None:
    started = training.start(lab, replace(plan_of(), objective="instruction", objective_settings={}))
    with pytest.raises(LabError, match="not from completions of its own"):
        alignment.steps(lab, started.run_id)


def test_a_plan_file_says_the_same_after_it_was_written() -> None:
    plan = plan_of(target_kl=6.0)
    assert TrainingPlan.from_yaml(plan.to_yaml()) == plan


def test_the_time_of_a_run_counts_writing_and_every_reading(lab: LabContext) -> None:
    plan = plan_of(num_iterations=3)
    objective = training.resolve(lab, plan).objective
    batch = StepTime(seconds=2.0, tokens=100, forward=0.5, loading=1.0, writing=4.0)
    assert objective.rows_written(plan) == objective.forward_rows(plan) == 8
    assert objective.step_seconds(plan, batch) == 4 + 3 * 2 + 2 * 0.5
    assert objective.evaluation_seconds(plan, batch, 16) == 2 * 4 + 2 * 2 * 0.5


def test_a_second_copy_of_the_base_is_in_the_memory_plan_where_a_policy_has_no_adapter(lab: LabContext) -> None:
    plan = plan_of()
    by_adapter, whole = (
        estimates.estimate(lab, training.resolve(lab, replace(plan, method=method))).memory
        for method in ("lora", "full")
    )
    assert by_adapter.models == 0
    assert whole.models == 4 * whole.parameters
    named = replace(plan, method="full", models={"reference": "llama"})
    assert estimates.estimate(lab, training.resolve(lab, named)).memory.models == whole.models
