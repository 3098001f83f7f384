"""What the lead sees: progress, agreement, bias, disputes, and the leaderboard of systems."""

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
from storage.feedback import Vote

CATEGORY = {1: 0, 0: 1, -1: 2}


@dataclass(frozen=True)
class Person(View):
    """One annotator's work. `gold` is the share of gold items answered right, None where there were none; `repeats` are
    items answered a second time.
    """

    id: int
    name: str
    done: int
    skipped: int
    flagged: int
    seconds_an_item: float | None
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
    figures: dict[str, statistics.Figure]
    consistency: bias.Share
    position: bias.Share
    apart: tuple[tuple[str, statistics.Apart], ...]

    def as_dict(self) -> dict[str, Any]:
        made = asdict(self)
        made["apart"] = [{"annotator": name, **asdict(one) | {"annotator": name}} for name, one in self.apart]
        return made


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
    rows: tuple[bradley_terry.Line, ...]
    matrix: tuple[tuple[bradley_terry.Cell | None, ...], ...]
    needed: tuple[Needed, ...]
    votes: int
    notes: tuple[str, ...]
    length: tuple[float, float, float] | None

    def interval(self, place: int) -> str:
        """That of a row; a system that won or lost every vote has none, however many votes are drawn again."""
        shares = {cell.value for cell in self.matrix[place] if cell is not None and cell.value is not None}
        if len(shares) == 1 and shares <= {0.0, 1.0}:
            return f"none: it {'won' if 1.0 in shares else 'lost'} every vote"
        return f"{self.rows[place].low:.0f} to {self.rows[place].high:.0f}"

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


def progress(lab: LabContext, which: int | str) -> list[Person]:
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
        Person(
            one.id,
            one.name,
            one.done,
            one.skipped,
            flagged[one.id],
            one.seconds / one.done if one.done and one.seconds else None,
            sum(right[one.id]) / len(right[one.id]) if right[one.id] else None,
            one.visitor,
            one.revoked_at is not None,
            repeats[one.id],
        )
        for one in people
    ]


def _right(groups: Sequence[Sequence[int]], gold: Sequence[Sequence[int]]) -> bool:
    """Whether an answer keeps the order that is known; where only the best is known, that of the rest is free."""
    given, known = verdicts(groups), verdicts(gold)
    ordered = {pair: way for pair, way in known.items() if way}
    return all(given[pair] == way for pair, way in (ordered or known).items())


def agreement(lab: LabContext, which: int | str, seed: int = 0) -> AgreementView:
    """Figures with 95 % intervals over items; what is undefined says why."""
    view = feedback.show(lab, which)
    with lab.database.reading() as session:
        votes = queries.votes(session, view.id)
        names = {one.id: one.name for one in queries.annotators(session, view.id)}
    counted = [vote for vote in votes if vote.status == "done" and not vote.skip]
    first = [vote for vote in counted if not vote.repeat]
    people, table, items = _table(first)
    found = statistics.agreement(table, clusters=items, seed=seed)
    known = {(vote.item, vote.annotator): vote for vote in first}
    twice = [
        (verdicts(known[vote.item, vote.annotator].groups), verdicts(vote.groups))
        for vote in counted
        if vote.repeat and (vote.item, vote.annotator) in known
    ]
    here = [vote for vote in first if vote.seconds > 0]  # what was imported tells no order of sides
    return AgreementView(
        view.name,
        len(people),
        len(first),
        found,
        bias.consistency(twice),
        bias.position(*([getattr(vote, name) for vote in here] for name in ("shown", "groups", "item"))),
        tuple((names[people[one.annotator]], one) for one in statistics.against_the_rest(table, clusters=items)),
    )


def _table(votes: Sequence[Vote]) -> tuple[list[int], Any, list[int]]:
    """(annotators, votes (pairs of candidates, annotators), the item of each pair)."""
    people = sorted({vote.annotator for vote in votes})
    column = {one: place for place, one in enumerate(people)}
    rows: dict[tuple[int, int, int], int] = {}
    cells = []
    for vote in votes:
        for (a, b), way in verdicts(vote.groups).items():
            row = rows.setdefault((vote.item, a, b), len(rows))
            cells.append((row, column[vote.annotator], CATEGORY[way]))
    table = np.full((len(rows), max(1, len(people))), statistics.MISSING, dtype=np.int64)
    for row, place, value in cells:
        table[row, place] = value
    return people, table, [item for item, _, _ in rows]


