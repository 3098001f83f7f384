"""The matrix: cells as runs, answers remembered, a refused row that ends nothing else, reading, rating, promoting."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.models import Source
from genai_lab.services import datasets, evaluation, jobs, lineage, matrix, models, presets, templates
from genai_lab.services.evaluation import MetricSpec
from genai_lab.services.jobs.handlers.matrix import MatrixHandler
from genai_lab.services.matrix import estimating, promoting, reading, thumbs
from genai_lab.services.matrix.estimating import Estimating, estimate
from storage import jobs as job_queries
from storage.tables import Job, Run
from tests.tiny import random_model
from tests.waiting import until

ROWS = 12
LONG = 5


class Kept:
    """A report in memory; `earlier` holds the records of an attempt before."""

    def __init__(self, earlier: list[dict[str, Any]] | None = None) -> None:
        self.records: list[dict[str, Any]] = []
        self.before = earlier or []
        self.folder = Path()

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        self.last = (done, total, message)

    def metric(self, name: str, step: int, value: float) -> None:
        return

    def record(self, item: dict[str, Any]) -> None:
        self.records.append(item)

    def earlier(self) -> Iterator[dict[str, Any]]:
        yield from self.before


@pytest.fixture(scope="module")
def reviews(lab: LabContext) -> str:
    """Rows with labels in two splits; test row LONG does not fit the context of the tiny model."""
    rows = [
        {"text": f"{split} review {n}", "sentiment": "good" if n % 2 else "bad", "split": split}
        for split in ("train", "test")
        for n in range(ROWS)
    ]
    rows[ROWS + LONG]["text"] = "long " * 600
    plan = SplitPlan(by="column", column="split")
    roles = {"input": ["text"], "label": ["sentiment"]}
    return datasets.import_rows(lab, rows, "matrix-reviews", {"kind": "test"}, mapping=roles, split=plan).name


def plan(reviews: str, **options: Any) -> matrix.MatrixPlan:
    fields: dict[str, Any] = {
        "dataset": reviews,
        "models": ("tiny",),
        "templates": ("classify-review",),
        "shots": (0, 2),
        "samplings": (Sampling(greedy=True, max_new_tokens=4),),
        "rows": ROWS,
    }
    return matrix.MatrixPlan(**fields | options)


def worked(lab: LabContext, started_matrix: matrix.StartedMatrix, earlier: list[dict[str, Any]] | None = None) -> Kept:
    """The job's body and what the app does with its records, in this process."""
    report, settings = Kept(earlier), jobs.show(lab, started_matrix.job_id).settings
    result = MatrixHandler().run(lab, settings, report)
    with lab.database.session() as session:
        job = session.get_one(Job, started_matrix.job_id)
        MatrixHandler().ingest(session, job, [*(earlier or []), *report.records])
        job.result = result
        MatrixHandler().complete(session, job, result)
        job_queries.end_run(session, started_matrix.run_id, "finished", None)
        job_queries.end_job(session, job, "finished", "finished", None, None, result)
    return report


def texts(lab: LabContext, cell: int, view: matrix.MatrixView) -> dict[int, str]:
    return {prediction.example: prediction.text for prediction in reading.predictions(lab, view, cell, None)}


@pytest.fixture(scope="module")
def finished_matrix(lab: LabContext, reviews: str) -> matrix.MatrixView:
    started_matrix = matrix.start(lab, plan(reviews, use_cache=False))
    worked(lab, started_matrix)
    return matrix.show(lab, started_matrix.run_id)


def test_every_combination_is_one_cell() -> None:
    wide = plan("any", shots=(0, 1, 4), selectors=("random", "first"), seeds=(1, 2), samplings=(Sampling(greedy=True),))
    cells = wide.cells()
    # Without shots neither their choice nor a seed changes greedy text.
    assert len(cells) == 1 + 2 * 2 * 2 == len(set(cells))
    assert matrix.MatrixPlan.from_dict(wide.as_dict()) == wide


