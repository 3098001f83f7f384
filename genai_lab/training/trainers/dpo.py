"""DPO: TRL's DPOTrainer on our pairs, with log-probabilities of the reference that are read once."""

from types import SimpleNamespace
from typing import Any

import torch
from trl import DPOConfig, DPOTrainer

from genai_lab.training.examples import IGNORED
from genai_lab.training.lab_trainer import TrainingSetup, arguments
from genai_lab.training.trainers.pairs import PairTrainer, Sides
from genai_lab.training.trainers.references import ReferencedTrainer


class DirectPreferenceTrainer(PairTrainer, ReferencedTrainer, DPOTrainer):
    """-log sigmoid(beta ((log p / p0)(chosen) - (log p / p0)(rejected))), p0 the reference (Rafailov et al., 2023, eq.
    7).
    """

    def __init__(self, setup: TrainingSetup) -> None:
        settings = setup.inputs.objective_settings
        settings_of_trl = {
            "beta": settings.beta,
            "loss_type": [settings.loss_type],
            "label_smoothing": settings.label_smoothing,
        }
        args = arguments(
            setup.inputs, setup.out, DPOConfig, max_length=None, router_aux_loss_coef=0.0, **settings_of_trl
        )
        super().__init__(setup, args=args, ref_model=AbsentModel(setup.module.config))
        self.ref_model, self.precompute_ref_logps = None, True
        self.read_references()

    def reference_values(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        inputs = {name: value for name, value in batch.items() if name not in ("weight", "margin")}
        return torch.stack(self.compute_ref_log_probs(model, inputs), 1)

    def prepare_reference(self, module: Any) -> Any:
        return with_fused_head(module)

    def read(self, model: Any, inputs: dict[str, Any]) -> Any:
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, IGNORED)
        out = model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], labels=labels, use_cache=False,
            fused_lm_head=True,
        )  # fmt: skip
        names = ("log_probs", "entropy", "mean_logits", "is_top1")
        return SimpleNamespace(**{name: getattr(out, name) for name in names})

    def rewards(self, outputs: Any, inputs: dict[str, Any]) -> Sides:
        """beta times the log-ratio of each side: the implicit reward (Rafailov et al., 2023, section 4)."""
        log_probs = outputs.log_probs[:, -(inputs["input_ids"].shape[1] - 1) :].sum(1)
        chosen, rejected = log_probs.chunk(2)
        return self.beta * (chosen - inputs["ref_chosen_logps"]), self.beta * (rejected - inputs["ref_rejected_logps"])

    def mean_loss(self, outputs: Any, inputs: dict[str, Any]) -> torch.Tensor:
        batch = {name: value for name, value in inputs.items() if name != "margin"}
        return DPOTrainer.compute_loss(self, lambda **_: outputs, batch)


class AbsentModel(torch.nn.Module):
    """Stands where TRL expects a reference model, since it would copy the adapter without one."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


def with_fused_head(module: Any) -> Any:
    """The module with TRL's head, which returns log-probabilities of the labels."""
    from trl.trainer.utils import add_fused_lm_head

    add_fused_lm_head(module)
    return module
