"""Semantic similarity: cosines by hand, and through the lab with the model's hash in the signature."""

from collections.abc import Sequence

import numpy as np
import pytest

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.metrics import measure, requirements, settings_of
from genai_lab.metrics.base import METRICS
from genai_lab.services import scorers
from tests.fake_lab import fake_lab as fake_lab

ANGLES = {"east": 0, "north": 90, "north-east": 45, "west": 180, "": 30}


class Compass:
    """Vectors of any length in known directions."""

    signature = "model:compass|hash:0123456789ab"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        angles = np.radians([ANGLES[text] for text in texts])
        return 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_the_nearest_reference_counts_and_an_empty_completion_has_none() -> None:
    references = [["north", "north-east"], ["west"], ["east"], ["east"]]
    result = measure("semantic_similarity", ["east", "east", "east", ""], references, model=Compass())
    values = result.figures["semantic_similarity"].sample.values
    assert values == pytest.approx([np.cos(np.pi / 4), -1.0, 1.0, 0.0], abs=1e-6)
    assert result.signature == "model:compass|hash:0123456789ab|nearest reference"
    with pytest.raises(LabError, match="needs an embedder"):
        measure("semantic_similarity", ["east"], [["east"]])


def test_the_lab_finds_the_embedder_and_names_its_hash(fake_lab: LabContext) -> None:
    settings = settings_of("semantic_similarity", {"model": "fake-embedder"})
    scorer = scorers.scorer_for(fake_lab, "semantic_similarity", settings)
    result = measure("semantic_similarity", ["a red dog"], [["a red cat"]], settings, model=scorer)
    assert result.figures["semantic_similarity"].value == pytest.approx(2 / 3)
    assert result.signature.startswith(f"model:fake-embedder|hash:{scorer.hash[:12]}|")
    for name in ("semantic_similarity", "best_of_k"):
        scorers.check(fake_lab, name, METRICS.get(name).settings())
    with pytest.raises(LabError, match="is no encoder"):
        scorers.check(fake_lab, "semantic_similarity", settings_of("semantic_similarity", {"model": "fake"}))
    with pytest.raises(LabError, match="asks a model, and none is named"):
        scorers.check(fake_lab, "best_of_k", settings_of("best_of_k", {"metric": "reward"}))


def test_what_a_metric_reads_depends_on_its_settings() -> None:
    best = METRICS.get("best_of_k")
    assert requirements(best, best.settings()) == requirements(METRICS.get("rouge"), None)
    reward = requirements(best, settings_of("best_of_k", {"metric": "reward", "model": "r"}))
    assert (reward.references, reward.scorer, reward.model) == (False, "pairs", "r")
    perplexity = METRICS.get("perplexity")
    assert requirements(perplexity, perplexity.settings()).scorer == "texts"
