"""Models of all roles in one cache and one budget: classifier, generator, reward model, an endpoint as judge."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import ModelError
from genai_lab.metrics import METRICS, measure
from genai_lab.models import Prompt, Source
from genai_lab.models.starter import WEIGHTS
from genai_lab.services import generation, models, rewards, scorers
from tests.models.servers import SmallEndpoint, serving
from tests.tiny import open_lab, random_model


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabContext]:
    lab = open_lab(tmp_path / "home", tiny=random_model(tmp_path / "folders" / "tiny"))
    yield lab
    lab.close()


def reward_folder(folder: Path) -> Path:
    """A classifier with one output over the tiny model."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    base = random_model(folder.parent / "base")
    module = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    module.config.id2label, module.config.pad_token_id = {0: "reward"}, 0
    module.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


@pytest.mark.skipif(not (WEIGHTS / "starter-toxicity").is_dir(), reason="the starter's weights are not here")
def test_roles_share_one_budget_and_nothing_is_loaded_twice(lab: LabContext, tmp_path: Path) -> None:
    models.add(lab, "reward", Source("local", str(reward_folder(tmp_path / "folders" / "reward"))))
    assert models.show(lab, "reward").card.role == "reward"
    judged = generation.generate(lab, "tiny", Prompt("Once"), Sampling(max_new_tokens=2, seed=1))
    metric = METRICS.get("reward")
    texts, inputs = [judged.completions[0].text, "no"], ["Once", "Once"]
    reward_metric = scorers.scorer_for(lab, "reward", metric.settings(model="reward"), inputs)
    direct = rewards.score(lab, "reward", inputs, texts)
    assert reward_metric is not None
    assert list(reward_metric.scores(texts)) == pytest.approx(direct)
    scorers.CachedScorer(lab, models.show(lab, "starter-toxicity").card).scores(texts)
    loaded = lab.models.loaded()
    assert set(loaded) == {"tiny", "reward", "starter-toxicity"}
    assert lab.models.used_bytes == sum(state.memory_bytes for state in loaded.values()) <= lab.models.budget_bytes

    # The budget holds two of them: whoever was used last stays, whatever its role.
    needs = sorted(models.show(lab, name).card.memory_bytes or 0 for name in loaded)
    lab.models.budget_bytes = needs[-1] + needs[-2]
    for name in loaded:
        models.unload(lab, name)
    generation.generate(lab, "tiny", Prompt("Once"), Sampling(max_new_tokens=2, seed=1))
    assert lab.models.used_bytes <= lab.models.budget_bytes
    assert "tiny" in lab.models.loaded()
    rewards.score(lab, "reward", inputs, texts)
    scorers.CachedScorer(lab, models.show(lab, "starter-toxicity").card).scores(texts)
    assert lab.models.used_bytes <= lab.models.budget_bytes
    assert "starter-toxicity" in lab.models.loaded()


def test_an_endpoint_judges_by_log_probabilities_where_it_echoes_them(lab: LabContext) -> None:
    endpoint = SmallEndpoint()

    def echo(handler: Any, body: dict[str, Any]) -> None:
        tokens = body["prompt"].split(" ")
        offsets = [body["prompt"].index(token) for token in tokens]
        logprobs = {
            "token_logprobs": [None, *(-0.5 for _ in tokens[1:]), -9.0],
            "text_offset": [*offsets, len(body["prompt"])],
        }
        handler.send_json(200, {"choices": [{"text": body["prompt"] + " x", "logprobs": logprobs}]})

    endpoint.answer = echo
    with serving(endpoint.handler()) as address:
        models.add(lab, "far", Source("endpoint", address, remote_name="tiny"))
        settings = METRICS.get("perplexity").settings(model="far")
        judge = scorers.scorer_for(lab, "perplexity", settings)
        measured = measure("perplexity", ["one two three"], [[]], settings, model=judge)
        assert measured.figures["perplexity"].value == pytest.approx(2.718281828**0.5, rel=1e-6)
        path, body = endpoint.received[-1]
        assert path.endswith("/completions")
        assert json.dumps(body["echo"]) == "true"
        assert lab.models.loaded()["far (judge)"].memory_bytes == 0
        endpoint.answer = lambda handler, body: handler.send_json(200, {"choices": [{"text": "x", "logprobs": None}]})
        with pytest.raises(ModelError, match="does not echo the log-probabilities"):
            judge.log_probabilities(["one two"])  # type: ignore[union-attr]
        endpoint.answer = lambda handler, body: handler.send_json(400, {"error": {"message": "echo is not supported"}})
        with pytest.raises(ModelError, match="does not echo the log-probabilities"):
            judge.log_probabilities(["one two"])  # type: ignore[union-attr]
        with pytest.raises(ModelError, match="no label probabilities"):
            judge.scores(["one"])  # type: ignore[union-attr]
