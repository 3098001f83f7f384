"""The majority vote among answers: of a metric, and of the playground."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class MajorityVote:
    """The answer that most give, the index of the first that gives it, and the share of those that do."""

    answer: str
    index: int
    share: float


def majority(answers: Sequence[str]) -> MajorityVote:
    """The most frequent answer that is not empty; of equally frequent ones the first. Takes one answer or more."""
    counts = Counter(answer for answer in answers if answer) or Counter(answers)
    answer, count = counts.most_common(1)[0]
    return MajorityVote(answer, answers.index(answer), count / len(answers))


def _last_number(text: str) -> str:
    numbers = _NUMBER.findall(text)
    return numbers[-1].replace(",", "") if numbers else ""


ANSWERS: dict[str, Callable[[str], str]] = {
    "whole text": str.strip,
    "first line": lambda text: text.strip().split("\n", 1)[0].strip(),
    "last line": lambda text: text.strip().rsplit("\n", 1)[-1].strip(),
    "last number": _last_number,
}


def answer_of(text: str, part: str) -> str:
    """The part of a completion that is its answer; `part` is one of ANSWERS."""
    return ANSWERS[part](text)
