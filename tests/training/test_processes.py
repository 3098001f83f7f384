"""Runs on several processes: they learn as one does, end with the one that started them, and say what went wrong."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from genai_lab.errors import LabError
from genai_lab.training import processes
from genai_lab.training.artefacts import export_best
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.lab_trainer import TRAINED, checkpoints
from genai_lab.training.processes import run
from tests.training.forked_ranks import ForkedRanks
from tests.training.models import Told, tiny
from tests.training.test_contract import work_of
from tests.waiting import until


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"llama": tiny(tmp_path_factory.mktemp("bases") / "llama", "llama")}


@pytest.fixture
def forked_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the imports of three processes where torchrun itself is not the subject."""
    monkeypatch.setattr(processes.subprocess, "Popen", ForkedRanks)


@pytest.mark.parametrize("sharding", [pytest.param("none", marks=pytest.mark.full), "weights"])
def test_two_processes_learn_as_one_with_twice_the_batch(
    bases: dict[str, Path], tmp_path: Path, sharding: str, request: pytest.FixtureRequest
) -> None:
    if sharding != "none":
        request.getfixturevalue("forked_ranks")
    options: dict[str, Any] = {"max_steps": 4, "eval_steps": 2, "learning_rate": 5e-3}
    item = work_of(bases, tmp_path / "one", "full", "decoder-only", per_device_batch_size=4, **options)
    two = work_of(
        bases,
        tmp_path / "two",
        "full",
        "decoder-only",
        per_device_batch_size=2,
        processes=2,
        sharding=sharding,
        **options,
    )
    alone, together = Told(), Told()
    run(item, tmp_path / "one", tmp_path / "one/out", alone)
    outcome = run(two, tmp_path / "two", tmp_path / "two/out", together)
    shared_out = outcome["local"] / outcome["parameters"]
    assert shared_out == (1 if sharding == "none" else pytest.approx(0.5, abs=0.05))
    curves = [dict(report.metrics["training loss"]) for report in (alone, together)]
    assert curves[0].keys() == curves[1].keys() == {1, 2, 3, 4}
    for step, loss in curves[0].items():
        assert curves[1][step] == pytest.approx(loss, abs=1e-3)
    validation_set = [report.metrics["validation loss"][-1][1] for report in (alone, together)]
    assert validation_set[0] == pytest.approx(validation_set[1], abs=1e-3)
    written = [[item["sample"]["text"] for item in report.records if "sample" in item] for report in (alone, together)]
    assert written[0] == written[1]
    export_best(two, tmp_path / "two/out", tmp_path / "made")
    separate = [
        load_file(index / name)
        for index, name in ((newest(tmp_path / "one"), TRAINED), (newest(tmp_path / "two"), TRAINED))
    ]
    torch.testing.assert_close(*separate, atol=1e-4, rtol=1e-3)
    if sharding != "none":
        shutil.rmtree(newest(tmp_path / "two"))
        again = Told()
        run(two, tmp_path / "two", tmp_path / "two/out", again)
        assert again.metrics["training loss"] == together.metrics["training loss"][2:]
        assert load_file(newest(tmp_path / "two") / TRAINED).keys() == separate[1].keys()


def newest(folder: Path) -> Path:
    return checkpoints(folder / "out")[0]


ALONE = """
import sys
from pathlib import Path
from genai_lab.training.processes import run
from genai_lab.training.inputs import TrainingInputs
from tests.training.models import Told
folder = Path(sys.argv[1])
run(TrainingInputs.read(folder), folder, folder / "out", Told())
"""


def test_the_processes_of_a_run_end_with_the_one_that_started_them(bases: dict[str, Path], tmp_path: Path) -> None:
    work_of(bases, tmp_path, "full", "decoder-only", processes=2, max_steps=1_000_000)
    parent = subprocess.Popen([sys.executable, "-c", ALONE, str(tmp_path)], cwd=Path(__file__).parents[2])
    started = psutil.Process(parent.pid)
    until(lambda: len(started.children(recursive=True)) == 3)  # torchrun and two processes
    below = started.children(recursive=True)
    parent.kill()
    parent.wait()
    until(lambda: not any(alive(process) for process in below))


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.usefixtures("forked_ranks")
def test_an_error_in_one_process_is_told_by_its_line(bases: dict[str, Path], tmp_path: Path) -> None:
    work = work_of(bases, tmp_path, "full", "decoder-only", processes=2)
    (tmp_path / "validation.npz").unlink()
    with pytest.raises(
        LabError, match=r"One of the 2 processes ended: FileNotFoundError: .*validation\.npz.*see the log"
    ):
        run(work, tmp_path, tmp_path / "out", Told())


@pytest.mark.usefixtures("forked_ranks")
def test_a_process_that_fails_ends_the_run_with_its_sentence(bases: dict[str, Path], tmp_path: Path) -> None:
    work = work_of(bases, tmp_path, "full", "decoder-only", processes=2)
    lost = replace(work, base=tmp_path / "gone")
    items, held_names = work.examples(tmp_path)
    lost.write(tmp_path, items, held_names)
    with pytest.raises(LabError, match="The base in gone cannot be loaded"):
        run(TrainingInputs.read(tmp_path), tmp_path, tmp_path / "out", Told())
