"""The new head of a reward model begins as a linear probe; one that a base has stays."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from genai_lab.training.loading import load_tokenizer
from genai_lab.training.training_loop import prepare_run
from tests.training.models import Told, tiny
from tests.training.test_contract import work_of


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {kind: tiny(folder / kind, kind) for kind in ("llama", "roberta")}


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
def test_a_new_head_begins_as_the_optimum_of_a_penalised_logistic_regression(
    bases: dict[str, Path], tmp_path: Path, method: str
) -> None:
    work = work_of(bases, tmp_path, method, "decoder-only", "reward", max_steps=12, eval_steps=12)
    trainer = trainer_of(work, tmp_path)
    rows = [trainer.train_features[place] for place in range(len(trainer.train_features))]
    unlike = list({tuple(row.chosen.ids + row.rejected.ids): row for row in rows}.values())
    chosen, rejected = last_states(trainer, unlike).chunk(2)
    [name] = [name for name in trainer.trained if name.endswith("score.weight") or ".score." in name]
    weight = dict(trainer.model.named_parameters())[name].detach().clone()
    mean = (chosen + rejected).mean(0)
    assert float(abs(weight[0] @ mean)) < 1e-4 * float(weight.norm() * mean.norm())
    differences = chosen - rejected
    differences = differences - torch.outer(differences @ mean, mean) / (mean @ mean)
    scale = differences.std(correction=0)
    margins = differences @ weight[0]
    assert float((margins > 0).float().mean()) > 0.6
    # Where sum log(1 + exp(-m)) + |w|^2 / (2 C) is least, its slope is none; w and m in units of the scale.
    slope = -(torch.sigmoid(-margins)[:, None] * differences / scale).sum(0) + weight[0] * scale / 0.03
    assert float(slope.abs().max()) < 1e-2 * float((weight[0] * scale / 0.03).abs().max())


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