def test_a_cell_holds_every_row_with_scores_intervals_and_what_it_read(
    lab: LabContext, finished_matrix: matrix.MatrixView
) -> None:
    assert (finished_matrix.status, finished_matrix.rows, [cell.k for cell in finished_matrix.cells]) == (
        "finished",
        ROWS,
        [0, 2],
    )
    for cell in finished_matrix.cells:
        assert cell.system.n == ROWS
        assert cell.system.template == "classify-review@1"
        [exact] = [score for score in cell.scores if score.metric == "exact_match"][:1]
        assert exact.n == ROWS
        assert exact.low is not None
        assert exact.high is not None
        assert exact.low <= (exact.value or 0.0) <= exact.high
    predictions = reading.predictions(lab, finished_matrix, finished_matrix.cells[1].system.id, None)
    assert all(key < ROWS for item in predictions for key in item.shots), "shots come from the rows of train"
    assert {len(item.shots) for item in predictions if item.error is None} == {2}


def test_a_row_that_the_model_refuses_ends_nothing_else(lab: LabContext, finished_matrix: matrix.MatrixView) -> None:
    predictions = reading.predictions(
        lab, finished_matrix, finished_matrix.cells[0].system.id, reading.figures(finished_matrix)[0]
    )
    failed = [item for item in predictions if item.error]
    assert [item.example for item in failed] == [ROWS + LONG]
    assert "context" in (failed[0].error or "")
    assert len((failed[0].error or "").splitlines()) == 1
    assert all(item.text for item in predictions if not item.error)


def test_shots_that_do_not_fit_are_left_out_and_told(lab: LabContext, reviews: str) -> None:
    started_matrix = matrix.start(lab, plan(reviews, shots=(11,), use_cache=False))
    worked(lab, started_matrix)
    notes = matrix.fewer_shots(matrix.show(lab, started_matrix.run_id).cells[0])
    assert notes
    assert all(note.endswith("rows") and "of 11 shots fit" in note for note in notes)


def test_a_second_run_costs_nothing_and_says_so(lab: LabContext, reviews: str) -> None:
    expected = plan(reviews, shots=(1,), rows=6, sample_seed=3)
    first = matrix.start(lab, expected)
    worked(lab, first)
    again = matrix.rerun(lab, first.run_id)
    worked(lab, again)
    first_result, two = matrix.show(lab, first.run_id), matrix.show(lab, again.run_id)
    assert matrix.count_remembered(first_result) == ""
    errors = sum(row.error is not None for row in reading.predictions(lab, two, again.cells[0], None))
    assert two.cells[0].cached == 6 - errors
    assert "remembered" in matrix.count_remembered(two)
    assert texts(lab, again.cells[0], two) == texts(lab, first.cells[0], first_result)


def test_a_rerun_loads_each_model_in_the_dtype_of_then(
    lab: LabContext, reviews: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "options", replace(lab.options, dtype="auto"))
    models.choose_dtype(lab, "tiny", "bfloat16")
    first = matrix.start(lab, plan(reviews, shots=(0,)))
    models.choose_dtype(lab, "tiny", "float32")
    again, fresh = matrix.rerun(lab, first.run_id), matrix.start(lab, plan(reviews, shots=(0,)))
    models.choose_dtype(lab, "tiny", "auto")
    with lab.database.reading() as session:
        recorded = [session.get_one(Run, started.cells[0]) for started in (first, again, fresh)]
    assert [run.dtype for run in recorded] == ["bfloat16", "bfloat16", "float32"]
    assert {run.device for run in recorded} == {"cpu"}
    for started in (first, again, fresh):
        matrix.cancel(lab, started.run_id)


