"""Samples of the base for the frontier: the right prompts, rewarded as the run rewards, the same each time."""

import numpy as np
import pytest

from genai_lab.alignment.records import EVALUATIONS, RolloutBatch, rollout_path
from genai_lab.errors import LabError
from genai_lab.training.base_samples import BaseModel, sample_base
from genai_lab.training.plan import Architecture
from genai_lab.training.policy_objective import PolicySettings
from genai_lab.training.training_loop import train
from tests.alignment.policies import policy_run
from tests.training.models import Told, tiny

KINDS: dict[Architecture, str] = {"decoder-only": "llama", "encoder-decoder": "t5"}
SETTINGS = PolicySettings(rewards=("-1 * length", "0 * pattern"), max_completion_length=8, missing_end_penalty=2.0)


@pytest.fixture(scope="module", params=KINDS)
def evaluation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[BaseModel, RolloutBatch]:
    folder = tmp_path_factory.mktemp("base")
    base = tiny(folder / "model", KINDS[request.param])
    inputs = policy_run(base, folder / "work", request.param, training={"max_steps": 1, "eval_steps": 1})
    train(inputs, folder / "work", folder / "out", Told())
    batch = RolloutBatch.read(rollout_path(folder / "out" / EVALUATIONS, 0))
    return BaseModel(base, request.param, SETTINGS, {}), batch


def test_each_prompt_is_completed_so_many_times(evaluation: tuple[BaseModel, RolloutBatch]) -> None:
    base, held_out = evaluation
    told: list[tuple[int, int]] = []
    samples = sample_base(base, held_out, 3, lambda prompts, total: told.append((prompts, total)))
    assert len(samples) == 3 * len(held_out)
    assert samples.prompts[::3] == held_out.prompts
    assert list(samples.rows[::3]) == list(held_out.rows)
    assert told[0] == (0, len(held_out))
    assert not samples.kl.any()
    assert samples.labels == ("length", "pattern")
    np.testing.assert_allclose(samples.scores, -samples.lengths - 2.0 * ~samples.ended)


def test_the_same_samples_come_again(evaluation: tuple[BaseModel, RolloutBatch]) -> None:
    base, held_out = evaluation
    first, second = (sample_base(base, held_out, 2) for _ in range(2))
    assert first.ids == second.ids
    assert len(set(map(tuple, first.ids))) > 1


def test_a_reward_that_needs_answers_is_refused(evaluation: tuple[BaseModel, RolloutBatch]) -> None:
    base, held_out = evaluation
    settings = PolicySettings(rewards=("metric:rouge",), max_completion_length=8)
    with pytest.raises(LabError, match="needs the answer of each row"):
        sample_base(BaseModel(base.folder, base.architecture, settings, {}), held_out, 2)
