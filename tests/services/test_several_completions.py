"""k completions a row through predictions, figures, reading, replay and upload."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from genai_lab.context import LabContext
from genai_lab.data import Example, SplitPlan
from genai_lab.data.readers import text_of
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.metrics import MetricSpec
from genai_lab.services import datasets, evaluation, jobs, matrix
from genai_lab.services.evaluation import EvaluationView, comparing, report, uploads
from genai_lab.services.evaluation import reading as evaluation_reading
from genai_lab.services.matrix import estimating, reading
from genai_lab.services.predictions import SystemView
from genai_lab.services.training import studies
from storage import evaluation as queries
from tests.inline_jobs import run_inline
from tests.services.test_matrix import worked

ROWS, K = 6, 4
WARM = Sampling(temperature=1.0, max_new_tokens=4)


@pytest.fixture(scope="module")
def reviews(lab: LabContext) -> str:
    rows = [{"text": f"review {number}", "sentiment": "good" if number % 2 else "bad"} for number in range(ROWS)]
    roles = {"input": ["text"], "label": ["sentiment"]}
    split = SplitPlan(only="test")
    return datasets.import_rows(lab, rows, "several", {"kind": "test"}, mapping=roles, split=split).name


def plan(dataset: str, **settings: Any) -> matrix.MatrixPlan:
    fields: dict[str, Any] = {
        "dataset": dataset,
        "models": ("tiny",),
        "templates": ("classify-review",),
        "samplings": (WARM,),
        "rows": ROWS,
        "num_return_sequences": K,
        "metrics": (MetricSpec("exact_match"), MetricSpec("diversity"), MetricSpec("pass_at_k", {"k": 2})),
    }
    return matrix.MatrixPlan(**fields | settings)


@pytest.fixture(scope="module")
def several(lab: LabContext, reviews: str) -> matrix.MatrixView:
    started = matrix.start(lab, plan(reviews, use_cache=False))
    worked(lab, started)
    return matrix.show(lab, started.run_id)


def texts(lab: LabContext, view: matrix.MatrixView) -> list[list[str]]:
    [cell] = view.cells
    return [[item.text for item in row.completions] for row in reading.predictions(lab, view, cell.system.id, None)]


def test_every_row_has_its_completions_with_seeds_of_their_own(lab: LabContext, several: matrix.MatrixView) -> None:
    [cell] = several.cells
    assert (cell.system.n, cell.system.rows, cell.system.completions_per_row) == (ROWS * K, ROWS, K)
    with lab.database.reading() as session:
        rows = queries.outputs_by_row(session, cell.system.id)
    assert [[output.sample for output in row] for row in rows] == [list(range(K))] * ROWS
    assert len({output.seed for row in rows for output in row}) == ROWS * K
    assert len({text for row in texts(lab, several) for text in row}) > ROWS


def test_figures_count_rows_and_say_how_many_completions(lab: LabContext, several: matrix.MatrixView) -> None:
    [cell] = several.cells
    scores = {score.figure: score for score in cell.scores}
    assert {score.n for score in scores.values()} <= {*range(ROWS + 1)}
    assert scores["exact_match"].n == ROWS
    assert scores["exact_match"].completions_per_row == (K, K)
    labels = ["good" if row.example % 2 else "bad" for row in reading.predictions(lab, several, cell.system.id, None)]
    hits = [
        [text.strip().lower() == label for text in row] for row, label in zip(texts(lab, several), labels, strict=True)
    ]
    assert scores["exact_match"].per_example == pytest.approx([np.mean(row) for row in hits])


def test_the_same_plan_gives_the_same_completions(lab: LabContext, several: matrix.MatrixView, reviews: str) -> None:
    again = matrix.rerun(lab, several.id)
    worked(lab, again)
    assert texts(lab, matrix.show(lab, again.run_id)) == texts(lab, several)


def test_the_first_completion_is_that_of_one_a_row_and_more_are_remembered(
    lab: LabContext, reviews: str, several: matrix.MatrixView
) -> None:
    single = matrix.start(lab, plan(reviews, num_return_sequences=1, metrics=()))
    worked(lab, single)
    assert [row[0] for row in texts(lab, several)] == [row[0] for row in texts(lab, matrix.show(lab, single.run_id))]
    options = matrix.start(lab, plan(reviews, num_return_sequences=K + 1, metrics=()))
    worked(lab, options)
    view = matrix.show(lab, options.run_id)
    assert view.cells[0].cached >= ROWS
    assert [row[:K] for row in texts(lab, view)] == texts(lab, several)


def test_a_stopped_job_goes_on_with_the_missing_completions(lab: LabContext, several: matrix.MatrixView) -> None:
    from genai_lab.services.jobs.handlers.matrix import MatrixHandler
    from tests.services.test_matrix import Kept

    started = matrix.rerun(lab, several.id)
    uninterrupted = Kept()
    MatrixHandler().run(lab, jobs.show(lab, started.job_id).settings, uninterrupted)
    resumed = worked(lab, started, uninterrupted.records[: ROWS + 1])
    assert sum("generation" in record for record in resumed.records) == ROWS * K - ROWS - 1
    assert texts(lab, matrix.show(lab, started.run_id)) == texts(lab, several)


def test_each_completion_is_rated_by_itself(lab: LabContext, several: matrix.MatrixView) -> None:
    [cell] = several.cells
    row = reading.predictions(lab, several, cell.system.id, None)[1]
    reading.rate(lab, row.completions[2].generation, thumb=1, comment="the third")
    [rated] = reading.predictions(lab, several, cell.system.id, None, kind="rated")
    assert [item.thumb for item in rated.completions] == [0, 0, 1, 0]
    assert rated.completions[2].comment == "the third"


def test_the_estimate_counts_every_completion(lab: LabContext, reviews: str) -> None:
    estimated = estimating.estimate(lab, plan(reviews))
    assert estimated.requests == ROWS * K
    assert estimated.sentence.startswith(f"1 cell x {ROWS} rows x {K} completions = {ROWS * K} requests")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samplings": (Sampling(greedy=True),)}, "greedy decoding gives the same one each time"),
        ({"num_return_sequences": 0}, "from 1 to 64"),
        ({"num_return_sequences": 64, "rows": 20_000}, "more than 100,000"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(reviews: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError, match=message):
        plan(reviews, **settings)


def test_an_old_plan_has_one_completion_a_row(reviews: str) -> None:
    stored = plan(reviews, num_return_sequences=1).as_dict()
    del stored["num_return_sequences"]
    assert matrix.MatrixPlan.from_dict(stored).num_return_sequences == 1


@pytest.fixture(scope="module")
def uploaded(lab: LabContext, tmp_path_factory: pytest.TempPathFactory) -> EvaluationView:
    """Two systems of 20 rows with three completions each: the second is right more often."""
    rng = np.random.default_rng(1)
    rows = [
        {
            "question": f"what is {row}?",
            "answer": f"the answer number {row} is here",
            "poor": [f"the answer number {row} is here" if rng.random() < 0.2 else "no idea" for _ in range(3)],
            "fair": [f"the answer number {row} is here" if rng.random() < 0.7 else "no idea" for _ in range(3)],
        }
        for row in range(20)
    ]
    file = tmp_path_factory.mktemp("files") / "several.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ids = uploads.systems(lab, file, ["poor", "fair"], ["answer"], "question")
    choices = [MetricSpec("exact_match"), MetricSpec("pass_at_k"), MetricSpec("self_consistency"), MetricSpec("bleu")]
    started = evaluation.start(lab, ids, choices, title="uploaded")
    assert run_inline(lab, started.job_id).status == "finished"
    return evaluation.show(lab, started.run_id)


def test_an_uploaded_list_is_several_completions_of_its_row(lab: LabContext, uploaded: EvaluationView) -> None:
    assert [(system.n, system.completions_per_row) for system in uploaded.systems] == [(60, 3), (60, 3)]
    key = next(key for key in uploaded.figures() if key[1] == "exact_match")
    lines = evaluation_reading.lines(lab, uploaded, key, *(system.id for system in uploaded.systems))
    assert [len(texts) for texts in lines[0].completions] == [3, 3]
    for line in lines:
        assert line.values[0] == pytest.approx(np.mean([text.startswith("the answer") for text in line.completions[0]]))


@pytest.mark.parametrize("figure", ["exact_match", "pass_at_k", "majority_vote", "bleu"])
def test_paired_tests_count_rows(lab: LabContext, uploaded: EvaluationView, figure: str) -> None:
    key = next(key for key in uploaded.figures() if key[1] == figure)
    [compared] = comparing.compare(lab, uploaded, key)
    assert compared.comparison.n == 20
    assert compared.comparison.difference > 0


def test_the_report_says_how_many_completions_a_row_has(lab: LabContext, uploaded: EvaluationView) -> None:
    page = report.to_html(lab, uploaded)
    assert "3 per row" in page
    rows = [json.loads(line) for line in report.to_jsonl(uploaded).splitlines()]
    assert {row["completions_per_row"] for row in rows} == {3}
    assert {len(row["per_example"]) for row in rows if row["per_example"]} == {20}


@pytest.mark.parametrize(
    ("settings", "rows"), [({"uploaded": "a.jsonl", "rows": 3}, 3), ({"uploaded": "a.jsonl"}, 1), ({"rows": 100}, 1)]
)
def test_rows_of_an_upload_count_where_some_have_fewer_completions(settings: dict[str, Any], rows: int) -> None:
    moment = datetime.now(UTC)
    view = SystemView(1, "a", None, None, "d@1", 1, settings, "finished", 7, moment, completions_per_row=4)
    assert view.rows == rows


def test_a_gate_asks_for_as_many_completions(lab: LabContext, several: matrix.MatrixView) -> None:
    [cell] = several.cells
    started = evaluation.start(lab, [cell.system.id], [MetricSpec("exact_match")])
    assert run_inline(lab, started.job_id).status == "finished"
    _, again = studies._again(lab, started.run_id, "tiny", "tuned")
    assert (again.models, again.num_return_sequences) == (("tuned",), K)


@pytest.mark.parametrize(
    ("value", "texts"), [(["a", "b"], ["a", "b"]), ([], [""]), ("a", ["a"]), (None, [""]), ([1, None], ["1", ""])]
)
def test_completions_of_an_uploaded_row(value: Any, texts: list[str]) -> None:
    row = Example(0, {"answer": text_of(value)}, values={"answer": value})
    assert uploads._texts(row, "answer") == texts
