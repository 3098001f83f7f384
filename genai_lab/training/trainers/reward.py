"""Reward models: TRL's RewardTrainer on our pairs."""

from types import SimpleNamespace
from typing import Any

import torch
from trl import RewardConfig, RewardTrainer

from genai_lab.training.lab_trainer import TrainingSetup, arguments, checkpoints
from genai_lab.training.trainers.new_head import has_new_head, start_from_probe
from genai_lab.training.trainers.pairs import PairTrainer, Sides


class RewardModelTrainer(PairTrainer, RewardTrainer):
    """-log sigmoid(r(chosen) - r(rejected) - margin) (Ouyang et al., 2022, eq. 1)."""

    def __init__(self, setup: TrainingSetup) -> None:
        settings = setup.inputs.objective_settings
        settings_of_trl = {
            "center_rewards_coefficient": settings.center_rewards_coefficient or None,
            "disable_dropout": False,
        }
        if settings.dropout is not None:
            for part in setup.module.modules():
                if isinstance(part, torch.nn.Dropout):
                    part.p = settings.dropout
        super().__init__(
            setup, args=arguments(setup.inputs, setup.out, RewardConfig, max_length=None, **settings_of_trl)
        )
        if has_new_head(self.model) and not checkpoints(setup.out):
            start_from_probe(self, self.train_features)

    def read(self, model: Any, inputs: dict[str, Any]) -> Any:
        out = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        return SimpleNamespace(logits=out.logits.float())

    def rewards(self, outputs: Any, inputs: dict[str, Any]) -> Sides:
        chosen, rejected = outputs.logits.squeeze(-1).chunk(2)
        return chosen, rejected

    def mean_loss(self, outputs: Any, inputs: dict[str, Any]) -> torch.Tensor:
        return RewardTrainer.compute_loss(self, lambda **_: outputs, inputs)
