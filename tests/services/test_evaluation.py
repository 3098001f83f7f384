"""Systems side by side: from a file of predictions to figures, tests, reading and the report."""

import csv
import json
import re
from pathlib import Path

import pytest

from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.evaluation.files import predictions_of
from genai_lab.metrics import METRICS
from genai_lab.services import datasets, evaluation, jobs
from genai_lab.services.evaluation import EvaluationView, MetricSpec, reading, report, suites, uploads
from genai_lab.services.evaluation.comparing import compare
from storage.tables import Run
from tests.inline_jobs import run_inline
from tests.tiny import open_new

ROWS = 60
ATTACK = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> LabContext:
    return open_new(Config(home=tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def evaluated(lab: LabContext, tmp_path_factory: pytest.TempPathFactory) -> EvaluationView:
    """Three systems: one always right, one wrong in every third row, one always wrong (and hostile)."""
    file = tmp_path_factory.mktemp("files") / "three.csv"
    with file.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["question", "answer", "good", "fair", "bad"])
        for row in range(ROWS):
            answer = f"the answer number {row} is here"
            out.writerow(
                [f"what is {row}?" + " please" * (row % 7), answer, answer, answer if row % 3 else "no idea", ATTACK]
            )
    ids = uploads.systems(lab, file, ["fair", "good", "bad"], ["answer"], "question")
    started = evaluation.start(lab, ids, [MetricSpec("exact_match"), MetricSpec("bleu")], title="three")
    assert run_inline(lab, started.job_id).status == "finished"
    return evaluation.show(lab, started.run_id)


def key_of(view: EvaluationView, figure: str) -> evaluation.Key:
    return next(key for key in view.figures() if key[1] == figure)


def test_every_system_gets_every_figure_with_its_interval(evaluated: EvaluationView) -> None:
    assert evaluated.status == "finished"
    assert [system.label for system in evaluated.systems] == ["fair", "good", "bad"]
    assert len(evaluated.scores) == 6
    for score in evaluated.scores:
        assert score.n == ROWS
        assert score.low is not None
        assert score.high is not None
        assert score.low < score.high
        assert score.low - 1e-9 <= (score.value or 0.0) <= score.high + 1e-9
        assert score.signature


def test_a_run_says_in_what_its_metrics_models_were_computed(lab: LabContext, evaluated: EvaluationView) -> None:
    judged = [MetricSpec("exact_match"), MetricSpec("toxicity", {"model": "starter-toxicity"})]
    started = evaluation.start(lab, [system.id for system in evaluated.systems], judged)
    with lab.database.reading() as session:
        plain, asked = (session.get_one(Run, run_id) for run_id in (evaluated.id, started.run_id))
    assert (plain.device, plain.dtype) == ("cpu", None)
    assert (asked.device, asked.dtype) == ("cpu", "float32")
    jobs.cancel(lab, started.job_id)


def test_verdicts_say_who_is_better_and_by_how_much(lab: LabContext, evaluated: EvaluationView) -> None:
    better, worse = compare(lab, evaluated, key_of(evaluated, "exact_match"))
    assert better.verdict.startswith("good is better than fair by 33.3 points of exact match, 95 % interval")
    assert worse.verdict.startswith("bad is worse than fair by 66.7 points of exact match")
    assert f"n = {ROWS}" in better.verdict
    assert better.p < 0.05


def test_a_figure_of_the_whole_set_is_compared_by_its_sums(lab: LabContext, evaluated: EvaluationView) -> None:
    better, worse = compare(lab, evaluated, key_of(evaluated, "bleu"))
    assert better.comparison.difference > 0 > worse.comparison.difference
    assert worse.comparison.low < worse.comparison.difference < worse.comparison.high


def test_rows_are_read_by_wins_losses_and_ties(lab: LabContext, evaluated: EvaluationView) -> None:
    fair, good, _ = (system.id for system in evaluated.systems)
    result = reading.lines(lab, evaluated, key_of(evaluated, "exact_match"), fair, good)
    assert reading.tally(result) == {"wins": ROWS // 3, "losses": 0, "ties": ROWS - ROWS // 3}
    wins = reading.sort_lines(result, "wins")
    assert {line.example % 3 for line in wins} == {0}
    assert wins[0].texts[0] == "no idea"
    assert wins[0].references == (f"the answer number {wins[0].example} is here",)


def test_buckets_hold_every_row_once(lab: LabContext, evaluated: EvaluationView) -> None:
    result = reading.buckets(lab, evaluated, key_of(evaluated, "exact_match"), "length")
    assert sum(bucket.n for bucket in result) == ROWS
    assert all(bucket.means[1].value == 1.0 for bucket in result)


def test_the_report_stands_alone_and_shows_hostile_text_as_text(lab: LabContext, evaluated: EvaluationView) -> None:
    page = report.to_html(lab, evaluated)
    assert ATTACK not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=", page)
    assert "good is better than fair" in page
    rows = [json.loads(line) for line in report.to_jsonl(evaluated).splitlines()]
    assert len(rows) == 6
    assert len(rows[0]["per_example"]) == ROWS
    assert report.to_csv(evaluated).count("\r\n") == 7


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ([], "No metric is chosen"),
        ([MetricSpec("rogue")], "There is no metric called 'rogue'"),
        ([MetricSpec("rouge", {"stem": True})], "Rouge has no setting 'stem'"),
        ([MetricSpec("bleu", {"tokenize": "klingon"})], "Tokenize is 'klingon'"),
    ],
)
def test_a_bad_choice_of_metrics_is_one_sentence(
    lab: LabContext, evaluated: EvaluationView, choices: list[MetricSpec], message: str
) -> None:
    with pytest.raises(LabError, match=re.escape(message)):
        evaluation.start(lab, [evaluated.systems[0].id], choices)


