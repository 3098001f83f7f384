"""The parts of a score as text, which is how plans, forms and commands hold them.

    reward_model:polite
    classifier:starter-toxicity label="not toxic"
    -0.05 * length
    0 * metric:rouge

A weight stands before an asterisk (1 without one; 0 measures a part that is not learned), then the kind, then behind a
colon the model or metric, then settings as name=value.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from genai_lab.errors import BadSetting, LabError
from genai_lab.rewards.base import REWARDS, RewardKind
from genai_lab.settings import parse_setting, read_settings

_PART = re.compile(r"^(?:(?P<weight>[-+]?[0-9.]+(?:e[-+]?[0-9]+)?)\s*\*\s*)?(?P<kind>[a-z_]+)(?P<rest>.*)$", re.S)


@dataclass(frozen=True)
class RewardPart:
    """One kind of reward with its weight in the score."""

    kind: str
    target: str = ""
    weight: float = 1.0
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def reward(self) -> RewardKind:
        return REWARDS.get(self.kind)

    @property
    def settings(self) -> Any:
        return read_settings(self.reward.settings, self.values, self.kind)

    @property
    def model(self) -> str:
        """The name of the model that is asked; "" where none is."""
        return self.target if self.reward.target == "model" else ""

    @property
    def learned(self) -> bool:
        return self.weight != 0

    @property
    def label(self) -> str:
        """How the part is called in curves and tables."""
        settings = (f"{name}={value}" for name, value in self.values.items())
        return " ".join(filter(None, (self.kind.replace("_", " "), self.target, *settings)))

    def check(self) -> None:
        """Raises LabError in one sentence for a part that cannot work."""
        if self.reward.target and not self.target:
            raise BadSetting("rewards", str(self), f"{self.kind}:NAME, with the name of a {self.reward.target}")
        if self.target and not self.reward.target:
            raise BadSetting("rewards", str(self), f"{self.kind} without {self.target!r} behind it")
        self.reward.check(self.target, self.settings)

    def __str__(self) -> str:
        weight = "" if self.weight == 1 else f"{self.weight:g} * "
        target = f":{shlex.quote(self.target)}" if self.target else ""
        return " ".join(
            [f"{weight}{self.kind}{target}", *(f"{k}={shlex.quote(str(v))}" for k, v in self.values.items())]
        )


def read_parts(texts: Sequence[str]) -> tuple[RewardPart, ...]:
    """The parts that the texts describe; raises BadSetting for a text that is none, or for one that stands twice."""
    parts = tuple(_read(text) for text in texts if text.strip())
    labels = [part.label for part in parts]
    for label in labels:
        if labels.count(label) > 1:
            raise BadSetting("rewards", label, "named once; give it one weight, or other settings")
    return parts


def reward_roles(parts: Sequence[RewardPart]) -> dict[str, str]:
    """The models that parts of a score ask, each once, by their role in the run."""
    names = dict.fromkeys(part.model for part in parts if part.model)
    return {"reward" if number == 1 else f"reward {number}": name for number, name in enumerate(names, 1)}


def _read(text: str) -> RewardPart:
    found = _PART.match(text.strip())
    form = "KIND, KIND:MODEL or WEIGHT * KIND, such as reward_model:my-model or -0.05 * length"
    if found is None:
        raise BadSetting("rewards", text, form)
    try:
        weight = float(found["weight"] or 1)
        words = shlex.split(found["rest"])
    except ValueError:
        raise BadSetting("rewards", text, form) from None
    reward = REWARDS.get(found["kind"])
    target = words.pop(0).removeprefix(":") if words and words[0].startswith(":") else ""
    values = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign:
            raise BadSetting("rewards", text, f"{form}; {word!r} is no name=value")
        values[name] = parse_setting(reward.settings, name, value, reward.title)
    part = RewardPart(found["kind"], target, weight, values)
    try:
        part.check()
    except BadSetting:
        raise
    except LabError as problem:
        raise LabError(f"The reward {text!r} cannot be used: {problem}") from None
    return part
