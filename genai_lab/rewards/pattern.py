"""Whether a completion keeps to a form, told by a regular expression or by words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from genai_lab.errors import BadSetting
from genai_lab.rewards.base import REWARDS, RewardInput, RewardKind
from genai_lab.settings import check_settings, setting

LONGEST = 20_000  # characters of a completion that are searched


@dataclass(frozen=True)
class Settings:
    pattern: str = setting(r"\S", "A regular expression (Python's re) that is searched in the completion.")
    count: bool = setting(False, "How often it occurs, instead of whether it does.")

    def __post_init__(self) -> None:
        check_settings(self)
        try:
            re.compile(self.pattern)
        except re.error as problem:
            raise BadSetting("pattern", self.pattern, f"a regular expression ({problem})") from None


class PatternReward(RewardKind):
    name = "pattern"
    title = "Pattern"
    about = "1 where a regular expression occurs in the completion, else 0; or how often it occurs."
    settings = Settings

    def values(self, items: Sequence[RewardInput], target: str, settings: Settings, model: object) -> list[float]:
        pattern = re.compile(settings.pattern)
        counts = [sum(1 for _ in pattern.finditer(item.completion[:LONGEST])) for item in items]
        return [float(count if settings.count else count > 0) for count in counts]


REWARDS.register("pattern")(PatternReward())
