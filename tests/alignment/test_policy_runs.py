"""Runs in which a policy learns from its own completions, end to end on random models."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from genai_lab.alignment.records import RolloutBatch, read_all, rollout_path, rollout_steps
from genai_lab.errors import LabError
from genai_lab.rewards import REWARDS, RewardKind
from genai_lab.training import Architecture
from genai_lab.training.artefacts import export_best
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.training_loop import best_checkpoint, train
from tests.alignment.policies import Stopping, policy_run
from tests.training.models import Told, tiny

KINDS: dict[Architecture, str] = {"decoder-only": "llama", "encoder-decoder": "t5"}
POLICIES = [name for name in OBJECTIVES if OBJECTIVES.get(name).rolls_out]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[Architecture, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {architecture: tiny(folder / kind, kind) for architecture, kind in KINDS.items()}


@pytest.mark.parametrize("objective", POLICIES)
@pytest.mark.parametrize("architecture", list(KINDS))
def test_the_first_batch_has_ratio_one_no_kl_and_nothing_clipped(
    bases: dict[Architecture, Path], tmp_path: Path, objective: str, architecture: Architecture
) -> None:
    run = policy_run(
        bases[architecture], tmp_path, architecture, objective, training={"max_steps": 1}, num_iterations=1,
        num_generations=2,
    )  # fmt: skip
    told = Told()
    train(run, tmp_path, tmp_path / "out", told)
    first = {name: values[0][1] for name, values in told.metrics.items()}
    assert (first["ratio"], first["KL"], first["clip share"]) == (1, 0, 0)
    assert first["KL to the old policy"] == 0
    assert first["sampled KL"] == 0
    assert first["engine difference"] < 1e-4
    assert first["validation KL"] == 0
    batch = RolloutBatch.read(rollout_path(tmp_path / "out" / "rollouts", 1))
    assert len(batch) == 8
    assert len(set(batch.rows[:2])) == 1
    assert batch.labels == ("length",)
    assert batch.parts[:, 0].tolist() == batch.lengths.tolist()
    if objective == "ppo":
        assert not batch.figures["values"].any()
        assert first["value explained variance"] == 0


@pytest.mark.parametrize(("objective", "architecture"), [("ppo", "encoder-decoder"), ("grpo", "decoder-only")])
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(
    bases: dict[Architecture, Path], tmp_path: Path, objective: str, architecture: Architecture
) -> None:
    def run(name: str, *reporters: Told) -> tuple[dict[str, Any], Told]:
        inputs = policy_run(
            bases[architecture], tmp_path / name, architecture, objective, training={"max_steps": 6}, target_kl=0.5,
        )  # fmt: skip
        for reporter in reporters[:-1]:
            with pytest.raises(KeyboardInterrupt):
                train(inputs, tmp_path / name, tmp_path / name / "out", reporter)
        return train(inputs, tmp_path / name, tmp_path / name / "out", reporters[-1]), reporters[-1]

    whole, told = run("whole", Told())
    killed, resumed = run("killed", Stopping(3), Stopping(5), Told())
    assert whole["best_loss"] == killed["best_loss"]
    for name, values in resumed.metrics.items():
        if "second" not in name and name != "memory":
            assert values == told.metrics[name][-len(values) :], name
    ends = [load_file(tmp_path / name / "out" / "checkpoint-6" / "trained.safetensors") for name in ("whole", "killed")]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    for first, second in zip(
        *(read_all(tmp_path / name / "out" / "rollouts") for name in ("whole", "killed")), strict=True
    ):
        assert first.ids == second.ids
        assert all((first.figures[name] == second.figures[name]).all() for name in first.figures)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_value_head_learns_at_a_rate_of_its_own_and_is_left_out_of_the_model(
    bases: dict[Architecture, Path], tmp_path: Path, method: str
) -> None:
    run = policy_run(bases["decoder-only"], tmp_path, "decoder-only", "ppo", method)
    train(run, tmp_path, tmp_path / "out", Told())
    best = best_checkpoint(tmp_path / "out")
    assert best is not None
    last = load_file(tmp_path / "out" / "checkpoint-4" / "trained.safetensors")
    assert last["value_head.weight"].abs().max() > 0
    export_best(run, tmp_path / "out", tmp_path / "model")
    tensors = load_file(next((tmp_path / "model").glob("*.safetensors")))
    assert not any("value_head" in name for name in tensors)


def test_a_missing_end_is_taken_from_the_score_and_the_kl_is_in_the_loss_by_choice(
    bases: dict[Architecture, Path], tmp_path: Path
) -> None:
    run = policy_run(
        bases["decoder-only"], tmp_path, "decoder-only", training={"max_steps": 2}, missing_end_penalty=5.0,
        kl="in the loss (k2)",
    )  # fmt: skip
    train(run, tmp_path, tmp_path / "out", Told())
    for batch in read_all(tmp_path / "out" / "rollouts"):
        assert batch.scores.tolist() == (-batch.parts[:, 0] - 5.0 * ~batch.ended).tolist()


def test_evaluations_draw_the_same_completions_from_the_same_policy(
    bases: dict[Architecture, Path], tmp_path: Path
) -> None:
    run = policy_run(bases["decoder-only"], tmp_path, "decoder-only", training={"learning_rate": 1e-8})
    train(run, tmp_path, tmp_path / "out", Told())
    folder = tmp_path / "out" / "evaluations"
    assert rollout_steps(folder) == [0, 2, 4]
    first, *others = read_all(folder)
    assert all(one.ids == first.ids for one in others)


class Fixed(RewardKind):
    """Earns what the test says."""

    name, title, about, answer = "fixed", "Fixed", "Earns what the test says.", 1.0

    def values(self, items: Any, target: str, settings: Any, model: Any) -> list[float]:
        return [self.answer for _ in items]


@pytest.fixture
def fixed() -> Any:
    reward = Fixed()
    REWARDS.register("fixed")(reward)
    yield reward
    REWARDS.drop("fixed")


def test_a_reward_that_never_differs_is_said_after_the_first_batches(
    bases: dict[Architecture, Path], tmp_path: Path, fixed: Fixed
) -> None:
    told = Told()
    run = policy_run(bases["decoder-only"], tmp_path, "decoder-only", rewards=("fixed",), missing_end_penalty=0.0)
    train(run, tmp_path, tmp_path / "out", told)
    assert any("first 3 batches has earned 1" in item.get("note", "") for item in told.records)
    assert all(share == 1 for _, share in told.metrics["prompts of equal reward"])


def test_a_reward_that_is_no_number_ends_the_run_with_one_sentence(
    bases: dict[Architecture, Path], tmp_path: Path, fixed: Fixed
) -> None:
    fixed.answer = float("nan")
    run = policy_run(bases["decoder-only"], tmp_path, "decoder-only", rewards=("fixed",))
    with pytest.raises(LabError, match=r"The reward fixed of the completion .* is not a number"):
        train(run, tmp_path, tmp_path / "out", Told())


def test_a_kl_beyond_the_limit_stops_the_run_and_keeps_the_last_checkpoint(
    bases: dict[Architecture, Path], tmp_path: Path
) -> None:
    training = {"max_steps": 20, "learning_rate": 1e-2, "eval_steps": 1}
    run = policy_run(bases["decoder-only"], tmp_path, "decoder-only", training=training, max_kl=0.1, beta=0.0)
    with pytest.raises(LabError, match=r"nats per completion at step \d+.* checkpoint of step \d+ is kept"):
        train(run, tmp_path, tmp_path / "out", Told())
    assert best_checkpoint(tmp_path / "out") is not None


def test_a_full_disk_names_the_step(
    bases: dict[Architecture, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: RolloutBatch, path: Path) -> None:
        if path.parent.name == "rollouts" and path.stem.endswith("3"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(RolloutBatch, "write", full)
    run = policy_run(bases["decoder-only"], tmp_path, "decoder-only")
    with pytest.raises(LabError, match=r"step 3 cannot be written \(No space left on device\).* goes on from step 2"):
        train(run, tmp_path, tmp_path / "out", Told())
