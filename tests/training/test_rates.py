"""The learning rate that a plan without one means."""

import pytest

from genai_lab.context import LabContext
from genai_lab.services.training import estimates, resolve
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from genai_lab.training.learning_rates import default_rate
from genai_lab.training.methods import METHODS


@pytest.mark.parametrize(
    ("method", "objective", "parameters", "rate"),
    [
        ("lora", "instruction", 3_700_000, 2e-3),
        ("lora", "instruction", 10_000_000, 2e-3),
        ("lora", "instruction", 135_000_000, 2e-4),
        ("dora", "instruction", 135_000_000, 2e-4),
        ("qlora", "instruction", 7_000_000_000, 2e-4),
        ("full", "instruction", 3_700_000, 3e-4),
        ("full", "instruction", 135_000_000, 2e-5),
        ("full", "reward", 3_700_000, 5e-4),
        ("full", "reward", 135_000_000, 1e-5),
        ("lora", "dpo", 135_000_000, 1e-4),
        ("full", "dpo", 135_000_000, 1e-6),
        ("lora", "instruction", None, 2e-4),
    ],
)
def test_the_rate_suits_method_objective_and_size(
    method: str, objective: str, parameters: int | None, rate: float
) -> None:
    assert default_rate(method, objective, parameters) == rate


@pytest.mark.parametrize("method", METHODS)
def test_large_models_never_learn_faster(method: str) -> None:
    assert 0 < default_rate(method, "instruction", 10**8) < default_rate(method, "instruction", 10**6)


def test_a_plan_s_own_rate_wins_and_an_empty_one_is_told(lab: LabContext) -> None:
    parts = (DatasetSpec("pairs", ("plain",)),)
    empty = TrainingPlan("llama", parts, training=Training(max_length=64))
    supplied = TrainingPlan("llama", parts, training=Training(max_length=64, learning_rate=7e-4))
    rates = [resolve(lab, plan).learning_rate for plan in (empty, supplied)]
    assert rates == [2e-3, 7e-4]
    assert estimates.usual_rate(lab, "llama", "instruction", "lora") == 2e-3
