"""A lab with tiny models and a dataset, and jobs done in this process, where no worker is needed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.services import datasets, jobs
from genai_lab.services.jobs.handlers import HANDLERS
from storage import jobs as queries
from storage.tables import Job
from tests.tiny import open_lab
from tests.training.models import WORDS, Told, tiny


class Report(Told):
    """A report in a job's folder that nobody reads but the test."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def earlier(self) -> Iterator[dict[str, Any]]:
        yield from ()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabContext]:
    folder = tmp_path_factory.mktemp("models")
    folders = {kind: tiny(folder / kind, kind) for kind in ("llama", "t5", "roberta")}
    opened_lab = open_lab(tmp_path_factory.mktemp("home"), **folders)
    rows = [
        {"ask": f"{a} and {b}", "answer": f"{b} {a}", "kind": "colour" if n < 3 else "number", "split": split}
        for split, others in (("train", WORDS[6:12]), ("validation", WORDS[12:14]), ("test", WORDS[12:15]))
        for n, a in enumerate(WORDS[:6])
        for b in others
    ]
    roles = {"input": ["ask"], "reference": ["answer"], "label": ["kind"]}
    plan = SplitPlan(by="column", column="split")
    datasets.import_rows(opened_lab, rows, "pairs", {"kind": "test"}, mapping=roles, split=plan)
    yield opened_lab
    opened_lab.close()


@pytest.fixture(scope="module")
def finish_job(lab: LabContext) -> Callable[[int], Report]:
    """Does a job in this process, as its worker and the supervisor would; raises what its body raises."""

    def do(job_id: int) -> Report:
        with lab.database.session() as session:
            job = session.get_one(Job, job_id)
            queries.mark_running(job, "cpu")
            kind, settings = HANDLERS.get(job.kind), job.settings
        report = Report(jobs.folder(lab, job_id))
        try:
            result = kind.run(lab, settings, report)
        except Exception as problem:
            with lab.database.session() as session:
                kind.ingest(session, session.get_one(Job, job_id), report.records)
                queries.end_job(session, session.get_one(Job, job_id), "failed", "failed", str(problem))
            raise
        with lab.database.session() as session:
            job = session.get_one(Job, job_id)
            points = [(name, step, value) for name, curve in report.metrics.items() for step, value in curve]
            queries.add_metrics(session, job_id, points)
            kind.ingest(session, job, report.records)
            kind.complete(session, job, result)
            queries.end_job(session, job, "finished", "finished", None, None, result)
        return report

    return do
