"""The loop: resumed as if it had not stopped, torn checkpoints left out, divergence told, several processes alike."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from genai_lab.training import Architecture
from genai_lab.training.loop import TRAINED, Diverged, checkpoints, last_whole, step_of, train
from genai_lab.training.processes import run
from genai_lab.training.work import Work
from tests.training.models import Told, tiny
from tests.training.test_contract import work_of


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("bases")
    return {kind: tiny(place / kind, kind) for kind in ("llama", "t5", "roberta")}


class Stopped(Exception):
    pass


class Stopper(Told):
    """Ends the run in the middle, as a kill would, when the step has come."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        if done == self.step:
            raise Stopped


CASES: list[tuple[str, Architecture, str]] = [
    ("lora", "decoder-only", ""),
    ("adalora", "encoder-decoder", ""),
    ("full", "encoder", "masked"),
    ("p_tuning", "decoder-only", ""),
]


@pytest.mark.parametrize(("method", "architecture", "objective"), CASES)
def test_a_run_that_was_stopped_ends_with_the_very_weights_of_one_that_was_not(
    bases: dict[str, Path], tmp_path: Path, method: str, architecture: Architecture, objective: str
) -> None:
    more: dict[str, Any] = {"steps": 9, "evaluate_every": 3, "accumulation": 2}
    work = work_of(bases, tmp_path, method, architecture, objective, **more)
    whole, broken = Told(), Told()
    train(work, tmp_path, tmp_path / "whole", whole)
    with pytest.raises(Stopped):
        train(work, tmp_path, tmp_path / "broken", Stopper(5))
    train(work, tmp_path, tmp_path / "broken", broken)
    ends = [load_file(tmp_path / name / "checkpoint-9" / TRAINED) for name in ("whole", "broken")]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert whole.metrics["training loss"][3:] == broken.metrics["training loss"]


def test_a_torn_newest_checkpoint_is_left_out_and_told(bases: dict[str, Path], tmp_path: Path) -> None:
    work = work_of(bases, tmp_path, "full", "decoder-only", steps=6, evaluate_every=2)
    train(work, tmp_path, tmp_path / "out", Told())
    newest = checkpoints(tmp_path / "out")[0]
    for name in (TRAINED, "optimizer.pt"):
        (newest / name).write_bytes((newest / name).read_bytes()[:-100])
    told = Told()
    before = last_whole(tmp_path / "out", told)
    assert before is not None
    assert step_of(before) == 4
    assert [item["note"] for item in told.records] == ["The checkpoint of step 6 is torn and is left out."]
    outcome = train(work, tmp_path, tmp_path / "out", told)
    assert outcome["steps"] == 6


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint(
    bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = work_of(bases, tmp_path, "full", "decoder-only", steps=8, evaluate_every=2)
    from genai_lab.training.loop import Loop

    sound = Loop.loss_of

    def broken(self: Any, outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        loss = sound(self, outputs, labels, num_items_in_batch)
        return loss * float("nan") if self.state.global_step == 4 else loss

    monkeypatch.setattr(Loop, "loss_of", broken)
    with pytest.raises(Diverged, match=r"no number any more at step 5 .* the checkpoint of step 4 is kept.*lower it"):
        train(work, tmp_path, tmp_path / "out", Told())
    kept = load_file(checkpoints(tmp_path / "out")[0] / TRAINED)
    assert all(torch.isfinite(tensor).all() for tensor in kept.values())


def test_the_run_ends_early_when_the_validation_loss_no_longer_falls(bases: dict[str, Path], tmp_path: Path) -> None:
    work = work_of(
        bases, tmp_path, "full", "decoder-only", steps=40, evaluate_every=1, patience=2, learning_rate=0.5, clip=0.0
    )
    outcome = train(work, tmp_path, tmp_path / "out", Told())
    assert outcome["stopped_early"]
    assert outcome["best_step"] < outcome["steps"] < 40


@pytest.mark.parametrize("sharding", ["none", "weights"])
def test_two_processes_learn_as_one_with_twice_the_batch(bases: dict[str, Path], tmp_path: Path, sharding: str) -> None:
    more: dict[str, Any] = {"steps": 4, "evaluate_every": 4, "learning_rate": 5e-3}
    one = work_of(bases, tmp_path / "one", "full", "decoder-only", batch=4, **more)
    two = work_of(bases, tmp_path / "two", "full", "decoder-only", batch=2, processes=2, sharding=sharding, **more)
    alone, together = Told(), Told()
    run(one, tmp_path / "one", tmp_path / "one/out", alone)
    run(two, tmp_path / "two", tmp_path / "two/out", together)
    curves = [dict(told.metrics["training loss"]) for told in (alone, together)]
    assert curves[0].keys() == curves[1].keys() == {1, 2, 3, 4}
    for step, loss in curves[0].items():
        assert curves[1][step] == pytest.approx(loss, abs=1e-3)
    held = [told.metrics["validation loss"][-1][1] for told in (alone, together)]
    assert held[0] == pytest.approx(held[1], abs=1e-3)


def test_a_process_that_fails_ends_the_run_with_its_sentence(bases: dict[str, Path], tmp_path: Path) -> None:
    work = work_of(bases, tmp_path, "full", "decoder-only", processes=2)
    lost = replace(work, base=tmp_path / "gone")
    items, held = work.items(tmp_path)
    lost.write(tmp_path, items, held)
    from genai_lab.errors import LabError

    with pytest.raises(LabError, match="The base in gone cannot be loaded"):
        run(Work.read(tmp_path), tmp_path, tmp_path / "out", Told())


@pytest.mark.parametrize("precision", ["bfloat16"])
def test_half_precision_and_checkpointing_learn_too(bases: dict[str, Path], tmp_path: Path, precision: str) -> None:
    work = work_of(
        bases, tmp_path, "lora", "encoder-decoder", steps=6, evaluate_every=6, precision=precision, checkpointing=True,
        learning_rate=1e-2,
    )  # fmt: skip
    told = Told()
    train(work, tmp_path, tmp_path / "out", told)
    (_, first), (_, last) = told.metrics["validation loss"]
    assert last < first
