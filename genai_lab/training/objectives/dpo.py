"""Direct preference optimisation: the model itself learns to find the preferred completion more likely."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from genai_lab.errors import BadSetting
from genai_lab.settings import check_settings, setting
from genai_lab.training.collating import completion_mask
from genai_lab.training.examples import EncodedPair, PairFeatures, ValidationSample
from genai_lab.training.objective import EncodingContext, FinishedRun, ModelRole, SamplingContext
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.pair_objective import PairObjective, completion_features
from genai_lab.training.plan import Architecture
from genai_lab.training.preference_data import PreferenceSettings
from genai_lab.training.token_objective import TokenObjective

if TYPE_CHECKING:
    from genai_lab.training.inputs import TrainingInputs
    from genai_lab.training.lab_trainer import LabTrainer

# Those of TRL that are a mean over pairs, so that a pair can have a weight.
LOSSES = (
    "sigmoid", "ipo", "hinge", "robust", "exo_pair", "nca_pair", "bco_pair", "sppo_hard", "apo_zero", "apo_down",
    "discopop", "sigmoid_norm",
)  # fmt: skip
SMOOTHED = ("robust", "exo_pair")
ADAPTER_SHARE = 0.5
REFERENCE = ModelRole(
    "Log-probabilities are compared with those of this model; the base, where none is given.", resident=False
)
MODELS = {"reference": REFERENCE}


@dataclass(frozen=True)
class Settings(PreferenceSettings):
    beta: float = setting(0.1, "How much it costs to move away from the base.", 0.0001, 100.0, step=0.05)
    loss_type: str = setting(
        "sigmoid", "Of the difference between the two sides, by TRL's names.", choices=LOSSES, label="Loss",
        renamed_from=("loss",),
    )  # fmt: skip
    label_smoothing: float = setting(
        0.0, "Share of pairs taken to be wrong (robust, exo_pair).", 0.0, 0.49, step=0.01, renamed_from=("smoothing",)
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.loss_type == "exo_pair" and not self.label_smoothing:
            raise BadSetting("label_smoothing", self.label_smoothing, "above 0 for the loss exo_pair, such as 0.001")
        if self.label_smoothing and self.loss_type not in SMOOTHED:
            raise BadSetting(
                "label_smoothing",
                self.label_smoothing,
                f"0 for the loss {self.loss_type}; {' and '.join(SMOOTHED)} use it",
            )


class Dpo(PairObjective):
    name = "dpo"
    title = "Direct preference optimisation (DPO)"
    about = "The model learns to find the preferred completion of a pair more likely than before, and the other less."
    source = (
        "Rafailov et al., 2023: Direct preference optimization, your language model is secretly a reward model, eq. 7"
    )
    architectures: tuple[Architecture, ...] = ("decoder-only",)
    models = MODELS
    settings = Settings
    passes_without_learning = 1
    rate_share = 0.05
    learns_policy = True

    def learning_rate(self, method: Any, small: bool) -> float:
        """Adapters of larger models bear half the rate of text; a twentieth leaves them where they were."""
        if small or method.artefact == "model":
            return super().learning_rate(method, small)
        return ADAPTER_SHARE * method.large_rate

    def features(self, example: EncodedPair, context: EncodingContext, rng: random.Random) -> PairFeatures:
        chosen, rejected = (completion_features(side) for side in (example.chosen, example.rejected))
        return PairFeatures(chosen, rejected, example.weight if context.settings.use_weights else 1.0)

    def collate(self, rows: Sequence[PairFeatures], context: EncodingContext) -> dict[str, Any]:
        """With completion_mask (2B, T), and ref_chosen_logps and ref_rejected_logps (B,) where they are known."""
        import torch

        batch = super().collate(rows, context)
        batch["completion_mask"] = completion_mask(batch.pop("labels"))
        references = [row.reference for row in rows if row.reference is not None]
        if references and len(references) == len(rows):
            batch["ref_chosen_logps"], batch["ref_rejected_logps"] = torch.tensor(references, dtype=torch.float32).T
        return batch

    def trainer(self, architecture: Architecture) -> "type[LabTrainer]":
        from genai_lab.training.trainers.dpo import DirectPreferenceTrainer

        return DirectPreferenceTrainer

    def samples(self, features: Sequence[PairFeatures], context: SamplingContext) -> list[ValidationSample]:
        """Its own completion beside the chosen one."""
        return TokenObjective().samples([row.chosen for row in features], context)

    def reward_of(self, run: FinishedRun) -> Any:
        from genai_lab.training.implicit_reward import ImplicitReward

        return ImplicitReward(cast("TrainingInputs", run.inputs), run.out, run.device)


OBJECTIVES.register("dpo")(Dpo())
