"""Models on a dataset: the matrix and its evaluation are queued together or not at all."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.decoding import Sampling
from genai_lab.errors import DuplicateName, LabError
from genai_lab.feedback import CampaignPlan
from genai_lab.metrics import MetricSpec
from genai_lab.services import datasets, evaluation, jobs, matrix
from genai_lab.services.evaluation import suites
from genai_lab.services.feedback import fresh
from pages.evaluate import new
from storage.tables import Generation, Job, Run

SEVEN = 7


@pytest.fixture(scope="module")
def reviews(lab: LabContext) -> str:
    rows = [{"text": f"review {number}", "sentiment": "good" if number % 2 else "bad"} for number in range(8)]
    roles = {"input": ["text"], "label": ["sentiment"]}
    split = SplitPlan(only="test")
    return datasets.import_rows(lab, rows, "run-models", {"kind": "test"}, mapping=roles, split=split).name


def plan(dataset: str, **settings: Any) -> matrix.MatrixPlan:
    fields: dict[str, Any] = {
        "dataset": dataset,
        "models": ("tiny",),
        "templates": ("classify-review",),
        "samplings": (Sampling(greedy=True, max_new_tokens=4),),
        "rows": 4,
    }
    return matrix.MatrixPlan(**fields | settings)


def counts(lab: LabContext) -> tuple[int, ...]:
    with lab.database.reading() as session:
        return tuple(session.scalar(select(func.count()).select_from(table)) or 0 for table in (Run, Job, Generation))


def test_the_evaluation_waits_for_its_matrix(lab: LabContext, reviews: str) -> None:
    queued = evaluation.run_models(
        lab, plan(reviews, metrics=(MetricSpec("exact_match"), MetricSpec("token_f1"))), title="two"
    )
    job, view = jobs.show(lab, queued.job_id), evaluation.show(lab, queued.run_id)
    assert job.depends_on_id == queued.matrix.job_id
    assert [system.id for system in view.systems] == list(queued.matrix.cells)
    assert (view.title, view.baseline) == ("two", queued.matrix.cells[0])
    assert [choice.metric for choice in view.choices] == ["exact_match", "token_f1"]


def too_many_models(lab: LabContext, dataset: str) -> None:
    evaluation.run_models(lab, plan(dataset, seeds=tuple(range(SEVEN)), samplings=(Sampling(max_new_tokens=4),)))


def no_metric(lab: LabContext, dataset: str) -> None:
    evaluation.run_models(lab, plan(dataset, metrics=()))


def an_unknown_baseline(lab: LabContext, dataset: str) -> None:
    evaluation.run_models(lab, plan(dataset), baseline=10**6)


def the_page_without_a_metric(lab: LabContext, dataset: str) -> None:
    fields = {"models": ["tiny"], "dataset": dataset, "template": "classify-review", "split": "test", "rows": 4}
    fields |= {"shots": 0, "max_new_tokens": 4, "metrics": [], "seed": 0, "num_return_sequences": 1, "temperature": 0}
    new.run_models(lab, {f"models.{name}": value for name, value in fields.items()})


@pytest.mark.parametrize("start", [too_many_models, no_metric, an_unknown_baseline, the_page_without_a_metric])
def test_an_error_leaves_no_job_and_no_run(
    lab: LabContext, reviews: str, start: Callable[[LabContext, str], None]
) -> None:
    before = counts(lab)
    with pytest.raises(LabError):
        start(lab, reviews)
    assert counts(lab) == before


@pytest.mark.parametrize("kind", ["matrix", "evaluate"])
def test_a_failure_half_way_leaves_no_job_and_no_run(
    lab: LabContext, reviews: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    enqueue, before = jobs.enqueue, counts(lab)

    def fail_at(lab: LabContext, name: str, *arguments: Any, **settings: Any) -> int:
        if name == kind:
            raise OSError("the disk is full")
        return enqueue(lab, name, *arguments, **settings)

    monkeypatch.setattr(jobs, "enqueue", fail_at)
    with pytest.raises(OSError, match="disk is full"):
        evaluation.run_models(lab, plan(reviews))
    assert counts(lab) == before


def test_a_suite_with_an_unknown_metric_setting_leaves_nothing(
    lab: LabContext, reviews: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        suites, "suite_plan", lambda *_: plan(reviews, seeds=tuple(range(SEVEN)), samplings=(Sampling(),))
    )
    before = counts(lab)
    with pytest.raises(LabError, match="7 systems are chosen"):
        suites.run(lab, "summary", ["tiny"])
    assert counts(lab) == before


def test_fresh_candidates_with_a_campaign_name_in_use_leave_nothing(lab: LabContext, reviews: str) -> None:
    def start() -> None:
        settings = (Sampling(max_new_tokens=4), Sampling(temperature=0.5, max_new_tokens=4))
        fresh.start(lab, CampaignPlan("run-models"), ["tiny"], dataset=reviews, samplings=settings, rows=2)

    start()
    before = counts(lab)
    with pytest.raises(DuplicateName):
        start()
    assert counts(lab) == before
