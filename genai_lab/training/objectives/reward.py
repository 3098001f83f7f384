"""Reward modelling: a score for a completion given its prompt, learned from which of two was preferred."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genai_lab.settings import check_settings, setting
from genai_lab.training.examples import IGNORED, EncodedPair, PairFeatures, TokenFeatures, ValidationSample
from genai_lab.training.generation import decode
from genai_lab.training.module_kinds import SCORER
from genai_lab.training.objective import EncodingContext, FinishedRun, RunInputs, SamplingContext
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.pair_objective import PairObjective, common_start
from genai_lab.training.plan import Architecture
from genai_lab.training.preference_data import PreferenceSettings

if TYPE_CHECKING:
    from genai_lab.training.lab_trainer import LabTrainer

ENCODER_DROPOUT = 0.3  # a few hundred pairs are soon memorised
SMALL_FULL_RATE = 5e-4


@dataclass(frozen=True)
class Settings(PreferenceSettings):
    center_rewards_coefficient: float = setting(
        0.01, "Pulls the mean score of a pair towards 0.", 0.0, 10.0, step=0.01, label="Centering",
        renamed_from=("centring",),
    )  # fmt: skip
    dropout: float | None = setting(
        None, "Share of the activations left out while learning. Empty: the base's own.", 0.0, 0.9, step=0.05
    )
    use_margin: bool = setting(False, "The chosen score must exceed the rejected one by the column margin.")

    def __post_init__(self) -> None:
        check_settings(self)


class Reward(PairObjective):
    name = "reward"
    title = "Reward model"
    about = "The model learns to score completions: the preferred one of a pair is to get the higher score."
    source = "Ouyang et al., 2022: Training language models to follow instructions with human feedback, eq. 1"
    architectures: tuple[Architecture, ...] = ("decoder-only", "encoder")
    module_kind = SCORER
    settings = Settings
    passes_without_learning = 1
    rate_share = 0.5
    learns_reward = True

    def learning_rate(self, method: Any, small: bool) -> float:
        """Small bases that are trained whole need a gentler rate than for text."""
        return SMALL_FULL_RATE if small and method.trains_everything else super().learning_rate(method, small)

    def default_settings(self, architecture: Architecture) -> dict[str, Any]:
        return {"dropout": ENCODER_DROPOUT} if architecture == "encoder" else {}

    def features(self, example: EncodedPair, context: EncodingContext, rng: random.Random) -> PairFeatures:
        sides = [side.ids + side.target for side in (example.chosen, example.rejected)]
        chosen, rejected = (TokenFeatures(ids, [IGNORED] * len(ids)) for ids in sides)
        weight = example.weight if context.settings.use_weights else 1.0
        margin = example.margin if context.settings.use_margin else 0.0
        return PairFeatures(chosen, rejected, weight, margin)

    def collate(self, rows: Sequence[PairFeatures], context: EncodingContext) -> dict[str, Any]:
        batch = super().collate(rows, context)
        del batch["labels"]
        return batch

    def trainer(self, architecture: Architecture) -> "type[LabTrainer]":
        from genai_lab.training.trainers.reward import RewardModelTrainer

        return RewardModelTrainer

    def samples(self, features: Sequence[PairFeatures], context: SamplingContext) -> list[ValidationSample]:
        """Both scores; the prompt is what both sides begin with."""
        tokenizer, module = context.encoding.tokenizer, context.module
        batch = self.collate(features, context.encoding)
        inputs = {name: batch[name].to(module.device) for name in ("input_ids", "attention_mask")}
        scores = [side.tolist() for side in module(**inputs).logits.float()[:, 0].chunk(2)]
        samples = []
        for row, chosen, rejected in zip(features, *scores, strict=True):
            first, second = row.chosen.ids, row.rejected.ids
            common = common_start(first, second)
            both = f"{decode(tokenizer, first[common:])} ≻ {decode(tokenizer, second[common:])}"
            verdict = "right" if chosen > rejected else "wrong"
            samples.append(
                ValidationSample(
                    decode(tokenizer, first[:common]), both, f"{chosen:+.2f} against {rejected:+.2f} ({verdict})"
                )
            )
        return samples

    def finish(self, module: Any, inputs: RunInputs) -> None:
        """The configuration says in which form prompts are read."""
        from genai_lab.models.reward_model import PROMPT_FORMAT

        setattr(module.config, PROMPT_FORMAT, "chat" if inputs.chat else "plain")

    def reward_of(self, run: FinishedRun) -> Any:
        from genai_lab.models.reward_model import RewardModel

        return RewardModel(run.card, run.device)


OBJECTIVES.register("reward")(Reward())
