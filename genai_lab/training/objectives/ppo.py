"""PPO: a value head says what each token was expected to earn, and the policy learns from what came otherwise."""

from dataclasses import dataclass
from typing import Any

from genai_lab.settings import check_settings, setting
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.policy_objective import PolicyObjective, PolicySettings


@dataclass(frozen=True)
class Settings(PolicySettings):
    num_generations: int = setting(1, "Completions of each prompt.", 1, 256, label="Completions per prompt")
    gamma: float = setting(1.0, "What a reward one token later is worth.", 0.0, 1.0, step=0.01, more=True)
    lam: float = setting(0.95, "How far ahead advantages look (GAE).", 0.0, 1.0, step=0.01, more=True, label="Lambda")
    vf_coef: float = setting(1.0, "Weight of the value head's loss.", 0.0, 100.0, more=True, label="Value weight")
    value_rate: float = setting(
        10.0, "The value head's learning rate, as a multiple of the policy's.", 0.01, 1000.0, more=True
    )
    cliprange_value: float = setting(
        0.0,
        "How far a value may move in an update, in units of the score; 0 is off.",
        0.0,
        100.0,
        more=True,
        label="Value clip",
    )
    whiten_rewards: bool = setting(False, "Scales rewards to the variance 1, which hides their size.", more=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(self)


class Ppo(PolicyObjective):
    name = "ppo"
    title = "Proximal policy optimisation (PPO)"
    about = "The policy writes, is rewarded, and finds what earned more than a value head expected more likely."
    source = "Schulman et al., 2017: Proximal policy optimization algorithms; Ziegler et al., 2019, for language models"
    settings = Settings
    estimator = "gae"

    def learning_rate(self, method: Any, small: bool) -> float:
        """A completion is compared with what a value head has learned so far, which is noisier than with its group."""
        return float(f"{super().learning_rate(method, small) / 2:.3g}")


OBJECTIVES.register("ppo")(Ppo())
