"""Studies: sweeps, bake-offs, shots against tuning, forgetting and gates, queued whole and read side by side."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.services import evaluation, jobs, training
from genai_lab.services.training import plan_diff, studies, study_results, sweep_plans
from genai_lab.services.training.studies import Held
from genai_lab.training import DatasetSpec, Training, TrainingPlan

Done = Callable[[int], Any]
PAIRS = DatasetSpec("pairs", ("plain", "answer-question"))
TRAINING = Training(
    max_steps=4, per_device_batch_size=4, max_length=64, max_target_length=24, seed=3, validation_rows=6, eval_steps=2
)
LORA = TrainingPlan("t5", (PAIRS,), method="lora", training=TRAINING)
GREEDY = Sampling(greedy=True, max_new_tokens=6)


def test_an_old_run_and_a_new_one_differ_by_present_names_alone(lab: LabContext) -> None:
    view = studies.show(lab, studies.sweep(lab, LORA, {"training.seed": [1]})).runs[0]
    old, new, other = (
        replace(view, plan=replace(LORA, objective="dpo", objective_settings=settings))
        for settings in ({"loss": "sigmoid", "beta": 0.1}, {}, {"loss_type": "hinge"})
    )
    assert plan_diff.differences([old, new]) == []
    assert plan_diff.differences([old, other]) == [("objective_settings loss_type", ["sigmoid", "hinge"])]
    training.cancel(lab, view.id)


def test_a_sweep_changes_what_it_names_and_nothing_else(lab: LabContext) -> None:
    study = studies.sweep(lab, LORA, {"training.learning_rate": [1e-3, 1e-2], "method_settings.rank": [2, 4]})
    view = studies.show(lab, study)
    assert len(view.runs) == 4
    names = {name for name, _ in plan_diff.differences(view.runs)}
    assert names == {"training learning_rate", "method_settings rank"}
    for run in view.runs:
        training.cancel(lab, run.id)
    with pytest.raises(LabError, match=r"must be one such as training.learning_rate"):
        studies.sweep(lab, LORA, {"training.colour": [1]})
    sampled = studies.show(lab, studies.sweep(lab, LORA, {"training.seed": list(range(9))}, draws=2))
    assert len(sampled.runs) == 2
    for run in sampled.runs:
        training.cancel(lab, run.id)


def test_a_sweep_is_counted_and_drawn_without_making_it_whole(lab: LabContext) -> None:
    values = {f"method_settings.s{n}": list(range(100)) for n in range(12)}
    sampled = studies.combinations(values, 5, seed=1)
    assert len({repr(item) for item in sampled}) == 5
    assert all(list(item) == list(values) for item in sampled)
    assert studies.combinations({"a": [1, 2], "b": ["x", "y"]}, 0, 0)[1] == {"a": 1, "b": "y"}
    with pytest.raises(LabError, match="The sweep has 1,000,000,000,000,000,000,000,000 runs; at most 24"):
        studies.sweep(lab, LORA, values)
    with pytest.raises(LabError, match="Draws is -1"):
        studies.sweep(lab, LORA, {"training.seed": [1, 2]}, draws=-1)


CLASSES = TrainingPlan("roberta", (DatasetSpec("pairs", ("plain",)),), "classification", "full", training=TRAINING)
REFUSED: dict[str, tuple[Callable[[LabContext], int], str]] = {
    "a run too large": (lambda lab: studies.sweep(lab, LORA, {"training.per_device_batch_size": [4, 8]}), "of memory"),
    "no such split": (lambda lab: studies.bake_off(lab, LORA, ["lora"], Held(split="holdout")), "no rows for holdout"),
    "no rows": (lambda lab: studies.bake_off(lab, LORA, ["lora"], Held(rows=0)), "Rows is 0"),
    "no tokens": (lambda lab: studies.bake_off(lab, LORA, ["lora"], Held(max_new_tokens=0)), "Max new tokens is 0"),
    "no metric": (lambda lab: studies.bake_off(lab, LORA, ["lora"], Held(metrics=())), "No metric is chosen"),
    "a classifier": (lambda lab: studies.bake_off(lab, CLASSES, ["full"], Held()), "makes no model that writes"),
    "shots": (
        lambda lab: studies.shots_against_tuning(lab, LORA, [0, 1], ["lora"], Held(split="train")), "both come from"
    ),
    "no such suite": (lambda lab: studies.forgetting(lab, "t5", ["llama"], ["nothing"]), "no suite 'nothing'"),
    "no evaluation": (lambda lab: studies.start_gated(lab, LORA, [999999]).run_id, "no evaluation 999999"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_study_that_cannot_work_as_a_whole_begins_nothing(
    lab: LabContext, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genai_lab.services.training import estimates

    if case == "a run too large":
        sizes = iter([10**12])
        monkeypatch.setattr(estimates, "machine_memory", lambda: next(sizes, 1000))
    begin, message = REFUSED[case]
    before = jobs.find(lab)[1], len(training.find(lab)), studies.find(lab)
    with pytest.raises(LabError, match=message) as caught:
        begin(lab)
    assert "\n" not in str(caught.value)
    assert (jobs.find(lab)[1], len(training.find(lab)), studies.find(lab)) == before


def test_what_a_study_has_queued_is_cancelled_where_it_cannot_go_on(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise LabError("the disk is full")

    existing, before = {job.id for job in jobs.find(lab)[0]}, studies.find(lab)
    monkeypatch.setattr(evaluation, "run_models", full)
    with pytest.raises(LabError, match="the disk is full"):
        studies.bake_off(lab, LORA, ["lora"], Held(rows=12, max_new_tokens=6))
    fresh = [job for job in jobs.find(lab)[0] if job.id not in existing]
    assert len(fresh) == 1
    assert all(item.message == "Cancelling" for item in fresh)
    assert studies.find(lab) == before


def queued(lab: LabContext) -> list[int]:
    return sorted(view.id for view in jobs.find(lab, status="queued")[0])


def test_a_bake_off_measures_every_method_on_the_same_rows(lab: LabContext, finish_job: Done) -> None:
    for job in queued(lab):
        jobs.cancel(lab, job)
    before = set(queued(lab))
    study = studies.bake_off(lab, LORA, ["full", "lora"], Held(rows=12, max_new_tokens=6))
    mine = [job for job in queued(lab) if job not in before]
    waiting = jobs.show(lab, mine[2])
    assert waiting.after == mine[:2]
    for job in mine:
        finish_job(job)
    view = studies.show(lab, study)
    lines = study_results.lines(lab, view)
    assert lines[0].model == "t5"
    assert [bool(line.run) for line in lines] == [False, True, True]
    assert all(line.n == 12 and line.low is not None for line in lines)
    assert [line.baseline for line in lines] == [False, True, False]
    assert lines[2].compared is not None
    assert evaluation.show(lab, view.evaluations["held out"]).status == "finished"


def test_what_was_forgotten_and_a_gate_are_evaluations_that_run_again(lab: LabContext, finish_job: Done) -> None:
    from genai_lab.services import matrix
    from genai_lab.services.evaluation import MetricSpec

    for job in queued(lab):
        jobs.cancel(lab, job)
    choices = (MetricSpec("rouge", {"lsum": False}),)
    plan = matrix.MatrixPlan("pairs", ("t5",), ("plain",), samplings=(GREEDY,), rows=10, metrics=choices)
    cells = matrix.start(lab, plan)
    finish_job(cells.job_id)
    saved = evaluation.start(lab, cells.cells, choices)
    finish_job(saved.job_id)
    started_run = training.start(lab, LORA, name="gated")
    study = studies.gate(lab, [saved.run_id], "t5", "gated")
    with pytest.raises(LabError, match="has no system of llama"):
        studies.gate(lab, [saved.run_id], "llama", "gated")
    for job in [started_run.job_id, *(job for job in queued(lab) if job > started_run.job_id)]:
        finish_job(job)
    changes = study_results.changes(lab, studies.show(lab, study))
    assert [item.figure for item in changes] == ["ROUGE-1 F1", "ROUGE-2 F1", "ROUGE-L F1"]
    assert [item.main for item in changes] == [False, False, True]
    assert all(item.compared is not None and item.compared.comparison.n == 10 for item in changes)
    assert all(item.before is not None for item in changes)


def change(suite: str, model: str, figure: str = "ROUGE-L", main: bool = True, verdict: str = "worse") -> Any:
    """A change of -0.2 as a test has found it."""
    from genai_lab.evaluation.statistics import Comparison
    from genai_lab.services.evaluation.comparing import BaselineComparison

    result = BaselineComparison(1, model, Comparison(-0.2, -0.3, -0.1, 0.01, 0.01, 1.0, 10, None), 0.01, verdict)
    return study_results.Change(suite, model, figure, main, 0.5, 0.3, result, -0.2, 0.01, verdict)


def test_what_got_worse_is_named_figure_by_figure() -> None:
    result = [change("qa", "tuned"), change("qa", "tuned", "ROUGE-1", False, "better"), change("chat", "tuned", "BLEU")]
    message = study_results.got_worse(result, "suites")
    assert message == "2 of 3 figures of 2 suites got worse: ROUGE-L of tuned on qa, BLEU of tuned on chat."
    stored = [replace(item, verdict="no significant difference") for item in result]
    assert study_results.got_worse(stored, "suites").startswith("No test found a significant loss")
    assert "Nothing measured yet" in study_results.got_worse([replace(result[0], compared=None)], "suites")


def test_what_was_forgotten_is_a_matrix_of_suites_by_models_grouped_by_how_they_were_tuned(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pages.finetune import study_tables

    kinds = {"small": "PEFT", "many": "multi-task", "one": "single-task"}
    monkeypatch.setattr(study_results, "tuned_how", lambda lab, name: kinds[name])
    result = [change("qa", "small"), change("qa", "many"), change("qa", "one"), change("chat", "one")]
    matrix_of_changes = study_results.find_forgotten(lab, [*result, change("qa", "one", "ROUGE-1", main=False)])
    assert matrix_of_changes.columns == (("single-task", "one"), ("multi-task", "many"), ("PEFT", "small"))
    assert [(suite, [item and item.model for item in row]) for suite, _, row in matrix_of_changes.rows] == [
        ("qa", ["one", "many", "small"]), ("chat", ["one", None, None]),
    ]  # fmt: skip
    chart = study_tables._matrix(matrix_of_changes)
    assert chart.count('class="change fell"') == 4
    assert "<b>-0.200</b> <small>(-0.300 to -0.100)</small>" in chart


def test_a_model_is_known_by_how_it_was_tuned(lab: LabContext) -> None:
    several = replace(LORA, method="full", data=(PAIRS, PAIRS))
    started_run = [training.start(lab, item) for item in (LORA, replace(LORA, method="full"), several)]
    assert [study_results.tuned_how(lab, item.model) for item in started_run] == ["PEFT", "single-task", "multi-task"]
    assert study_results.tuned_how(lab, "t5") == "other"
    for entry in started_run:
        training.cancel(lab, entry.run_id)


def test_forgetting_runs_a_suite_behind_the_runs_that_make_its_models(
    lab: LabContext, finish_job: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genai_lab.services.evaluation import MetricSpec, suites

    for job in queued(lab):
        jobs.cancel(lab, job)
    before = set(queued(lab))
    metrics = (MetricSpec("token_f1"), MetricSpec("length_ratio"))
    small = suites.Suite("small", "", {"name": "pairs", "rows": 6}, "plain", metrics, {}, GREEDY)
    monkeypatch.setattr(suites, "show", lambda name: small)
    started_run = training.start(lab, LORA, name="forgetful")
    study = studies.forgetting(lab, "t5", ["forgetful"], ["small"])
    mine = [job for job in queued(lab) if job not in before]
    assert jobs.show(lab, mine[1]).after == [started_run.job_id]
    [waiting] = study_results.changes(lab, studies.show(lab, study))
    assert (waiting.compared, waiting.verdict) == (None, "running")
    for job in mine:
        finish_job(job)
    [measured] = study_results.changes(lab, studies.show(lab, study))
    assert (measured.figure, measured.main) == ("token F1", True)
    assert measured.compared is not None
    assert study_results.find_forgotten(lab, [measured]).columns == (("PEFT", "forgetful"),)


def test_shots_are_set_against_tuning_with_their_costs(lab: LabContext, finish_job: Done) -> None:
    from pages.finetune import charts

    for job in queued(lab):
        jobs.cancel(lab, job)
    before = set(queued(lab))
    study = studies.shots_against_tuning(lab, LORA, [0, 2], ["lora"], Held(rows=6, max_new_tokens=4))
    for job in [job for job in queued(lab) if job not in before]:
        finish_job(job)
    lines = study_results.lines(lab, studies.show(lab, study))
    assert [(line.model == "t5", bool(line.run)) for line in lines] == [(True, False), (True, False), (False, True)]
    tokens = [line.prompt_tokens or 0 for line in lines]
    assert tokens[1] > 2 * tokens[0]
    chart = charts.scores(lines, "rouge", costs=True)
    assert [list(row.x) for row in chart.data][1:] == [tokens, [line.seconds for line in lines]]
    assert len(charts.scores(lines, "rouge").data) == 1


def test_a_sweep_reads_old_names_of_settings() -> None:
    plan = TrainingPlan(
        "llama", (DatasetSpec("votes"),), "dpo", "p_tuning", {"tokens": 8}, {"loss": "robust", "smoothing": 0.1}
    )
    values = {"training.batch": 4, "objective_settings.label_smoothing": 0.2, "method_settings.tokens": 16}
    changed = sweep_plans.with_values(plan, values)
    assert changed.training.per_device_batch_size == 4
    assert changed.objective_settings == {"loss_type": "robust", "label_smoothing": 0.2}
    assert changed.method_settings == {"num_virtual_tokens": 16}
    assert sweep_plans.with_values(plan, {"method": "lora"}).method == "lora"
