"""The matrix: cells as runs, answers remembered, a refused row that ends nothing else, reading, rating, promoting."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.models import Source
from genai_lab.services import datasets, evaluation, jobs, matrix, models, presets, templates
from genai_lab.services.evaluation import MetricSpec
from genai_lab.services.jobs.handlers.matrix import MatrixHandler
from genai_lab.services.matrix import estimating, promoting, reading
from genai_lab.services.matrix.estimating import Estimating, estimate
from storage import jobs as job_queries
from storage.tables import Job
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


def plan(reviews: str, **more: Any) -> matrix.MatrixPlan:
    fields: dict[str, Any] = {
        "dataset": reviews,
        "models": ("tiny",),
        "templates": ("classify-review",),
        "shots": (0, 2),
        "samplings": (Sampling(greedy=True, max_new_tokens=4),),
        "rows": ROWS,
    }
    return matrix.MatrixPlan(**fields | more)


def worked(lab: LabContext, begun: matrix.StartedMatrix, earlier: list[dict[str, Any]] | None = None) -> Kept:
    """The job's body and what the app does with its records, in this process."""
    report, settings = Kept(earlier), jobs.show(lab, begun.job_id).settings
    result = MatrixHandler().run(lab, settings, report)
    with lab.database.session() as session:
        job = session.get_one(Job, begun.job_id)
        MatrixHandler().ingest(session, job, [*(earlier or []), *report.records])
        job.result = result
        MatrixHandler().complete(session, job, result)
        job_queries.end_run(session, begun.run_id, "finished", None)
    return report


def texts(lab: LabContext, cell: int, view: matrix.MatrixView) -> dict[int, str]:
    return {one.example: one.text for one in reading.predictions(lab, view, cell, None)}


@pytest.fixture(scope="module")
def done(lab: LabContext, reviews: str) -> matrix.MatrixView:
    begun = matrix.start(lab, plan(reviews, use_cache=False))
    worked(lab, begun)
    return matrix.show(lab, begun.run_id)


def test_every_combination_is_one_cell() -> None:
    wide = plan("any", shots=(0, 1, 4), selectors=("random", "first"), seeds=(1, 2), samplings=(Sampling(greedy=True),))
    cells = wide.cells()
    # Without shots neither their choice nor a seed changes greedy text.
    assert len(cells) == 1 + 2 * 2 * 2 == len(set(cells))
    assert matrix.MatrixPlan.from_dict(wide.as_dict()) == wide


def test_a_cell_holds_every_row_with_scores_intervals_and_what_it_read(
    lab: LabContext, done: matrix.MatrixView
) -> None:
    assert (done.status, done.rows, [cell.k for cell in done.cells]) == ("finished", ROWS, [0, 2])
    for cell in done.cells:
        assert cell.system.n == ROWS
        assert cell.system.template == "classify-review@1"
        [exact] = [one for one in cell.scores if one.metric == "exact_match"][:1]
        assert exact.n == ROWS
        assert exact.low is not None
        assert exact.high is not None
        assert exact.low <= (exact.value or 0.0) <= exact.high
    found = reading.predictions(lab, done, done.cells[1].system.id, None)
    assert all(key < ROWS for one in found for key in one.shots), "shots come from the rows of train"
    assert {len(one.shots) for one in found if one.error is None} == {2}


def test_a_row_that_the_model_refuses_ends_nothing_else(lab: LabContext, done: matrix.MatrixView) -> None:
    found = reading.predictions(lab, done, done.cells[0].system.id, reading.figures(done)[0])
    failed = [one for one in found if one.error]
    assert [one.example for one in failed] == [ROWS + LONG]
    assert "context" in (failed[0].error or "")
    assert len((failed[0].error or "").splitlines()) == 1
    assert all(one.text for one in found if not one.error)


def test_shots_that_do_not_fit_are_left_out_and_told(lab: LabContext, reviews: str) -> None:
    begun = matrix.start(lab, plan(reviews, shots=(11,), use_cache=False))
    worked(lab, begun)
    notes = matrix.fewer_shots(matrix.show(lab, begun.run_id).cells[0])
    assert notes
    assert all(note.endswith("rows") and "of 11 shots fit" in note for note in notes)


def test_a_second_run_costs_nothing_and_says_so(lab: LabContext, reviews: str) -> None:
    wanted = plan(reviews, shots=(1,), rows=6, sample_seed=3)
    first = matrix.start(lab, wanted)
    worked(lab, first)
    again = matrix.rerun(lab, first.run_id)
    worked(lab, again)
    one, two = matrix.show(lab, first.run_id), matrix.show(lab, again.run_id)
    assert matrix.count_remembered(one) == ""
    errors = sum(row.error is not None for row in reading.predictions(lab, two, again.cells[0], None))
    assert two.cells[0].cached == 6 - errors
    assert "remembered" in matrix.count_remembered(two)
    assert texts(lab, again.cells[0], two) == texts(lab, first.cells[0], one)


