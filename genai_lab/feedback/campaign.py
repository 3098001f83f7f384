"""Human feedback: what a campaign asks, what an annotator answers, and what follows from many answers.

An item is a prompt with 2 to 6 candidates, shown blind; a ranking is groups of candidates, the best first, ties in one
group. Pairs of chosen and rejected are derived from rankings and never stored twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from genai_lab.errors import BadSetting, LabError

CRITERIA = {
    "helpful": "Which completion does more of what the prompt asks for?",
    "honest": "Which completion is more truthful, and says so where it cannot know?",
    "harmless": "Which completion is less likely to hurt, insult or mislead anybody?",
}
KINDS = ("pairwise", "ranking")
SKIPS = ("unclear", "cannot judge", "offensive", "other")
FEWEST, MOST = 2, 6
LONGEST_COMMENT = 4000
LONGEST_TEXT = 100_000


@dataclass(frozen=True)
class CampaignPlan:
    """What the owner decides about a campaign.

    `overlap` is the number of annotators per item; `repeats` the share of items shown a second time, with sides
    swapped, to the same annotator; `lease` the seconds that an item is held for somebody who does not answer.
    """

    name: str
    criterion: str = "helpful"
    guidelines: str = ""
    kind: str = "pairwise"
    overlap: int = 1
    ties: bool = True
    both_bad: bool = True
    repeats: float = 0.05
    lease: int = 1800
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not 1 <= len(self.name.strip()) <= 120:
            raise BadSetting("name", str(self.name)[:60], "1 to 120 characters")
        if not isinstance(self.criterion, str) or not 1 <= len(self.criterion.strip()) <= 200:
            raise BadSetting("criterion", str(self.criterion)[:60], "1 to 200 characters")
        if not isinstance(self.guidelines, str) or len(self.guidelines) > 20_000:
            raise BadSetting("guidelines", "", "a text of at most 20,000 characters")
        if self.kind not in KINDS:
            raise BadSetting("kind", self.kind, f"one of {', '.join(KINDS)}")
        for name, low, high in (("overlap", 1, 50), ("lease", 5, 86_400), ("seed", 0, 2**31 - 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise BadSetting(name, value, f"a whole number from {low:,} to {high:,}")
        if not isinstance(self.repeats, int | float) or not 0 <= self.repeats <= 0.5:
            raise BadSetting("repeats", self.repeats, "a share from 0 to 0.5")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def question(self) -> str:
        """What the card asks."""
        return CRITERIA.get(self.criterion, self.criterion)


@dataclass(frozen=True)
class Option:
    """One candidate before it is shown: `system` made it; `generation` is its record where the lab made it."""

    system: str
    text: str
    generation: int | None = None


@dataclass(frozen=True)
class RankingTask:
    """A prompt with its candidates. `gold` is the known order as groups of places among the options."""

    prompt: str
    options: tuple[Option, ...]
    gold: tuple[tuple[int, ...], ...] | None = None
    votes: tuple[tuple[str, tuple[tuple[int, ...], ...]], ...] = ()

    def __post_init__(self) -> None:
        if not FEWEST <= len(self.options) <= MOST:
            raise LabError(f"An item takes {FEWEST} to {MOST} candidates, not {len(self.options)}.")
        if self.gold is not None:
            checked_groups(self.gold, len(self.options), ties=True)


@dataclass(frozen=True)
class Answer:
    """What an annotator sends. `groups` holds places in the order shown (0 = A), the best group first."""

    groups: tuple[tuple[int, ...], ...] = ()
    both_bad: bool = False
    flag: bool = False
    comment: str = ""
    skip: str | None = None
    seconds: float = 0.0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], size: int, ties: bool, both_bad: bool) -> "Answer":
        """Checks what came from a browser against the item; raises LabError in one sentence."""
        skip = values.get("skip") or None
        if skip is not None and skip not in SKIPS:
            raise BadSetting("skip", str(skip)[:40], f"one of {', '.join(SKIPS)}")
        comment = values.get("comment") or ""
        if not isinstance(comment, str) or len(comment) > LONGEST_COMMENT:
            raise BadSetting("comment", "", f"a text of at most {LONGEST_COMMENT:,} characters")
        if not is_encodable(comment):
            raise LabError("The comment holds half a character, which cannot be kept; delete it.")
        seconds = values.get("seconds") or 0.0
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 1e7:
            raise BadSetting("seconds", str(seconds)[:40], "a number of seconds")
        bad = values.get("both_bad") or False
        if not isinstance(bad, bool) or (bad and not both_bad):
            raise BadSetting("both_bad", str(bad)[:40], "false in this campaign")
        flag = values.get("flag") or False
        if not isinstance(flag, bool):
            raise BadSetting("flag", str(flag)[:40], "true or false")
        if skip is not None:
            return cls((), False, flag, comment, skip, float(seconds))
        groups = values.get("groups") or ()
        if bad and not groups:
            groups = [list(range(size))]
        return cls(checked_groups(groups, size, ties or bad), bad, flag, comment, None, float(seconds))


def is_encodable(text: str) -> bool:
    """Whether a text can be written down: half of a surrogate pair, which browsers can send, cannot."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def checked_groups(groups: Any, size: int, ties: bool) -> tuple[tuple[int, ...], ...]:
    """Groups of places that name each of `size` candidates once; raises LabError."""
    if not isinstance(groups, list | tuple) or not all(isinstance(group, list | tuple) for group in groups):
        raise LabError("A ranking is a list of groups of candidates, the best first.")
    indices = [index for group in groups for index in group]
    numbers = all(isinstance(index, int) and not isinstance(index, bool) for index in indices)
    if not numbers or sorted(indices) != list(range(size)) or not all(groups):
        raise LabError(f"A ranking names each of the {size} candidates once.")
    if not ties and len(groups) != size:
        raise LabError("This campaign takes no ties; put one candidate before the other.")
    return tuple(tuple(group) for group in groups)


def verdicts(groups: Sequence[Sequence[int]]) -> dict[tuple[int, int], int]:
    """For each pair of candidates (a < b): 1 where a is better, -1 where b is, 0 for a tie."""
    rank = {candidate: position for position, group in enumerate(groups) for candidate in group}
    names = sorted(rank)
    return {(a, b): (rank[b] > rank[a]) - (rank[b] < rank[a]) for n, a in enumerate(names) for b in names[n + 1 :]}
