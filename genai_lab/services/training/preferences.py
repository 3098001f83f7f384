"""Preference pairs of a dataset version: read, kept apart by prompt, and made into what is learned.

A version gives pairs by its roles input, chosen and rejected (or columns called prompt, chosen, rejected); without an
input both sides begin with their prompt, and each may be text or messages. Columns called weight, margin, annotator and
criterion are read where they are there.
"""

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from genai_lab.context import LabContext
from genai_lab.data import Example
from genai_lab.data.conversations import Preference, Unreadable, read_preference, read_prompt, with_system, write_text
from genai_lab.errors import LabError
from genai_lab.services import datasets
from genai_lab.services.datasets import VersionView
from genai_lab.services.datasets.views import column_of
from genai_lab.settings import read_settings
from genai_lab.training import Plan
from genai_lab.training.objectives import OBJECTIVES, Text
from genai_lab.views import View

HELD_OUT = 0.2
VALIDATION = 0.1
MOST_ROWS = 100_000
SPLIT = "test"


@dataclass(frozen=True)
class Vote(View):
    """One row: which of two completions was preferred. `row` counts from 0 in the version; `turns` has it in turns."""

    row: int
    prompt: str
    chosen: str
    rejected: str
    weight: float = 1.0
    margin: float = 0.0
    annotator: str = ""
    criterion: str = ""
    turns: Preference | None = None

    @property
    def messages(self) -> tuple[dict[str, str], ...]:
        """The prompt as a chat."""
        asked = self.turns.prompt if self.turns is not None else ()
        return tuple(turn.as_dict() for turn in asked) or ({"role": "user", "content": self.prompt},)


@dataclass(frozen=True)
class Division(View):
    """Votes on three sides; no prompt is on two of them. `moved` training rows had a prompt of another side."""

    train: tuple[Vote, ...]
    validation: tuple[Vote, ...]
    held: tuple[Vote, ...]
    moved: int


def check(version: VersionView, templates: Sequence[Any]) -> None:
    """Raises LabError in one sentence where the version has no pairs."""
    lacking = next((role for role in ("chosen", "rejected") if _column(version, role) is None), None)
    if lacking:
        raise LabError(
            f"{version.name} has no column for the role {lacking}, which preferences need; import it with one."
        )
    if templates:
        raise LabError("Preferences are read as they are; leave the templates empty.")


def divided(lab: LabContext, plan: Plan, version: VersionView) -> Division:
    """Train, validation and held-out votes by prompt, drawn with the plan's seed where the version has no such split.

    A split that is there is taken as it is; where it shares a prompt with training, training gives the prompt away.
    """
    seed = plan.training.seed
    rows = votes(version, datasets.examples(lab, version.id, split=plan.split, count=MOST_ROWS, seed=seed))
    held = _other(lab, plan, version, SPLIT)
    if held is None:
        held, rows = _parted(rows, _drawn(rows, HELD_OUT, f"held out {seed}"))
    tested = {one.prompt for one in held}
    overlap, free = _parted(rows, tested)
    kept = held if plan.validation_split == SPLIT else _other(lab, plan, version, plan.validation_split)
    if kept is None:
        kept, train = _parted(free, _drawn(free, VALIDATION, f"validation {seed}"))
    else:
        kept = kept if kept is held else _parted(kept, tested)[1]
        more, train = _parted(free, {one.prompt for one in kept})
        overlap += more
    if not train or not kept or not held:
        raise LabError(
            f"{version.name} has too few prompts to keep some for validation and testing; "
            "import more rows, or splits that share no prompt."
        )
    return Division(tuple(train), tuple(kept), tuple(held), len(overlap))


def texts(
    lab: LabContext, plan: Plan, version: VersionView, count: int, held: int, chat: bool = False
) -> tuple[list[Text], list[Text], int]:
    """(at most `count` pairs to learn, at most `held` to validate on, rows that were there for training)."""
    made = divided(lab, plan, version)
    learned, kept = learned_of(plan, version, made.train), voted(plan, made.validation)
    rng = random.Random(f"pairs {plan.training.seed}")
    if count < len(learned):
        learned = [learned[place] for place in sorted(rng.sample(range(len(learned)), count))]
    if held < len(kept):
        kept = [kept[place] for place in sorted(rng.sample(range(len(kept)), held))]
    return [_text(one, chat) for one in learned], [_text(one, chat) for one in kept], len(made.train) + made.moved


def learned_of(plan: Plan, version: VersionView, train: Sequence[Vote]) -> list[Vote]:
    """The training votes after the plan's own settings: share of prompts, annotators left out or flipped, majority.

    Shares are nested: what a small one reads, a larger one reads too.
    """
    settings = _settings(plan)
    known = {one.annotator for one in train} - {""}
    for name in (settings.left_out, settings.flipped):
        if name and name not in known:
            there = ", ".join(sorted(known)[:12]) or "none"
            raise LabError(f"{version.name} has no annotator called {name!r}. It has: {there}.")
    kept = [_turned(one) if settings.flipped and one.annotator == settings.flipped else one for one in train]
    kept = [one for one in kept if not settings.left_out or one.annotator != settings.left_out]
    if settings.share < 1:
        prompts = sorted({one.prompt for one in train})
        random.Random(f"share {plan.training.seed}").shuffle(prompts)
        some = set(prompts[: max(1, math.ceil(settings.share * len(prompts)))])
        kept = [one for one in kept if one.prompt in some]
    return voted(plan, kept)


