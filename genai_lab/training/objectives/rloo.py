"""RLOO: what a completion earned is compared with the other completions of its prompt."""

from dataclasses import dataclass

from genai_lab.settings import check_settings
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.policy_objective import GroupObjective, PolicySettings


@dataclass(frozen=True)
class Settings(PolicySettings):
    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(self)


class Rloo(GroupObjective):
    name = "rloo"
    title = "REINFORCE leave-one-out (RLOO)"
    about = (
        "The policy writes several completions of a prompt and finds those that earned more than the others likelier."
    )
    source = "Ahmadian et al., 2024: Back to basics, revisiting REINFORCE-style optimization, section 3.3"
    settings = Settings
    estimator = "rloo"


OBJECTIVES.register("rloo")(Rloo())
