"""The training loop: resumed exactly, torn checkpoints left out, divergence reported."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from genai_lab.training import Architecture
from genai_lab.training.lab_trainer import STATE, TRAINED, Diverged, checkpoints, step_of
from genai_lab.training.trainers.tokens import TokenTrainer
from genai_lab.training.training_loop import readable, train
from tests.training.models import Told, tiny
from tests.training.test_contract import work_of


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {kind: tiny(folder / kind, kind) for kind in ("llama", "t5", "roberta")}


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


CASES: list[tuple[str, Architecture, str, int]] = [
    ("lora", "decoder-only", "", 5),
    ("adalora", "encoder-decoder", "", 5),
    ("adalora", "encoder-decoder", "", 8),  # its ranks have been given out
    ("full", "encoder", "mlm", 5),
    ("p_tuning", "decoder-only", "", 5),
]


@pytest.mark.parametrize(("method", "architecture", "objective", "stop"), CASES)
def test_a_run_that_was_stopped_ends_with_the_very_weights_of_one_that_was_not(
    bases: dict[str, Path], tmp_path: Path, method: str, architecture: Architecture, objective: str, stop: int
) -> None:
    options: dict[str, Any] = {"max_steps": 9, "eval_steps": 3, "gradient_accumulation_steps": 2}
    work = work_of(bases, tmp_path, method, architecture, objective, **options)
    uninterrupted, broken = Told(), Told()
    train(work, tmp_path, tmp_path / "whole", uninterrupted)
    with pytest.raises(Stopped):
        train(work, tmp_path, tmp_path / "broken", Stopper(stop))
    train(work, tmp_path, tmp_path / "broken", broken)
    ends = [load_file(tmp_path / name / "checkpoint-9" / TRAINED) for name in ("whole", "broken")]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert uninterrupted.metrics["training loss"][stop // 3 * 3 :] == broken.metrics["training loss"]


TORN = (TRAINED, STATE, "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


def test_a_newest_checkpoint_of_which_any_file_is_torn_or_lacks_is_left_out_and_told(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    work = work_of(bases, tmp_path, "adalora", "decoder-only", max_steps=6, eval_steps=2)
    with pytest.raises(Stopped):
        train(work, tmp_path, tmp_path / "out", Stopper(5))
    newest = checkpoints(tmp_path / "out")[0]
    assert readable(newest)
    for name in TORN:
        full = (newest / name).read_bytes()
        (newest / name).write_bytes(full[: len(full) // 2])
        assert not readable(newest), name
        (newest / name).unlink()
        assert not readable(newest) or name == STATE, name
        (newest / name).write_bytes(full)
    (newest / "rng_state.pth").write_bytes(b"")
    reporter = Told()
    outcome = train(work, tmp_path, tmp_path / "out", reporter)
    assert outcome["steps"] == 6
    notes = [item["note"] for item in reporter.records if "note" in item]
    assert notes == ["The checkpoint of step 4 is torn and is left out."]
    assert reporter.metrics["training loss"][0][0] == 3


def test_the_two_newest_checkpoints_and_the_best_are_kept(
    bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenTrainer, "measure", lambda self: {"loss": abs(self.state.global_step - 2) + 1.0})
    work = work_of(bases, tmp_path, "full", "decoder-only", max_steps=6, eval_steps=1)
    reporter = Told()
    outcome = train(work, tmp_path, tmp_path / "out", reporter)
    assert outcome["best_step"] == 2
    assert [step_of(checkpoint) for checkpoint in checkpoints(tmp_path / "out")] == [6, 5, 2]
    assert not [item for item in reporter.records if "note" in item]


def test_a_run_that_ends_above_its_base_says_so_even_after_a_stop(
    bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenTrainer, "measure", lambda self: {"loss": 1.0 + self.state.global_step})
    work = work_of(bases, tmp_path, "full", "decoder-only", max_steps=4, eval_steps=2)
    with pytest.raises(Stopped):
        train(work, tmp_path, tmp_path / "out", Stopper(3))
    reporter = Told()
    train(work, tmp_path, tmp_path / "out", reporter)
    (note,) = [item["note"] for item in reporter.records if "note" in item]
    assert note.startswith("The best validation loss (3, step 2) is above that of the base (1), so that this run has")


def test_a_weight_that_is_no_number_names_the_last_checkpoint_that_was_written(
    bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaking(self: Any) -> dict[str, float]:
        if self.state.global_step == 4:
            next(weight for weight in self.model.parameters() if weight.requires_grad).data.fill_(float("inf"))
        return {"loss": 1.0}

    monkeypatch.setattr(TokenTrainer, "measure", breaking)
    work = work_of(bases, tmp_path, "full", "decoder-only", max_steps=8, eval_steps=2)
    with pytest.raises(Diverged, match=r"The weight .* at step 4 .*; the checkpoint of step 2 is kept"):
        train(work, tmp_path, tmp_path / "out", Told())
    assert [step_of(checkpoint) for checkpoint in checkpoints(tmp_path / "out")] == [2]


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint(
    bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = work_of(bases, tmp_path, "full", "decoder-only", max_steps=8, eval_steps=2)
    sound = TokenTrainer.loss_of

    def broken(self: Any, outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        loss = sound(self, outputs, labels, num_items_in_batch)
        return loss * float("nan") if self.state.global_step == 4 else loss

    monkeypatch.setattr(TokenTrainer, "loss_of", broken)
    with pytest.raises(Diverged, match=r"no longer a number at step 5 .* the checkpoint of step 4 is kept.*lower it"):
        train(work, tmp_path, tmp_path / "out", Told())
    stored = load_file(checkpoints(tmp_path / "out")[0] / TRAINED)
    assert all(torch.isfinite(tensor).all() for tensor in stored.values())


def test_the_run_ends_early_when_the_validation_loss_no_longer_falls(bases: dict[str, Path], tmp_path: Path) -> None:
    work = work_of(
        bases,
        tmp_path,
        "full",
        "decoder-only",
        max_steps=40,
        eval_steps=1,
        early_stopping_patience=2,
        learning_rate=0.5,
        max_grad_norm=0.0,
    )
    outcome = train(work, tmp_path, tmp_path / "out", Told())
    assert outcome["stopped_early"]
    assert outcome["best_step"] < outcome["steps"] < 40
    for stop in (outcome["steps"] - 1, outcome["steps"]):
        with pytest.raises(Stopped):
            train(work, tmp_path, tmp_path / f"broken {stop}", Stopper(stop))
        resumed = train(work, tmp_path, tmp_path / f"broken {stop}", Told())
        assert resumed["steps"] == outcome["steps"], "patience counts on"
    again = train(work, tmp_path, tmp_path / "out", Told())
    assert (again["steps"], again["best_loss"]) == (outcome["steps"], outcome["best_loss"])


@pytest.mark.parametrize("precision", ["bfloat16"])
def test_half_precision_and_checkpointing_learn_too(bases: dict[str, Path], tmp_path: Path, precision: str) -> None:
    work = work_of(
        bases, tmp_path, "lora", "encoder-decoder", max_steps=6, eval_steps=6, precision=precision,
        gradient_checkpointing=True,
        learning_rate=1e-2,
    )  # fmt: skip
    reporter = Told()
    train(work, tmp_path, tmp_path / "out", reporter)
    (_, first), (_, last) = reporter.metrics["validation loss"]
    assert last < first
