"""What the owner sees: progress, agreement, bias, disputes, and the leaderboard of systems."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback import agreement as statistics
from genai_lab.feedback import bias, bradley_terry, verdicts
from genai_lab.services import feedback
from genai_lab.services.feedback import systems
from genai_lab.views import View
from storage import feedback as queries
from storage.feedback import CurrentAnswer

CATEGORY = {1: 0, 0: 1, -1: 2}


@dataclass(frozen=True)
class AnnotatorFigures(View):
    """One annotator's work. `gold` is the share of gold items answered right, None where there were none; `repeats` are
    items answered a second time.
    """

    id: int
    name: str
    done: int
    skipped: int
    flagged: int
    seconds_per_item: float | None
    gold: float | None
    visitor: bool
    revoked: bool
    repeats: int = 0


@dataclass(frozen=True)
class AgreementView(View):
    """Every figure of agreement and bias. `apart` lists annotators with their agreement with the rest."""

    campaign: str
    annotators: int
    votes: int
    figures: dict[str, statistics.AgreementValue]
    consistency: bias.Share
    position: bias.Share
    apart: tuple[tuple[str, statistics.Apart], ...]

    def as_dict(self) -> dict[str, Any]:
        result = asdict(self)
        result["apart"] = [{"annotator": name, **asdict(outlier) | {"annotator": name}} for name, outlier in self.apart]
        return result


@dataclass(frozen=True)
class Needed(View):
    """How far two neighbours of the leaderboard are apart, and how many more votes tell them apart (0: they are)."""

    better: str
    worse: str
    points: float
    low: float
    high: float
    votes: int | None

    @property
    def told(self) -> str:
        gap = f"{self.points:.0f} points"
        if self.votes == 0:
            return f"{gap} ({self.low:.0f} to {self.high:.0f})"
        if self.votes is None:
            return f"{gap}: no difference is seen"
        return f"{gap}; {self.votes:,} more vote{'s' if self.votes > 1 else ''} needed to tell them apart"


@dataclass(frozen=True)
class Board(View):
    """The leaderboard: `rows` from the best, `matrix` in the same order, `length` is the coefficient of length control
    with its interval.
    """

    campaign: str
    rows: tuple[bradley_terry.LeaderboardRow, ...]
    matrix: tuple[tuple[bradley_terry.WinShare | None, ...], ...]
    needed: tuple[Needed, ...]
    votes: int
    notes: tuple[str, ...]
    length: tuple[float, float, float] | None

    def interval(self, index: int) -> str:
        """That of a row; a system that won or lost every vote has none, however many votes are drawn again."""
        shares = {cell.value for cell in self.matrix[index] if cell is not None and cell.value is not None}
        if len(shares) == 1 and shares <= {0.0, 1.0}:
            return f"none: it {'won' if 1.0 in shares else 'lost'} every vote"
        return f"{self.rows[index].low:.0f} to {self.rows[index].high:.0f}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Dispute(View):
    """One item on which annotators differ; `answers` are (annotator, order in words, comment). `number` counts the
    items of the campaign from 1, `masked` are the candidates' texts as annotators see them.
    """

    item: int
    number: int
    share: float
    prompt: str
    candidates: tuple[tuple[int, str, str], ...]
    answers: tuple[tuple[str, str, str], ...]
    verdict: dict[str, Any] | None
    masked: tuple[str, ...]


def progress(lab: LabContext, which: int | str) -> list[AnnotatorFigures]:
    """Everybody who was invited or came, with what they did."""
    view = feedback.show(lab, which)
    with lab.database.reading() as session:
        people = queries.annotators(session, view.id)
        votes = queries.votes(session, view.id)
        golds = queries.golds(session, view.id)
    flagged: dict[int, int] = defaultdict(int)
    repeats: dict[int, int] = defaultdict(int)
    right: dict[int, list[bool]] = defaultdict(list)
    for vote in votes:
        flagged[vote.annotator] += vote.flag
        repeats[vote.annotator] += vote.repeat
        if vote.item in golds and not vote.skip and not vote.repeat:
            right[vote.annotator].append(_right(vote.groups, golds[vote.item]))
    return [
        AnnotatorFigures(
            annotator.id,
            annotator.name,
            annotator.done,
            annotator.skipped,
            flagged[annotator.id],
            annotator.seconds / annotator.done if annotator.done and annotator.seconds else None,
            sum(right[annotator.id]) / len(right[annotator.id]) if right[annotator.id] else None,
            annotator.visitor,
            annotator.revoked_at is not None,
            repeats[annotator.id],
        )
        for annotator in people
    ]


def _right(groups: Sequence[Sequence[int]], gold: Sequence[Sequence[int]]) -> bool:
    """Whether an answer keeps the order that is known; where only the best is known, that of the rest is free."""
    answer_order, gold_order = verdicts(groups), verdicts(gold)
    ordered = {pair: order for pair, order in gold_order.items() if order}
    return all(answer_order[pair] == order for pair, order in (ordered or gold_order).items())


def agreement(lab: LabContext, which: int | str, seed: int = 0) -> AgreementView:
    """Figures with 95 % intervals over items; what is undefined says why."""
    view = feedback.show(lab, which)
    with lab.database.reading() as session:
        votes = queries.votes(session, view.id)
        names = {annotator.id: annotator.name for annotator in queries.annotators(session, view.id)}
    counted = [vote for vote in votes if vote.status == "done" and not vote.skip]
    first = [vote for vote in counted if not vote.repeat]
    people, table, items = _table(first)
    figures = statistics.agreement(table, clusters=items, seed=seed)
    first_votes = {(vote.item, vote.annotator): vote for vote in first}
    twice = [
        (verdicts(first_votes[vote.item, vote.annotator].groups), verdicts(vote.groups))
        for vote in counted
        if vote.repeat and (vote.item, vote.annotator) in first_votes
    ]
    here = [vote for vote in first if vote.seconds > 0]  # what was imported tells no order of sides
    return AgreementView(
        view.name,
        len(people),
        len(first),
        figures,
        bias.consistency(twice),
        bias.position(*([getattr(vote, name) for vote in here] for name in ("shown", "groups", "item"))),
        tuple(
            (names[people[annotator.annotator]], annotator)
            for annotator in statistics.against_the_rest(table, clusters=items)
        ),
    )


def _table(votes: Sequence[CurrentAnswer]) -> tuple[list[int], Any, list[int]]:
    """(annotators, votes (pairs of candidates, annotators), the item of each pair)."""
    people = sorted({vote.annotator for vote in votes})
    column = {person: index for index, person in enumerate(people)}
    rows: dict[tuple[int, int, int], int] = {}
    cells = []
    for vote in votes:
        for (a, b), order in verdicts(vote.groups).items():
            row = rows.setdefault((vote.item, a, b), len(rows))
            cells.append((row, column[vote.annotator], CATEGORY[order]))
    table = np.full((len(rows), max(1, len(people))), statistics.MISSING, dtype=np.int64)
    for row, index, value in cells:
        table[row, index] = value
    return people, table, [item for item, _, _ in rows]


def leaderboard(lab: LabContext, which: int | str, *, length_control: bool = False, seed: int = 0) -> Board:
    """Bradley-Terry scores of the systems; intervals draw items. Raises LabError where there is nothing to compare."""
    view = feedback.show(lab, which)
    with lab.database.reading() as session:
        votes = queries.votes(session, view.id)
        candidate_systems = queries.systems(session, view.id)
        golds = queries.golds(session, view.id)
    counted = [
        vote
        for vote in votes
        if vote.status == "done" and not (vote.skip or vote.repeat or vote.both_bad or vote.item in golds)
    ]
    names = sorted(
        {candidate_systems[candidate][1] for vote in counted for group in vote.groups for candidate in group}
    )
    compared = systems.of(lab, view.id)
    if compared.problem:
        raise LabError(f"{view.name} has no leaderboard. {compared.problem}")
    if len(names) < 2:
        raise LabError(
            f"{view.name} has no votes between two systems yet; its leaderboard appears with the first answers."
        )
    ballot = _ballot(counted, candidate_systems, names)
    fitted = bradley_terry.fit(names, ballot, length_control=length_control, seed=seed)
    order = [names.index(line.system) for line in fitted.lines]
    cells = bradley_terry.win_matrix(len(names), ballot)
    needed = []
    for a, b in pairwise(order):
        points, low, high, more_votes = bradley_terry.compare_systems(fitted, a, b)
        needed.append(Needed(names[a], names[b], points, low, high, more_votes))
    return Board(
        view.name,
        fitted.lines,
        tuple(tuple(cells[a][b] for b in order) for a in order),
        tuple(needed),
        len(counted),
        fitted.notes,
        fitted.length,
    )


def _ballot(
    votes: Sequence[CurrentAnswer], candidate_systems: dict[int, tuple[int, str, int]], names: Sequence[str]
) -> bradley_terry.Ballot:
    """Every pair of every ranking, weighted so that a long ranking counts no more than a short one."""
    system_index = {name: n for n, name in enumerate(names)}
    rows = []
    for vote in votes:
        verdicts_between = {
            (a, b): order
            for (a, b), order in verdicts(vote.groups).items()
            if candidate_systems[a][1] != candidate_systems[b][1]
        }
        for (a, b), order in verdicts_between.items():
            longer = candidate_systems[a][2] - candidate_systems[b][2]
            rows.append(
                (
                    system_index[candidate_systems[a][1]],
                    system_index[candidate_systems[b][1]],
                    order,
                    1 / len(verdicts_between),
                    vote.item,
                    longer,
                )
            )
    if not rows:
        raise LabError("All candidates of an item come from one system, so that there is nothing to compare.")
    columns: list[Any] = [np.array(column) for column in zip(*rows, strict=True)]
    return bradley_terry.Ballot(
        columns[0], columns[1], columns[2], columns[3].astype(float), columns[4], columns[5].astype(float)
    )


def disputes(lab: LabContext, which: int | str, limit: int = 20) -> list[Dispute]:
    """The items most in dispute, with every answer; those that an owner has decided stay, with the decision."""
    view = feedback.show(lab, which)
    with lab.database.reading() as session:
        votes = [entry for entry in queries.votes(session, view.id) if entry.status == "done" and not entry.repeat]
        names = {entry.id: entry.name for entry in queries.annotators(session, view.id)}
        ranked = [vote for vote in votes if not vote.skip]
        _, table, items = _table(ranked)
        shares = statistics.disputes(table, items) if len(items) else {}
        disputed_ids = [item for item, share in shares.items() if share > 0][:limit]
        item_rows = queries.items_with(session, disputed_ids)
    result = []
    for item in disputed_ids:
        row = item_rows[item]
        letter = {entry.id: chr(65 + index) for index, entry in enumerate(row.candidates)}
        answers = tuple(
            (names[vote.annotator], order_text(vote.groups, letter, vote.both_bad), vote.comment)
            for vote in ranked
            if vote.item == item
        )
        candidates = tuple((entry.id, entry.system, entry.text) for entry in row.candidates)
        masked_texts = tuple(entry.text if entry.shown is None else entry.shown for entry in row.candidates)
        number = row.place + 1
        result.append(Dispute(item, number, shares[item], row.prompt, candidates, answers, row.verdict, masked_texts))
    return result


def order_text(groups: Sequence[Sequence[int]], letter: dict[int, str], both_bad: bool = False) -> str:
    """A ranking in letters: A > B = C."""
    text = " > ".join(
        " = ".join(letter[candidate_id] for candidate_id in sorted(group, key=letter.__getitem__)) for group in groups
    )
    return f"{text}, both bad" if both_bad else text


def adjudicate(lab: LabContext, item: int, groups: Sequence[Sequence[int]], note: str = "") -> None:
    """The owner's decision on an item, as groups of candidate ids; it takes the place of its votes in exports."""
    from storage.feedback_tables import Item

    with lab.database.session() as session:
        item_row = queries.items_with(session, [item]).get(item)
        if item_row is None:
            raise LabError(f"There is no item {item}.")
        if sorted(candidate for group in groups for candidate in group) != sorted(
            candidate.id for candidate in item_row.candidates
        ):
            raise LabError("A decision names each candidate of the item once.")
        row = session.get_one(Item, item)
        row.verdict, row.decided = {"groups": [list(group) for group in groups], "note": note[:2000]}, True


def undecide(lab: LabContext, item: int) -> None:
    """Takes a decision back; the votes count again."""
    from storage.feedback_tables import Item

    with lab.database.session() as session:
        row = session.get_one(Item, item)
        row.verdict, row.decided = None, False