def test_a_model_that_does_not_load_fails_its_own_cells_only(lab: LabContext, reviews: str) -> None:
    broken = random_model(lab.config.model_roots[0] / "broken")
    models.add(lab, "broken", Source("local", str(broken)))
    started_matrix = matrix.start(lab, plan(reviews, models=("broken", "tiny"), shots=(0,), use_cache=False))
    (broken / "model.safetensors").unlink()
    result = worked(lab, started_matrix)
    view = matrix.show(lab, started_matrix.run_id)
    bad, good = view.cells
    assert (bad.system.status, good.system.status) == ("failed", "finished")
    assert bad.error
    assert good.scores
    assert view.error == "1 of 2 cells failed; the others stand."
    assert [item for item in result.records if "failed" in item]
    alone = matrix.start(lab, plan(reviews, models=("broken",), shots=(0,)))
    with pytest.raises(LabError, match="broken"):
        worked(lab, alone)


def test_a_killed_job_goes_on_and_ends_with_the_same_texts(
    lab: LabContext, reviews: str, finished_matrix: matrix.MatrixView
) -> None:
    started_matrix = matrix.start(lab, plan(reviews, use_cache=False))
    uninterrupted = Kept()
    MatrixHandler().run(lab, jobs.show(lab, started_matrix.job_id).settings, uninterrupted)
    half = uninterrupted.records[:7]
    resumed = worked(lab, started_matrix, half)
    view = matrix.show(lab, started_matrix.run_id)
    assert len([record for record in resumed.records if "generation" in record]) == 2 * ROWS - 7
    for cell, other in zip(view.cells, finished_matrix.cells, strict=True):
        assert texts(lab, cell.system.id, view) == texts(lab, other.system.id, finished_matrix)


def test_filters_thumbs_and_comments(lab: LabContext, finished_matrix: matrix.MatrixView) -> None:
    first, second = (cell.system.id for cell in finished_matrix.cells)
    key = reading.figures(finished_matrix)[0]
    every = reading.predictions(lab, finished_matrix, first, key, other=second)
    different = reading.predictions(lab, finished_matrix, first, key, other=second, kind="different")
    assert {item.example for item in different} == {
        item.example for item in every if item.text.strip() != (item.other or ("",))[0].strip()
    }
    longest = reading.predictions(lab, finished_matrix, first, key, kind="longest")
    tokens = [row.completions[0].completion_tokens for row in every]
    assert longest[0].completions[0].completion_tokens == max(tokens)
    assert all(
        prediction.error or prediction.value == 0
        for prediction in reading.predictions(lab, finished_matrix, first, key, kind="failures")
    )
    reading.rate(lab, every[2].generation, thumb=1)
    reading.rate(lab, every[2].generation, comment="<b>fine</b>")
    [rated] = reading.predictions(lab, finished_matrix, first, key, kind="rated")
    mark = rated.completions[0]
    assert (rated.example, mark.thumb, mark.comment) == (every[2].example, 1, "<b>fine</b>")
    with pytest.raises(LabError, match="no prediction"):
        reading.rate(lab, 10**9, thumb=1)
    with pytest.raises(LabError, match="Cell 1000000 is not in matrix"):
        reading.predictions(lab, finished_matrix, 10**6, key)


def test_thumbs_become_a_dataset_of_labels_that_leads_back_to_its_matrix(lab: LabContext, reviews: str) -> None:
    started_matrix = matrix.start(lab, plan(reviews))
    worked(lab, started_matrix)
    view = matrix.show(lab, started_matrix.run_id)
    with pytest.raises(LabError, match="has a thumb yet; press Good or Bad"):
        thumbs.to_dataset(lab, view.id)
    zero, two = (reading.predictions(lab, view, cell.system.id, None) for cell in view.cells)
    for prediction, thumb in ((zero[0], 1), (zero[1], -1), (two[0], -1), (two[2], 0)):
        reading.rate(lab, prediction.generation, thumb=thumb, comment="read")
    failed = next(prediction for prediction in zero if prediction.error)
    reading.rate(lab, failed.generation, thumb=-1)
    version = thumbs.to_dataset(lab, view.id)
    rows = datasets.page(lab, version.id, 0, 10)
    assert [(row["prompt"], row["completion"], row["label"]) for row in rows] == [
        (zero[0].prompt, zero[0].text, True),
        (zero[1].prompt, zero[1].text, False),
        (two[0].prompt, two[0].text, False),
    ]
    assert version.roles == {"input": ("prompt",), "reference": ("completion",), "label": ("label",)}
    assert thumbs.to_dataset(lab, view.id).name == version.name
    walk = lineage.walk_dataset(lab, version.name)
    assert f"run {view.id}" in walk.nodes


