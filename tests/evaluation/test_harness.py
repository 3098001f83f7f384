"""Tasks of lm-evaluation-harness on a model of ours: the same numbers, in the same tables."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import evaluation, jobs
from genai_lab.services.evaluation import comparing, harness, reading, report
from storage.tables import Job
from tests.services.test_matrix import Kept
from tests.tiny import open_lab, random_model

there = importlib.util.find_spec("lm_eval") is not None
needed = pytest.mark.skipif(not there, reason="lm-evaluation-harness is not installed (requirements-harness.txt)")

CHOICE = """
task: lab_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Q: {{{{question}}}} A:"
doc_to_choice: ["yes", "no"]
doc_to_target: answer
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
metadata: {{version: 1.0}}
"""
FREE = """
task: lab_free
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: generate_until
doc_to_text: "Q: {{{{question}}}} A:"
doc_to_target: "{{{{['yes', 'no'][answer]}}}}"
generation_kwargs: {{until: ["\\n"], max_gen_toks: 4}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
metadata: {{version: 1.0}}
"""
ROWS = 12


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabContext]:
    folders = {name: random_model(tmp_path / "m" / name, seed=seed) for seed, name in enumerate(("one", "two"))}
    context = open_lab(tmp_path / "home", **folders)
    yield context
    context.close()


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """A folder with two tasks over a file of this machine."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    rows = [{"question": f"is {n} even?", "answer": n % 2} for n in range(ROWS)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, text in (("choice", CHOICE), ("free", FREE)):
        (folder / f"{name}.yaml").write_text(text.format(file=tmp_path / "rows.jsonl"))
    return folder


def worked(lab: LabContext, job_id: int) -> list[int]:
    """The job's body and what the app does with its records, in this process; the evaluations."""
    kind, report = jobs.HANDLERS.get("harness"), Kept()
    result = kind.run(lab, jobs.show(lab, job_id).settings, report)
    with lab.database.session() as session:
        job = session.get_one(Job, job_id)
        kind.ingest(session, job, report.records)
        kind.ingest(session, job, report.records)  # a record may come twice
        kind.complete(session, job, result)
    return list(result["evaluations"])


@needed
def test_its_figures_stand_in_the_same_tables_and_are_compared(lab: LabContext, tasks: Path) -> None:
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    job = harness.start(lab, ["one", "two"], ["lab_choice", "lab_free"], folder=tasks)
    first, second = [evaluation.show(lab, run) for run in worked(lab, job)]
    assert [item.label for item in first.systems] == ["one", "two"]
    key = next(key for key in first.figures() if key[1] == "acc")
    score = first.score(key, first.systems[0].id)
    folder = str(next(item for item in lab.config.model_roots[0].iterdir() if item.name == "one"))
    direct = simple_evaluate(
        model=HFLM(pretrained=folder, dtype="float32", device="cpu"),
        tasks=["lab_choice"],
        task_manager=TaskManager(include_path=str(tasks)),
        bootstrap_iters=0,
    )
    assert score.value == direct["results"]["lab_choice"]["acc,none"]
    assert score.n == ROWS == len(score.per_example or [])
    assert score.low is not None
    assert score.high is not None
    assert score.low <= (score.value or 0.0) <= score.high
    assert comparing.compare(lab, first, key)[0].verdict
    line = reading.lines(lab, first, key, first.systems[0].id, first.systems[1].id)[0]
    assert line.source == "Q: is 0 even? A:"
    assert line.references == ("yes",)
    assert line.texts[0] in ("yes", "no")
    assert second.figures()[0][1] == "exact_match"
    assert "lab_free" in report.to_html(lab, second)


@needed
def test_what_cannot_run_is_one_sentence(lab: LabContext, tasks: Path) -> None:
    unknown = harness.start(lab, ["one"], ["nothing_like_it"], folder=tasks)
    with pytest.raises(LabError, match="no task 'nothing_like_it'"):
        worked(lab, unknown)
    gone = harness.start(lab, ["one"], ["lab_choice"], folder=tasks / "gone")
    with pytest.raises(LabError, match="is not there"):
        worked(lab, gone)
    with pytest.raises(LabError, match="No task is named"):
        harness.start(lab, ["one"], [" "])
    with pytest.raises(LabError, match="starter-toxicity is none"):
        harness.start(lab, ["starter-toxicity"], ["lab_choice"])


@pytest.mark.skipif(there, reason="lm-evaluation-harness is installed")
def test_without_it_the_way_to_get_it_is_named(lab: LabContext) -> None:
    with pytest.raises(LabError, match=r"pip install -r requirements-harness\.txt"):
        harness.start(lab, ["one"], ["arc_easy"])
