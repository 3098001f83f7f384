"""GRPO: what a completion earned is measured by the mean and the spread of its prompt's completions."""

from dataclasses import dataclass

from genai_lab.alignment.policy_loss import LossShape
from genai_lab.settings import check_settings, setting
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.policy_objective import LOSS_TYPES, GroupObjective, PolicySettings


@dataclass(frozen=True)
class Settings(PolicySettings):
    scale_rewards: str = setting(
        "group", "Divide by the standard deviation of the prompt's completions, or not (Dr. GRPO).",
        choices=("group", "none"), more=True,
    )  # fmt: skip
    loss_type: str = setting(
        "all tokens",
        "What the loss is averaged over: all tokens of the batch (DAPO), each completion and then those (GRPO), or the "
        "longest possible completion (Dr. GRPO).",
        choices=tuple(LOSS_TYPES), more=True,
    )  # fmt: skip
    epsilon_high: float | None = setting(
        None, "The clip above 1; empty: as below. DAPO has 0.28.", 0.0, 10.0, more=True
    )
    importance_sampling_level: str = setting(
        "token", "The ratio of each token, or one of the whole completion (GSPO).", choices=("token", "sequence"),
        more=True,
    )  # fmt: skip
    mask_truncated_completions: bool = setting(
        False, "Nothing is learned from completions that are cut by length (DAPO).", more=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(self)

    def loss_shape(self) -> LossShape:
        return LossShape(
            self.epsilon,
            self.epsilon if self.epsilon_high is None else self.epsilon_high,
            LOSS_TYPES[self.loss_type],
            self.importance_sampling_level == "sequence",
            self.max_completion_length,
        )


class Grpo(GroupObjective):
    name = "grpo"
    title = "Group relative policy optimisation (GRPO)"
    about = (
        "The policy writes several completions of a prompt and learns from how far each is above or below their mean."
    )
    source = "Shao et al., 2024: DeepSeekMath, section 4.1; with the switches of Dr. GRPO and DAPO (2025)"
    settings = Settings
    estimator = "group"


OBJECTIVES.register("grpo")(Grpo())