def voted(plan: Plan, kept: Iterable[Vote]) -> list[Vote]:
    """Every vote, or for each pair of completions what the majority of its votes' weight says; ties are left out."""
    if _settings(plan).votes == "keep":
        return list(kept)
    groups: dict[tuple[str, ...], list[Vote]] = defaultdict(list)
    for one in kept:
        groups[one.prompt, *sorted((one.chosen, one.rejected)), one.criterion].append(one)
    made = []
    for members in groups.values():
        first = [one for one in members if one.chosen == members[0].chosen]
        rest = [one for one in members if one.chosen != members[0].chosen]
        a, b = (sum(one.weight for one in side) for side in (first, rest))
        if a == b:
            continue
        won = first if a > b else rest
        margin = sum(one.margin for one in won) / len(won)
        made.append(replace(won[0], weight=sum(one.weight for one in won) / len(won), margin=margin, annotator=""))
    return made


def votes(version: VersionView, rows: Iterable[Example]) -> list[Vote]:
    """Raises LabError for a weight or margin that is no number and for turns that cannot be read, naming the row."""
    names = set(version.column_names)
    asked = bool(_asked(version))
    made = []
    for row in rows:
        cells = row.fields
        more = {name: cells.get(name, "") for name in ("annotator", "criterion") if name in names}
        weight = _number(version, row, "weight", 1.0, 0.0) if "weight" in names else 1.0
        margin = _number(version, row, "margin", 0.0, -math.inf) if "margin" in names else 0.0
        turns = turns_of(version, row)
        prompt, chosen, rejected = (
            write_text(turns.prompt, cue=True),
            write_text(turns.chosen),
            write_text(turns.rejected),
        )
        if chosen.strip() and rejected.strip() and chosen != rejected:
            made.append(Vote(row.key, prompt, chosen, rejected, weight, margin, **more, turns=turns))
    if made and not asked and not any(one.prompt for one in made):
        raise LabError(
            f"{version.name} has no column for the role input, and its chosen and rejected texts do not begin with the "
            "same prompt; import it with a column of prompts."
        )
    return made


def turns_of(version: VersionView, row: Example) -> Preference:
    """The row's prompt and both completions in turns."""
    first, second = (_column(version, role) or "" for role in ("chosen", "rejected"))
    asked, system = _asked(version), next(iter(column_of(version, "system")), None)
    try:
        prompt = read_prompt(row.values, asked, system) if asked else None
        made = read_preference(row.values.get(first), row.values.get(second), prompt)
    except Unreadable as problem:
        raise LabError(f"Row {row.key + 1:,} of {version.name} cannot be read: {problem}.") from None
    return replace(made, prompt=with_system(made.prompt, row.values.get(system))) if system else made


def _asked(version: VersionView) -> tuple[str, ...]:
    """The columns that a prompt is read from: input and context, or a conversation."""
    asked = column_of(version, "input")
    return (*asked, *version.roles.get("context", ())) if asked else version.roles.get("messages", ())


def _number(version: VersionView, row: Example, name: str, default: float, least: float) -> float:
    text = row.fields.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < least:
        rule = "a number of at least 0" if least == 0 else "a number"
        raise LabError(f"Row {row.key + 1:,} of {version.name} has the {name} {text[:40]!r}, which must be {rule}.")
    return value


def _column(version: VersionView, role: str) -> str | None:
    """The column of the role, or else one that is called so."""
    return next(iter(column_of(version, role)), None)


def _other(lab: LabContext, plan: Plan, version: VersionView, split: str) -> list[Vote] | None:
    """The votes of another split than the one that is learned from; None where the version has none."""
    if split == plan.split or split not in version.splits:
        return None
    found = votes(version, datasets.examples(lab, version.id, split=split, count=MOST_ROWS, seed=plan.training.seed))
    return found or None


def _drawn(rows: Sequence[Vote], share: float, seed: str) -> set[str]:
    prompts = sorted({one.prompt for one in rows})
    count = min(max(1, round(share * len(prompts))), len(prompts) - 1)
    return set(random.Random(seed).sample(prompts, max(0, count)))


def _parted(rows: Sequence[Vote], prompts: set[str]) -> tuple[list[Vote], list[Vote]]:
    return [one for one in rows if one.prompt in prompts], [one for one in rows if one.prompt not in prompts]


def _turned(one: Vote) -> Vote:
    return replace(one, chosen=one.rejected, rejected=one.chosen)


def _text(one: Vote, chat: bool) -> Text:
    prompt, messages = ("", one.messages) if chat else (one.prompt, ())
    return Text(prompt, one.chosen, messages, one.row, one.rejected, one.weight, one.margin)


def _settings(plan: Plan) -> Any:
    objective = OBJECTIVES.get(plan.objective)
    return read_settings(objective.settings, plan.objective_settings, objective.title)
