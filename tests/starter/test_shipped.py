"""What is shipped as a whole: every model loads without code of its own, all are small, each has a card."""

import json
from pathlib import Path

import pytest

from genai_lab.starter.build import NAMES

WEIGHTS = Path(__file__).resolve().parents[2] / "genai_lab" / "starter" / "weights"

pytestmark = pytest.mark.skipif(
    not all((WEIGHTS / name / "model.safetensors").exists() for name in NAMES),
    reason="not all starter models have been built; run `make starter`",
)


def test_all_weights_together_are_small() -> None:
    sizes = {name: (WEIGHTS / name / "model.safetensors").stat().st_size for name in NAMES}
    assert max(sizes.values()) <= 20e6
    assert sum(sizes.values()) <= 50e6


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_is_loaded_and_none_is_made_up(name: str) -> None:
    import transformers

    head = json.loads((WEIGHTS / name / "config.json").read_text())["architectures"][0]
    model, info = getattr(transformers, head).from_pretrained(
        WEIGHTS / name, use_safetensors=True, trust_remote_code=False, output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert all(weight.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_cards_hold_the_figures_that_were_measured(name: str) -> None:
    card = (WEIGHTS / name / "README.md").read_text(encoding="utf-8")
    measured = json.loads((WEIGHTS / name / "evaluation.json").read_text(encoding="utf-8"))
    assert measured
    for figure in measured:
        assert f"| {figure['name']} |" in card
        assert figure["low"] - 1e-9 <= figure["value"] <= figure["high"] + 1e-9
    assert "## Limits" in card
    assert "seed" in card.lower()