def leaderboard(lab: LabContext, which: int | str, *, length_control: bool = False, seed: int = 0) -> Board:
    """Bradley-Terry scores of the systems; intervals draw items. Raises LabError where there is nothing to compare."""
    view = feedback.show(lab, which)
    with lab.database.reading() as session:
        votes = queries.votes(session, view.id)
        known = queries.systems(session, view.id)
        golds = queries.golds(session, view.id)
    counted = [
        vote
        for vote in votes
        if vote.status == "done" and not (vote.skip or vote.repeat or vote.both_bad or vote.item in golds)
    ]
    names = sorted({known[candidate][1] for vote in counted for group in vote.groups for candidate in group})
    compared = systems.of(lab, view.id)
    if compared.problem:
        raise LabError(f"{view.name} has no leaderboard. {compared.problem}")
    if len(names) < 2:
        raise LabError(
            f"{view.name} has no votes between two systems yet; its leaderboard appears with the first answers."
        )
    ballot = _ballot(counted, known, names)
    found = bradley_terry.fit(names, ballot, length_control=length_control, seed=seed)
    order = [names.index(line.system) for line in found.lines]
    cells = bradley_terry.win_matrix(len(names), ballot)
    needed = []
    for a, b in pairwise(order):
        points, low, high, more = bradley_terry.between(found, a, b)
        needed.append(Needed(names[a], names[b], points, low, high, more))
    return Board(
        view.name,
        found.lines,
        tuple(tuple(cells[a][b] for b in order) for a in order),
        tuple(needed),
        len(counted),
        found.notes,
        found.length,
    )


def _ballot(
    votes: Sequence[Vote], known: dict[int, tuple[int, str, int]], names: Sequence[str]
) -> bradley_terry.Ballot:
    """Every pair of every ranking, weighted so that a long ranking counts no more than a short one."""
    place = {name: n for n, name in enumerate(names)}
    rows = []
    for vote in votes:
        found = {(a, b): way for (a, b), way in verdicts(vote.groups).items() if known[a][1] != known[b][1]}
        for (a, b), way in found.items():
            longer = known[a][2] - known[b][2]
            rows.append((place[known[a][1]], place[known[b][1]], way, 1 / len(found), vote.item, longer))
    if not rows:
        raise LabError("All candidates of an item come from one system, so that there is nothing to compare.")
    of: list[Any] = [np.array(column) for column in zip(*rows, strict=True)]
    return bradley_terry.Ballot(of[0], of[1], of[2], of[3].astype(float), of[4], of[5].astype(float))


def disputes(lab: LabContext, which: int | str, limit: int = 20) -> list[Dispute]:
    """The items most in dispute, with every answer; those that a lead has decided stay, with the decision."""
    view = feedback.show(lab, which)
    with lab.database.reading() as session:
        votes = [one for one in queries.votes(session, view.id) if one.status == "done" and not one.repeat]
        names = {one.id: one.name for one in queries.annotators(session, view.id)}
        ranked = [vote for vote in votes if not vote.skip]
        _, table, items = _table(ranked)
        shares = statistics.disputes(table, items) if len(items) else {}
        wanted = [item for item, share in shares.items() if share > 0][:limit]
        found = queries.items_with(session, wanted)
    made = []
    for item in wanted:
        row = found[item]
        letter = {one.id: chr(65 + place) for place, one in enumerate(row.candidates)}
        answers = tuple(
            (names[vote.annotator], order_text(vote.groups, letter, vote.both_bad), vote.comment)
            for vote in ranked
            if vote.item == item
        )
        candidates = tuple((one.id, one.system, one.text) for one in row.candidates)
        shown = tuple(one.text if one.shown is None else one.shown for one in row.candidates)
        number = row.place + 1
        made.append(Dispute(item, number, shares[item], row.prompt, candidates, answers, row.verdict, shown))
    return made


def order_text(groups: Sequence[Sequence[int]], letter: dict[int, str], both_bad: bool = False) -> str:
    """A ranking in letters: A > B = C."""
    told = " > ".join(" = ".join(letter[one] for one in sorted(group, key=letter.__getitem__)) for group in groups)
    return f"{told}, both bad" if both_bad else told


def adjudicate(lab: LabContext, item: int, groups: Sequence[Sequence[int]], note: str = "") -> None:
    """The lead's decision on an item, as groups of candidate ids; it takes the place of its votes in exports."""
    from storage.feedback_tables import Item

    with lab.database.session() as session:
        found = queries.items_with(session, [item]).get(item)
        if found is None:
            raise LabError(f"There is no item {item}.")
        if sorted(one for group in groups for one in group) != sorted(one.id for one in found.candidates):
            raise LabError("A decision names each candidate of the item once.")
        row = session.get_one(Item, item)
        row.verdict, row.decided = {"groups": [list(group) for group in groups], "note": note[:2000]}, True


def undecide(lab: LabContext, item: int) -> None:
    """Takes a decision back; the votes count again."""
    from storage.feedback_tables import Item

    with lab.database.session() as session:
        row = session.get_one(Item, item)
        row.verdict, row.decided = None, False
