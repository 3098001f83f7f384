"""The new head of a reward model begins as a linear probe; one that a base has stays."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import logsigmoid
from transformers import AutoModelForSequenceClassification

from genai_lab.training.loading import load_tokenizer
from genai_lab.training.trainers import new_head
from genai_lab.training.trainers.new_head import RIDGE
from genai_lab.training.training_loop import prepare_run
from tests.training.models import Told, tiny
from tests.training.test_contract import work_of


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {kind: tiny(folder / kind, kind) for kind in ("llama", "roberta")}


@pytest.fixture(autouse=True)
def every_base_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_head, "SMALL", 1000)


def trainer_of(work: Any, folder: Path) -> Any:
    return work.objective.trainer(work.architecture)(prepare_run(work, folder, folder / "out", Told()))


def last_states(trainer: Any, rows: list[Any]) -> torch.Tensor:
    """(2B, H) states of the trunk at the last token that is no padding, chosen sides first."""
    batch = trainer.collate(rows)
    trunk = trainer.model.get_base_model() if hasattr(trainer.model, "get_base_model") else trainer.model
    with torch.no_grad():
        states = trunk.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    ends = (batch["input_ids"] != trunk.config.pad_token_id).cumsum(1).argmax(1)
    return states[torch.arange(len(states)), ends]


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_new_head_begins_where_the_run_s_own_loss_is_least(
    bases: dict[str, Path], tmp_path: Path, method: str
) -> None:
    work = work_of(bases, tmp_path, method, "decoder-only", "reward")
    trainer = trainer_of(work, tmp_path)
    every = replace(trainer.train_features, indices=[(0, n) for n in range(len(trainer.train_features.examples[0]))])
    chosen, rejected = last_states(trainer, [every[place] for place in range(len(every))]).double().chunk(2)
    scale = (chosen - rejected).std(correction=0)
    [name] = [name for name in trainer.trained if ".score." in f".{name}"]
    weights = (dict(trainer.model.named_parameters())[name].detach().double()[0] * scale).requires_grad_()
    apart, together = ((chosen - rejected) / scale) @ weights, ((chosen + rejected) / scale) @ weights
    loss = -logsigmoid(apart) + work.objective_settings.center_rewards_coefficient * together**2
    (loss.sum() + weights.square().sum() / (2 * RIDGE)).backward()
    assert float(weights.detach().norm()) > 0
    assert weights.grad is not None
    assert float(weights.grad.norm()) < 1e-2 * float(weights.detach().norm()) / RIDGE
    assert float((apart > 0).double().mean()) > 0.6


def test_the_head_of_a_base_that_has_one_stays(bases: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "scored"
    module = AutoModelForSequenceClassification.from_pretrained(bases["llama"], num_labels=1)
    module.config.pad_token_id = 1
    module.save_pretrained(folder)
    load_tokenizer(bases["llama"]).save_pretrained(folder)
    work = work_of({"llama": folder}, tmp_path, "full", "decoder-only", "reward")
    trainer = trainer_of(work, tmp_path)
    assert torch.equal(trainer.model.score.weight, module.score.weight)


def test_an_encoder_s_head_is_left_as_it_is(bases: dict[str, Path], tmp_path: Path) -> None:
    work = work_of(bases, tmp_path, "full", "encoder", "reward")
    setup = prepare_run(work, tmp_path, tmp_path / "out", Told())
    before = setup.module.classifier.out_proj.weight.detach().clone()
    trainer = work.objective.trainer(work.architecture)(setup)
    assert torch.equal(trainer.model.classifier.out_proj.weight, before)


def test_a_small_base_keeps_its_random_head(
    bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_head, "SMALL", 10_000_000)
    work = work_of(bases, tmp_path, "full", "decoder-only", "reward")
    setup = prepare_run(work, tmp_path, tmp_path / "out", Told())
    before = setup.module.score.weight.detach().clone()
    assert torch.equal(work.objective.trainer(work.architecture)(setup).model.score.weight, before)
