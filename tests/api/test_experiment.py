"""One experiment by the API alone, from a completion to a policy with its lineage, on one page of code.

Completions come from fake models, training and evaluation from the starters; jobs run in the test's own process.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import genai_lab as gl
from tests.inline_jobs import wait_inline

PROMPTS = [f"Tell a story about a {animal}." for animal in ("cat", "dog", "fox", "owl", "bee", "ant", "hen", "cow")]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[gl.Lab]:
    monkeypatch.setattr("genai_lab.services.jobs.wait", wait_inline)
    with gl.open(tmp_path / "lab_data", device="cpu") as lab:
        yield lab


# The examples take the same ways by default, in parts.
@pytest.mark.full
def test_an_experiment_from_the_first_completion_to_a_policy(lab: gl.Lab, tmp_path: Path) -> None:
    assert lab.generate("fake-completion", "Once there was", temperature=0.7, max_new_tokens=4, seed=1).text

    reviews = lab.datasets.load("starter:sentiment", rows={"train": 16, "validation": 4, "test": 4})
    tuned = lab.finetune(
        "starter-causal", reviews, method="lora", template="classify-review", max_steps=2, name="tuned"
    )
    result = lab.evaluate(
        ["starter-causal", tuned], reviews, template="classify-review", metrics=["exact_match", "token_f1"],
        shots=[0, 4], max_new_tokens=3,
    ).wait()  # fmt: skip
    assert tuned.status == "finished"
    assert len(result.to_pandas()) == 2 * 2 * 2, "models x shots x metrics"
    result.report(tmp_path / "report.html")
    assert "token_f1" in (tmp_path / "report.html").read_text()

    campaign = lab.campaigns.create(
        "Which is better?", prompts=PROMPTS, models=["fake-completion"], n=3, max_new_tokens=6, open=True
    ).wait()
    assert "/rank" in campaign.invite("ann").path
    assert campaign.annotate("ann", lambda prompt, texts: texts.index(max(texts, key=len))) >= len(PROMPTS)
    pairs = campaign.preferences()
    reward = lab.train_reward(pairs, base="starter-toxicity", max_steps=2).wait()
    policy = lab.finetune("starter-causal", pairs, objective="dpo", max_steps=2).wait()
    first, second = lab.score(reward.model, ["Tell a story."] * 2, ["Once there was a cat.", "No."])
    assert first != second

    lineage = policy.lineage()
    (votes,) = lineage.of("campaign")
    assert {vote["annotator"] for vote in votes.detail["rankings"]} == {"ann"}
    assert {node.name for node in lineage.of("model")} == {policy.model, "starter-causal", "fake-completion"}
    assert f"model {lab.models[reward.model].id}" in lab.lineage("fake-completion").downstream
    for thing in (tuned, result, campaign, pairs, policy):
        assert json.loads(json.dumps(thing.as_dict()))
        assert thing.url.startswith("/")
    assert policy.replay().model != policy.model
