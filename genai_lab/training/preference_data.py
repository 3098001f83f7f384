"""Preference pairs of a dataset: votes are read, divided by prompt, and made into what is learned.

A dataset gives pairs by its roles input, chosen and rejected (or columns called prompt, chosen, rejected); without an
input both sides begin with their prompt, and each may be text or messages. Columns called weight, margin, annotator and
criterion are read where they exist.
"""

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from genai_lab.data import Example
from genai_lab.data.conversations import Preference, Unreadable, read_preference, read_prompt, with_system, write_text
from genai_lab.errors import LabError
from genai_lab.settings import setting
from genai_lab.training.plan import TrainingPlan
from genai_lab.training.row_source import MOST_ROWS, RowSource, columns_for

HELD_OUT = 0.2
VALIDATION = 0.1
SPLIT = "test"
VOTES = ("keep", "majority")


@dataclass(frozen=True)
class PreferenceSettings:
    """Settings of all objectives on pairs: which votes are read, and whether their weights count."""

    votes: str = setting("keep", "Several votes on one pair: each counts, or their majority.", choices=VOTES)
    use_weights: bool = setting(True, "Pairs count by the column weight, where there is one.")
    share: float = setting(1.0, "Share of the training prompts that is used.", 0.001, 1.0, step=0.05)
    left_out: str = setting("", "An annotator whose votes are left out.")
    flipped: str = setting("", "An annotator whose votes are flipped.")


@dataclass(frozen=True)
class Vote:
    """One row: which of two completions was preferred. `row` counts from 0; `turns` has it as a conversation."""

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
        turns = self.turns.prompt if self.turns is not None else ()
        return tuple(turn.as_dict() for turn in turns) or ({"role": "user", "content": self.prompt},)


@dataclass(frozen=True)
class Division:
    """Votes to learn, to validate on and to test with; no prompt is in two of them. `moved` training rows shared a
    prompt with another part.
    """

    train: tuple[Vote, ...]
    validation: tuple[Vote, ...]
    held: tuple[Vote, ...]
    moved: int


def check_pairs(source: RowSource) -> None:
    """Raises LabError in one sentence where the dataset has no pairs."""
    lacking = next((role for role in ("chosen", "rejected") if not columns_for(source, role)), None)
    if lacking:
        raise LabError(
            f"{source.name} has no column for the role {lacking}, which preferences need; import it with one."
        )
    if source.templates:
        raise LabError("Preferences are read as they are; leave the templates empty.")


def divide_votes(source: RowSource, plan: TrainingPlan) -> Division:
    """Train, validation and held-out votes by prompt, drawn with the plan's seed where the dataset has no such split.

    A split that exists is used as it is; where it shares a prompt with training, training gives the prompt up.
    """
    seed = plan.training.seed
    rows = read_votes(source, source.examples(plan.split, MOST_ROWS, seed))
    held = _other_split(source, plan, SPLIT)
    if held is None:
        held, rows = _partition(rows, _sample_prompts(rows, HELD_OUT, f"held out {seed}"))
    tested = {vote.prompt for vote in held}
    overlap, free = _partition(rows, tested)
    validation = held if plan.validation_split == SPLIT else _other_split(source, plan, plan.validation_split)
    if validation is None:
        validation, train = _partition(free, _sample_prompts(free, VALIDATION, f"validation {seed}"))
    else:
        validation = validation if validation is held else _partition(validation, tested)[1]
        shared, train = _partition(free, {vote.prompt for vote in validation})
        overlap += shared
    if not train or not validation or not held:
        raise LabError(
            f"{source.name} has too few prompts to keep some for validation and testing; "
            "import more rows, or splits that share no prompt."
        )
    return Division(tuple(train), tuple(validation), tuple(held), len(overlap))


def sample_votes(votes: Sequence[Vote], count: int, rng: random.Random) -> list[Vote]:
    """At most `count` of them, in their order."""
    if count >= len(votes):
        return list(votes)
    return [votes[index] for index in sorted(rng.sample(range(len(votes)), count))]


def votes_to_learn(
    source: RowSource, plan: TrainingPlan, settings: PreferenceSettings, train: Sequence[Vote]
) -> list[Vote]:
    """The training votes after the plan's own settings: share of prompts, annotators left out or flipped, majority.

    Shares are nested: what a small one reads, a larger one reads too.
    """
    annotators = {vote.annotator for vote in train} - {""}
    for name in (settings.left_out, settings.flipped):
        if name and name not in annotators:
            existing = ", ".join(sorted(annotators)[:12]) or "none"
            raise LabError(f"{source.name} has no annotator called {name!r}. It has: {existing}.")
    votes = [_flip(vote) if settings.flipped and vote.annotator == settings.flipped else vote for vote in train]
    votes = [vote for vote in votes if not settings.left_out or vote.annotator != settings.left_out]
    if settings.share < 1:
        prompts = sorted({vote.prompt for vote in train})
        random.Random(f"share {plan.training.seed}").shuffle(prompts)
        used = set(prompts[: max(1, math.ceil(settings.share * len(prompts)))])
        votes = [vote for vote in votes if vote.prompt in used]
    return by_majority(votes, settings)


