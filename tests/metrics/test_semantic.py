"""Semantic similarity: cosines by hand, and through the lab with the model's hash in the signature."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from genai_lab.context import LabContext
from genai_lab.errors import LabError, ModelError
from genai_lab.metrics import measure, requirements, settings_of
from genai_lab.metrics.base import METRICS
from genai_lab.models import bert_scorer
from genai_lab.services import scorers
from tests.fake_lab import fake_lab as fake_lab
from tests.models.test_embedder import small_bert
from tests.tiny import open_lab

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
    with pytest.raises(LabError, match="is not an encoder"):
        scorers.check(fake_lab, "semantic_similarity", settings_of("semantic_similarity", {"model": "fake"}))
    with pytest.raises(LabError, match="asks a model, and none is named"):
        scorers.check(fake_lab, "best_of_k", settings_of("best_of_k", {"metric": "reward"}))


def test_bertscore_is_refused_in_a_sentence_without_its_library(
    fake_lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bert_scorer.importlib.util, "find_spec", lambda name: None)
    settings = METRICS.get("bertscore").settings()
    for ask in (scorers.check, scorers.scorer_for):
        with pytest.raises(ModelError, match="needs the package bert-score; install it"):
            ask(fake_lab, "bertscore", settings)


class Halves:
    bert_score_signature = "halves"

    def bert_scores(self, texts: list[str], references: list[list[str]]) -> np.ndarray:
        assert all(text.strip() for text in texts)
        assert all(text.strip() for several in references for text in several)
        return np.full((len(texts), 3), 0.5)


def test_bertscore_gives_an_empty_text_nothing() -> None:
    result = measure("bertscore", ["a", " ", "b", "c"], [["x", ""], ["y"], [""], ["z"]], model=Halves())
    assert result.figures["bertscore_f1"].sample.values == [0.5, 0.0, 0.0, 0.5]


@pytest.mark.skipif(importlib.util.find_spec("bert_score") is None, reason="bert-score is not installed")
def test_bertscore_is_that_of_its_library(tmp_path: Path) -> None:
    from bert_score import BERTScorer

    folder = small_bert(tmp_path / "folders" / "bert")
    lab = open_lab(tmp_path / "home", bert=folder)
    texts, references = ["a red dog", "some rain"], [["the red dog", "a dog"], ["it rains"]]
    settings = settings_of("bertscore", {"model": "bert", "layer": 1})
    result = measure("bertscore", texts, references, settings, model=scorers.scorer_for(lab, "bertscore", settings))
    plain = BERTScorer(model_type=str(folder), num_layers=1, device="cpu", use_fast_tokenizer=True)
    plain._tokenizer.model_max_length = 64
    expected = [part.tolist() for part in plain.score(texts, references)]
    names = ("bertscore_precision", "bertscore_recall", "bertscore_f1")
    assert [result.figures[name].sample.values for name in names] == [pytest.approx(row, abs=1e-6) for row in expected]
    assert "|layer 1|no idf|not rescaled|bert-score" in result.signature
    assert lab.models.loaded()["bert (BERTScore, layer 1)"].memory_bytes > 0
    with pytest.raises(ModelError, match="has 2 layers, so there is no layer 9"):
        scorers.scorer_for(lab, "bertscore", settings_of("bertscore", {"model": "bert", "layer": 9}))
    lab.close()


def test_what_a_metric_reads_depends_on_its_settings() -> None:
    best = METRICS.get("best_of_k")
    assert requirements(best, best.settings()) == requirements(METRICS.get("rouge"), None)
    reward = requirements(best, settings_of("best_of_k", {"metric": "reward", "model": "r"}))
    assert (reward.references, reward.scorer, reward.model) == (False, "pairs", "r")
    perplexity = METRICS.get("perplexity")
    assert requirements(perplexity, perplexity.settings()).scorer == "texts"