def test_a_promoted_cell_is_the_default_prompt_and_a_preset(
    lab: LabContext, finished_matrix: matrix.MatrixView
) -> None:
    promoted = promoting.promote(lab, finished_matrix.id, finished_matrix.cells[0].system.id)
    assert templates.show(lab, "classify-review@default").name == promoted.template == "classify-review@1"
    assert presets.presets(lab)[promoted.preset].sampling == Sampling(greedy=True, max_new_tokens=4)
    started = evaluation.run_cells(lab, finished_matrix.id, [cell.system.id for cell in finished_matrix.cells])
    assert jobs.show(lab, started.job_id).kind == "evaluate"


def test_the_cost_is_told_before(lab: LabContext, reviews: str) -> None:
    estimated = estimate(lab, plan(reviews))
    assert (estimated.cells, estimated.rows, estimated.requests) == (2, ROWS, 2 * ROWS)
    assert estimated.prompt_tokens is not None
    assert estimated.minutes is not None
    assert estimated.sentence.startswith(f"2 cells x {ROWS} rows = {2 * ROWS} requests, about ")
    assert any(word in estimated.source for word in ("earlier runs", "measured now"))


def test_requests_are_counted_at_once_and_the_rest_can_be_stopped(
    lab: LabContext, reviews: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def slow(*args: Any, **options: Any) -> Iterator[Any]:
        go.wait(60)
        yield from ()

    monkeypatch.setattr(estimating, "completions", slow)
    monkeypatch.setattr(estimating.queries, "speed", lambda *args: None)
    background = Estimating(lab, plan(reviews))
    assert background.latest.sentence.startswith(f"2 cells x {ROWS} rows = {2 * ROWS} requests")
    until(lambda: "tokens to read; timing" in background.latest.sentence)
    assert not background.done
    background.stop()
    assert background.done
    assert background.wait(0).sentence.endswith("tokens to read; stopped before the time was known.")
    go.set()


def test_an_estimate_in_the_background_ends_with_the_same_figures(lab: LabContext, reviews: str) -> None:
    estimating = Estimating(lab, plan(reviews))
    until(lambda: estimating.done)
    estimated = estimate(lab, plan(reviews))
    assert estimating.latest.pending == ""
    assert (estimating.latest.requests, estimating.latest.prompt_tokens) == (
        estimated.requests,
        estimated.prompt_tokens,
    )
    assert estimating.problem is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": ()}, "has no models"),
        ({"models": ("nobody",)}, "no model called 'nobody'"),
        ({"dataset": "nothing"}, "no dataset 'nothing'"),
        ({"templates": ("none",)}, "no template called 'none'"),
        ({"rows": 0}, "Rows is 0"),
        ({"split": "validation"}, "has no rows for validation"),
        ({"split": "train"}, "choose another split for the shots"),
        ({"metrics": (MetricSpec("nothing"),)}, "nothing"),
        ({"seeds": tuple(range(300)), "samplings": (Sampling(),)}, "at most 200"),
        ({"rendering": "shouted"}, "shouted"),
        ({"selectors": ("none",)}, "none"),
        ({"shots": (-1,)}, "-1"),
    ],
)
def test_what_cannot_run_is_one_sentence_and_leaves_nothing(
    lab: LabContext, reviews: str, options: dict[str, Any], message: str
) -> None:
    before = len(matrix.find(lab, 1000))
    with pytest.raises(LabError, match=message) as problem:
        matrix.start(lab, plan(reviews, **options))
    assert len(str(problem.value).splitlines()) == 1
    assert len(matrix.find(lab, 1000)) == before