def by_majority(votes: Iterable[Vote], settings: PreferenceSettings) -> list[Vote]:
    """Every vote, or for each pair of completions what the majority of its votes' weight says, without ties."""
    if settings.votes == "keep":
        return list(votes)
    groups: dict[tuple[str, ...], list[Vote]] = defaultdict(list)
    for vote in votes:
        groups[vote.prompt, *sorted((vote.chosen, vote.rejected)), vote.criterion].append(vote)
    winners = []
    for members in groups.values():
        first = [vote for vote in members if vote.chosen == members[0].chosen]
        second = [vote for vote in members if vote.chosen != members[0].chosen]
        a, b = (sum(vote.weight for vote in side) for side in (first, second))
        if a == b:
            continue
        won = first if a > b else second
        margin = sum(vote.margin for vote in won) / len(won)
        weight = sum(vote.weight for vote in won) / len(won)
        winners.append(replace(won[0], weight=weight, margin=margin, annotator=""))
    return winners


def read_votes(source: RowSource, rows: Iterable[Example]) -> list[Vote]:
    """Raises LabError for a weight or margin that is not a number and for turns that cannot be read, naming the row."""
    names = set(source.column_names)
    has_prompts = bool(prompt_columns(source))
    votes = []
    for row in rows:
        cells = {name: row.fields.get(name, "") for name in ("annotator", "criterion") if name in names}
        weight = read_number(source, row, "weight", 1.0, 0.0) if "weight" in names else 1.0
        margin = read_number(source, row, "margin", 0.0, -math.inf) if "margin" in names else 0.0
        turns = _turns_of(source, row)
        prompt, chosen, rejected = (
            write_text(turns.prompt, cue=True),
            write_text(turns.chosen),
            write_text(turns.rejected),
        )
        if chosen.strip() and rejected.strip() and chosen != rejected:
            votes.append(Vote(row.key, prompt, chosen, rejected, weight, margin, **cells, turns=turns))
    if votes and not has_prompts and not any(vote.prompt for vote in votes):
        raise LabError(
            f"{source.name} has no column for the role input, and its chosen and rejected texts do not begin with the "
            "same prompt; import it with a column of prompts."
        )
    return votes


def _turns_of(source: RowSource, row: Example) -> Preference:
    """The row's prompt and both completions in turns."""
    first, second = (next(iter(columns_for(source, role)), "") for role in ("chosen", "rejected"))
    columns, system = prompt_columns(source), next(iter(columns_for(source, "system")), None)
    try:
        prompt = read_prompt(row.values, columns, system) if columns else None
        preference = read_preference(row.values.get(first), row.values.get(second), prompt)
    except Unreadable as problem:
        raise LabError(f"Row {row.key + 1:,} of {source.name} cannot be read: {problem}.") from None
    if not system:
        return preference
    return replace(preference, prompt=with_system(preference.prompt, row.values.get(system)))


def prompt_columns(source: RowSource) -> tuple[str, ...]:
    """The columns that a prompt is read from: input and context, or a conversation."""
    columns = columns_for(source, "input")
    return (*columns, *source.roles.get("context", ())) if columns else source.roles.get("messages", ())


def read_number(source: RowSource, row: Example, name: str, default: float, least: float) -> float:
    """The number in a cell; raises LabError, naming the row."""
    text = row.fields.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < least:
        rule = "a number of at least 0" if least == 0 else "a number"
        raise LabError(f"Row {row.key + 1:,} of {source.name} has the {name} {text[:40]!r}, which must be {rule}.")
    return value


def _other_split(source: RowSource, plan: TrainingPlan, split: str) -> list[Vote] | None:
    """The votes of another split than the one that is learned; None where the dataset has none."""
    if split == plan.split or split not in source.splits:
        return None
    return read_votes(source, source.examples(split, MOST_ROWS, plan.training.seed)) or None


def _sample_prompts(rows: Sequence[Vote], share: float, seed: str) -> set[str]:
    prompts = sorted({vote.prompt for vote in rows})
    count = min(max(1, round(share * len(prompts))), len(prompts) - 1)
    return set(random.Random(seed).sample(prompts, max(0, count)))


def _partition(rows: Sequence[Vote], prompts: set[str]) -> tuple[list[Vote], list[Vote]]:
    """(votes on these prompts, votes on others)."""
    return [vote for vote in rows if vote.prompt in prompts], [vote for vote in rows if vote.prompt not in prompts]


def _flip(vote: Vote) -> Vote:
    return replace(vote, chosen=vote.rejected, rejected=vote.chosen)