def test_systems_of_different_datasets_cannot_be_set_side_by_side(
    lab: LabContext, evaluated: EvaluationView, tmp_path: Path
) -> None:
    file = tmp_path / "other.csv"
    file.write_text("answer,made\nyes,yes\nno,no\n")
    other = uploads.systems(lab, file, ["made"], ["answer"])
    with pytest.raises(LabError, match="answer different datasets"):
        evaluation.start(lab, [evaluated.systems[0].id, *other], [MetricSpec("exact_match")])
    with pytest.raises(LabError, match="There is no system 9999"):
        evaluation.start(lab, [9999], [MetricSpec("exact_match")])


def test_a_file_of_predictions_alone_is_a_system(lab: LabContext, tmp_path: Path) -> None:
    file = tmp_path / "alone.csv"
    file.write_text("prediction\nOnce upon a time\nThere was a boy\n")
    assert len(uploads.systems(lab, file, ["prediction"], [])) == 1
    assert predictions_of(file, "prediction", [])[0] == [["Once upon a time"], ["There was a boy"]]


def test_a_file_with_bad_rows_leaves_nothing_behind(lab: LabContext, tmp_path: Path) -> None:
    file = tmp_path / "broken.csv"
    file.write_text("answer,made\nyes,yes\nno\n")
    before = datasets.find(lab)[1], len(evaluation.systems(lab))
    with pytest.raises(LabError, match="Row 2, column 'made': the cell is missing"):
        uploads.systems(lab, file, ["made"], ["answer"])
    assert (datasets.find(lab)[1], len(evaluation.systems(lab))) == before


def test_every_shipped_suite_names_what_there_is(lab: LabContext) -> None:
    from genai_lab.services import templates
    from genai_lab.starter.tasks import TASKS

    result = suites.load_all()
    assert {item.dataset["starter"] for item in result} == set(TASKS)
    for entry in result:
        assert templates.show(lab, entry.template)
        for choice in entry.metrics:
            assert METRICS.get(choice.metric)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a list", "must hold fields"),
        ("dataset: {starter: qa}\ntemplate: x", "is missing the field 'metrics'"),
        ("colour: red", "unknown field 'colour'"),
        ("a: [1", "cannot be read"),
    ],
)
def test_a_bad_suite_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(LabError, match=re.escape(message)):
        suites.load(file)
