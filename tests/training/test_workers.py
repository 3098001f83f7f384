"""Runs by their real worker and from the command line: killed and gone on with, cancelled, watched."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from genai_lab.cli import main
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.models import Source
from genai_lab.services import datasets, jobs, models, training
from genai_lab.services.jobs import job_files
from tests.tiny import open_new
from tests.training.models import TEXTS, tiny
from tests.waiting import until

PLAN = """
model: llama
method: full
data: [{dataset: pairs, templates: plain}]
training: {steps: 24, batch: 4, length: 48, evaluate_every: 4, validation_rows: 4, seed: 1}
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabContext]:
    monkeypatch.setenv("GENAI_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GENAI_LAB_MODEL_ROOTS", str(tmp_path))
    monkeypatch.setenv("GENAI_LAB_DEVICE", "cpu")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    opened_lab = open_new(Config.from_environment())
    models.add(opened_lab, "llama", Source("local", str(tiny(tmp_path / "llama", "llama"))))
    rows = [{"input": item.prompt, "reference": item.completion} for item in TEXTS]
    datasets.import_rows(opened_lab, rows, "pairs", {"kind": "test"}, split=SplitPlan(only="train"))
    (tmp_path / "plan.yaml").write_text(PLAN)
    yield opened_lab
    opened_lab.close()


def killer(lab: LabContext, killed: list[int]) -> None:
    """Kills the worker of job 1 as soon as it has left a checkpoint."""
    folder = jobs.folder(lab, 1)
    until(lambda: list((folder / "out").glob("checkpoint-*/trainer_state.json")))
    worker = job_files.read(folder / job_files.WORKER) or {}
    os.kill(worker["pid"], signal.SIGKILL)
    killed.append(worker["pid"])


def test_a_killed_worker_goes_on_from_its_checkpoint_and_the_command_line_tells_the_end(
    lab: LabContext, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed: list[int] = []
    thread = threading.Thread(target=killer, args=(lab, killed))
    thread.start()
    code = main(["train", "--config", str(tmp_path / "plan.yaml"), "--name", "made", "--wait", "--json"])
    thread.join()
    output = json.loads(capsys.readouterr().out)
    assert (code, output["status"], output["model"]) == (0, "finished", "made")
    assert killed
    assert jobs.show(lab, output["job"]["id"]).attempt == 2
    assert output["outcome"]["steps"] == 24
    assert [step for step, _ in output["curves"]["validation loss"]] == [0, 4, 8, 12, 16, 20, 24]
    assert len(output["curves"]["training loss"]) == 24
    assert models.show(lab, "made").status == "ready"
    code = main(["train", "--config", str(tmp_path / "plan.yaml"), "--name", "made"])
    assert (code, "already exists" in capsys.readouterr().err) == (2, True)
    assert main(["tuning", "list", "--json"]) == 0
    assert [item["id"] for item in json.loads(capsys.readouterr().out)] == [output["id"]]


def test_a_bad_file_or_plan_is_one_sentence_and_code_2(
    lab: LabContext, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text("model: llama\ndata: pairs\ntraining: {learning_rate: 1000.0}\n")
    for name in ("bad.yaml", "gone.yaml"):
        assert main(["train", "--config", str(tmp_path / name)]) == 2
        message = capsys.readouterr().err
        assert message.startswith("genai_lab: ")
        assert message.count("\n") == 1
    (tmp_path / "check.yaml").write_text(PLAN)
    assert main(["train", "--config", str(tmp_path / "check.yaml"), "--check"]) == 0
    assert json.loads(capsys.readouterr().out)["memory"]["peak"] > 0
    assert training.find(lab) == []
