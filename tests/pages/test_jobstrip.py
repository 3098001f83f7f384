"""The job strip without a browser: what it lists, and where its titles lead."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from genai_lab.config import Config
from genai_lab.services import jobs
from pages.components import jobstrip
from storage.tables import Job
from tests.tiny import open_new


@pytest.mark.parametrize(
    ("kind", "settings", "link"),
    [
        ("campaign", {"campaign": 4}, "/feedback?campaign=4"),
        ("keep", {"run": 11}, "/finetune?run=11"),
        ("download", {}, "/jobs?job=1"),
    ],
)
def test_a_title_leads_to_what_the_job_makes_and_to_the_job_where_it_failed(
    tmp_path: Path, kind: str, settings: dict[str, Any], link: str
) -> None:
    lab = open_new(Config(home=tmp_path))
    job = jobs.enqueue(lab, kind, settings, title="Work")
    assert jobstrip.rows(lab, (kind,))[0]["link"] == link
    with lab.database.session() as session:
        session.get_one(Job, job).status = "failed"
    assert jobstrip.link_of(jobs.show(lab, job)) == f"/jobs?job={job}"
    lab.close()


def test_what_ended_long_ago_is_not_in_the_strip(tmp_path: Path) -> None:
    lab = open_new(Config(home=tmp_path))
    old, new = (jobs.enqueue(lab, "campaign", {"campaign": 1}, title=title) for title in ("Old", "New"))
    with lab.database.session() as session:
        for job, hours in ((old, 2), (new, 0)):
            row = session.get_one(Job, job)
            row.status, row.ended_at = "finished", datetime.now(UTC) - timedelta(hours=hours)
    assert [job_row["title"] for job_row in jobstrip.rows(lab, ("campaign",))] == ["New"]
    lab.close()
