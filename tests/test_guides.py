"""The guides of docs/how_to: their code runs against the real registries."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from genai_lab.alignment.estimators import ESTIMATORS
from genai_lab.metrics import METRICS
from genai_lab.models import BACKENDS
from genai_lab.prompts.few_shot import SELECTORS
from genai_lab.recipes import RECIPES
from genai_lab.rewards import REWARDS
from genai_lab.services.jobs.handlers import HANDLERS
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES

GUIDES = sorted((Path(__file__).resolve().parents[1] / "docs" / "how_to").glob("*.md"))
NAMES = ["backend", "estimator", "job_kind", "method", "metric", "objective", "page", "recipe", "reward", "selector"]
REGISTERED = (
    (METRICS, "same_length"),
    (BACKENDS, "canned"),
    (SELECTORS, "longest"),
    (HANDLERS, "count_rows"),
    (METHODS, "norm_factors"),
    (OBJECTIVES, "focal"),
    (RECIPES, "emails"),
    (REWARDS, "same_start"),
    (ESTIMATORS, "batch_mean"),
)


@pytest.fixture(autouse=True)
def registries_as_before() -> Iterator[None]:
    yield
    for registry, name in REGISTERED:
        registry.drop(name)


def test_there_is_a_guide_for_each_extension() -> None:
    assert [path.stem for path in GUIDES] == NAMES


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_the_code_of_a_guide_runs(path: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    code = "\n".join(blocks)
    assert "assert " in code
    file = tmp_path / f"guide_{path.stem}.py"
    file.write_text(code, encoding="utf-8")
    exec(compile(code, str(file), "exec"), {"__name__": f"guide_{path.stem}"})
