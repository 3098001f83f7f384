"""The jobs of a lab from the command line."""

import json
from pathlib import Path

import pytest

from genai_lab.cli import main
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.services import jobs
from tests.tiny import open_new


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabContext:
    monkeypatch.setenv("GENAI_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GENAI_LAB_PLUGINS", "tests.jobs.bodies")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return open_new(Config.from_environment())


def call_jobs(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["jobs", *arguments])
    return code, capsys.readouterr().out


def test_a_job_is_listed_waited_for_and_shown(lab: LabContext, capsys: pytest.CaptureFixture[str]) -> None:
    job = jobs.enqueue(lab, "count", {"upto": 2, "name": "a"}, title="Count to 2")
    code, text = call_jobs(capsys, "list", "--json", "--status", "queued")
    assert (code, [item["title"] for item in json.loads(text)["jobs"]]) == (0, ["Count to 2"])
    code, text = call_jobs(capsys, "wait", str(job), "--json")
    assert (code, json.loads(text)["result"]) == (0, {"sum": 1})
    assert "finished" in call_jobs(capsys, "show", str(job))[1]
    assert call_jobs(capsys, "list", "--status", "queued") == (0, "No jobs.\n")


def test_a_failed_job_is_an_exit_code_and_its_log_can_be_read(
    lab: LabContext, capsys: pytest.CaptureFixture[str]
) -> None:
    job = jobs.enqueue(lab, "count", {"upto": 2, "name": "a", "disk": 1}, title="Count to 2")
    code, text = call_jobs(capsys, "wait", str(job), "--json")
    assert (code, json.loads(text)["exit_reason"]) == (1, "disk full")
    assert "OSError" in call_jobs(capsys, "logs", str(job))[1]
    assert json.loads(call_jobs(capsys, "retry", str(job), "--json")[1])["status"] == "queued"
    assert json.loads(call_jobs(capsys, "cancel", str(job), "--json")[1])["status"] == "cancelled"


@pytest.mark.parametrize("arguments", [("show", "9"), ("cancel", "9"), ("logs", "9")])
def test_bad_input_is_one_sentence(
    lab: LabContext, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert main(["jobs", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