def test_a_model_that_does_not_load_fails_its_own_cells_only(lab: LabContext, reviews: str) -> None:
    broken = random_model(lab.config.model_roots[0] / "broken")
    models.add(lab, "broken", Source("local", str(broken)))
    begun = matrix.start(lab, plan(reviews, models=("broken", "tiny"), shots=(0,), use_cache=False))
    (broken / "model.safetensors").unlink()
    result = worked(lab, begun)
    view = matrix.show(lab, begun.run_id)
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
    lab: LabContext, reviews: str, done: matrix.MatrixView
) -> None:
    begun = matrix.start(lab, plan(reviews, use_cache=False))
    whole = Kept()
    MatrixHandler().run(lab, jobs.show(lab, begun.job_id).settings, whole)
    half = whole.records[:7]
    rest = worked(lab, begun, half)
    view = matrix.show(lab, begun.run_id)
    assert len([one for one in rest.records if "generation" in one]) == 2 * ROWS - 7
    for cell, other in zip(view.cells, done.cells, strict=True):
        assert texts(lab, cell.system.id, view) == texts(lab, other.system.id, done)


def test_filters_thumbs_and_comments(lab: LabContext, done: matrix.MatrixView) -> None:
    first, second = (cell.system.id for cell in done.cells)
    key = reading.figures(done)[0]
    every = reading.predictions(lab, done, first, key, other=second)
    different = reading.predictions(lab, done, first, key, other=second, kind="different")
    assert {one.example for one in different} == {
        one.example for one in every if one.text.strip() != (one.other or ("",))[0].strip()
    }
    longest = reading.predictions(lab, done, first, key, kind="longest")
    tokens = [row.completions[0].completion_tokens for row in every]
    assert longest[0].completions[0].completion_tokens == max(tokens)
    assert all(one.error or one.value == 0 for one in reading.predictions(lab, done, first, key, kind="failures"))
    reading.rate(lab, every[2].generation, thumb=1)
    reading.rate(lab, every[2].generation, comment="<b>fine</b>")
    [rated] = reading.predictions(lab, done, first, key, kind="rated")
    mark = rated.completions[0]
    assert (rated.example, mark.thumb, mark.comment) == (every[2].example, 1, "<b>fine</b>")
    with pytest.raises(LabError, match="no prediction"):
        reading.rate(lab, 10**9, thumb=1)
    with pytest.raises(LabError, match="Cell 1000000 is not in matrix"):
        reading.predictions(lab, done, 10**6, key)


def test_a_promoted_cell_is_the_default_prompt_and_a_preset(lab: LabContext, done: matrix.MatrixView) -> None:
    made = promoting.promote(lab, done.id, done.cells[0].system.id)
    assert templates.show(lab, "classify-review@default").name == made.template == "classify-review@1"
    assert presets.presets(lab)[made.preset].sampling == Sampling(greedy=True, max_new_tokens=4)
    begun = evaluation.run_cells(lab, done.id, [cell.system.id for cell in done.cells])
    assert jobs.show(lab, begun.job_id).kind == "evaluate"


def test_the_cost_is_told_before(lab: LabContext, reviews: str) -> None:
    found = estimate(lab, plan(reviews))
    assert (found.cells, found.rows, found.requests) == (2, ROWS, 2 * ROWS)
    assert found.prompt_tokens is not None
    assert found.minutes is not None
    assert found.sentence.startswith(f"2 cells x {ROWS} rows = {2 * ROWS} requests, about ")
    assert any(word in found.source for word in ("earlier runs", "measured now"))


def test_requests_are_counted_at_once_and_the_rest_can_be_stopped(
    lab: LabContext, reviews: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def slow(*args: Any, **more: Any) -> Iterator[Any]:
        go.wait(60)
        yield from ()

    monkeypatch.setattr(estimating, "completions", slow)
    monkeypatch.setattr(estimating.queries, "speed", lambda *args: None)
    begun = Estimating(lab, plan(reviews))
    assert begun.latest.sentence.startswith(f"2 cells x {ROWS} rows = {2 * ROWS} requests")
    until(lambda: "tokens to read; timing" in begun.latest.sentence)
    assert not begun.done
    begun.stop()
    assert begun.done
    assert begun.wait(0).sentence.endswith("tokens to read; stopped before the time was known.")
    go.set()


def test_an_estimate_in_the_background_ends_with_the_same_figures(lab: LabContext, reviews: str) -> None:
    begun = Estimating(lab, plan(reviews))
    until(lambda: begun.done)
    found = estimate(lab, plan(reviews))
    assert begun.latest.pending == ""
    assert (begun.latest.requests, begun.latest.prompt_tokens) == (found.requests, found.prompt_tokens)
    assert begun.problem is None


@pytest.mark.parametrize(
    ("more", "said"),
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
    lab: LabContext, reviews: str, more: dict[str, Any], said: str
) -> None:
    before = len(matrix.find(lab, 1000))
    with pytest.raises(LabError, match=said) as problem:
        matrix.start(lab, plan(reviews, **more))
    assert len(str(problem.value).splitlines()) == 1
    assert len(matrix.find(lab, 1000)) == before
