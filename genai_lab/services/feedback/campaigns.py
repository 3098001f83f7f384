"""Campaigns: made from runs, files or fresh candidates, opened, paused and closed, followed.

A campaign is made by a Run (kind "campaign") whose inputs are the runs and datasets that its candidates came from, so
that a walk leads from a reward model back to every prompt and seed.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations
from typing import Any

from sqlalchemy.exc import IntegrityError

from genai_lab.context import LabContext
from genai_lab.errors import BadSetting, DuplicateName, LabError
from genai_lab.feedback import MOST, CampaignPlan, RankingTask
from genai_lab.feedback.masking import mask_names, pattern
from genai_lab.services import runs
from genai_lab.services.feedback import vote_import
from genai_lab.views import View
from storage import feedback as queries
from storage.feedback_tables import Campaign, Item
from storage.tables import Run, RunInput

KIND = "campaign"
MOST_ITEMS = 200_000
MOVES = {"open": ("draft", "paused", "closed"), "paused": ("open",), "closed": ("open", "paused")}


@dataclass(frozen=True)
class CampaignView(View):
    """One campaign. `wanted` is how many answers it asks for in all, `got` how many it has; one that "failed" to be
    made has a `problem`, which says why and what to do.
    """

    id: int
    name: str
    plan: CampaignPlan
    status: str
    created_at: datetime
    items: int
    wanted: int
    got: int
    annotators: int
    run: int
    problem: str = ""

    @property
    def share(self) -> float:
        return self.got / self.wanted if self.wanted else 0.0


@dataclass(frozen=True)
class NewCampaign(View):
    """What came of making a campaign; `left_out` items had fewer than two different candidates, `cut` candidates were
    more than an item takes; `unnamed` where nothing said which system wrote which.
    """

    campaign: int
    name: str
    items: int
    left_out: int
    masked: int
    cut: int = 0
    unnamed: bool = False

    @property
    def told(self) -> str:
        """How many items there are, and what became of the rest."""
        more = f", {self.left_out:,} without a choice left out" if self.left_out else ""
        cut = f"; {self.cut:,} candidates beyond {MOST} an item left out" if self.cut else ""
        masked = f"; {self.masked:,} candidates named a model, which is hidden" if self.masked else ""
        unnamed = "; no column names the systems, so there is no leaderboard until they are named" * self.unnamed
        return f"{self.items:,} items{more}{cut}{masked}{unnamed}."


@dataclass(frozen=True)
class Sources(View):
    """Where a campaign's items came from, for its run: (role, model | dataset version | run, hash)."""

    inputs: tuple[RunInput, ...] = ()
    told: dict[str, Any] | None = None


def create(
    lab: LabContext,
    plan: CampaignPlan,
    tasks: Iterable[RankingTask],
    sources: Sources = Sources(),
    *,
    ordered: bool = False,
) -> NewCampaign:
    """A draft with these items in random order; equal candidates of an item are one.

    Candidates of an item are put in random order too, so that agreement by chance does not depend on which system is
    named first; with `ordered` they stay as they came.

    Raises LabError where no item has two different candidates, or the name is taken.
    """
    unique_tasks, left_out = distinct(tasks, plan, ordered)
    if not unique_tasks:
        raise LabError(
            "No item has two different candidates; choose runs that answer the same prompts, or draw with a "
            "temperature above 0."
        )
    if len(unique_tasks) > MOST_ITEMS:
        raise LabError(f"A campaign takes at most {MOST_ITEMS:,} items, not {len(unique_tasks):,}; split it.")
    names = pattern({option.system for task in unique_tasks for option in task.options})
    try:
        with lab.database.session() as session:
            campaign = reserve_name(lab, session, plan, sources, "draft")
            order = list(range(len(unique_tasks)))
            random.Random(f"{plan.seed} order").shuffle(order)
            hidden = fill(session, campaign, plan, unique_tasks, names, order)
            return NewCampaign(campaign.id, campaign.name, len(unique_tasks), left_out, hidden)
    except IntegrityError:
        raise DuplicateName("campaign", plan.name.strip()) from None


def reserve_name(lab: LabContext, session: Any, plan: CampaignPlan, sources: Sources, status: str) -> Campaign:
    """The campaign's row and its run, without items."""
    run = runs.begin(
        session,
        KIND,
        list(sources.inputs),
        settings={"plan": plan.as_dict(), "source": sources.told or {}},
        seed=plan.seed,
        title=plan.name.strip(),
        status="finished" if status == "draft" else "running",
    )
    row = Campaign(name=plan.name.strip(), plan=plan.as_dict(), status=status, made_by_run_id=run.id, items=0)
    session.add(row)
    session.flush()
    return row


def distinct(tasks: Iterable[RankingTask], plan: CampaignPlan, ordered: bool = False) -> tuple[list[RankingTask], int]:
    """Items as the campaign asks them, and how many had no choice in them. Pairwise ones are cut into pairs."""
    result: list[RankingTask] = []
    left_out = 0
    for number, task in enumerate(tasks):
        unique = _unique(task if ordered else _shuffled(task, f"{plan.seed} candidates {number}"))
        if unique is None:
            left_out += 1
        elif plan.kind == "pairwise" and len(unique.options) > 2:
            result += [_pair(unique, a, b) for a, b in combinations(range(len(unique.options)), 2)]
        else:
            result.append(unique)
    return result, left_out


def _shuffled(task: RankingTask, seed: str) -> RankingTask:
    indices = list(range(len(task.options)))
    random.Random(seed).shuffle(indices)
    return _part(task, indices)


def _unique(task: RankingTask) -> RankingTask | None:
    texts: dict[str, int] = {}
    for index, option in enumerate(task.options):
        texts.setdefault(option.text.strip(), index)
    if len(texts) == len(task.options):
        return task
    if len(texts) < 2:
        return None
    return _part(task, sorted(texts.values()))


def _pair(task: RankingTask, a: int, b: int) -> RankingTask:
    return _part(task, [a, b])


def _part(task: RankingTask, indices: Sequence[int]) -> RankingTask:
    """The item with these candidates alone; what is known of their order stays."""
    new_index = {index: n for n, index in enumerate(indices)}

    def cut(groups: Iterable[Iterable[int]]) -> tuple[tuple[int, ...], ...]:
        remaining = [tuple(new_index[candidate] for candidate in group if candidate in new_index) for group in groups]
        return tuple(group for group in remaining if group)

    gold = cut(task.gold) if task.gold is not None else None
    if gold is not None and len(gold) < 2 <= len(task.gold or ()):
        gold = None  # of these it is not known which is better
    votes = tuple((name, cut(groups)) for name, groups in task.votes)
    return replace(task, options=tuple(task.options[index] for index in indices), gold=gold, votes=votes)


def fill(
    session: Any, campaign: Campaign, plan: CampaignPlan, tasks: Sequence[RankingTask], names: Any, order: Sequence[int]
) -> int:
    """Writes the items at their places in the order given out; how many candidates named a model."""
    hidden = 0
    rows = []
    for position, task in zip(order, tasks, strict=True):
        masked_texts = [mask_names(option.text, names) for option in task.options]
        hidden += sum(masked_text is not None for masked_text in masked_texts)
        rows.append(
            {
                "place": position,
                "prompt": task.prompt,
                "capacity": queries.ENDLESS if task.gold is not None else plan.overlap,
                "candidates": [
                    {
                        "system": option.system,
                        "text": option.text,
                        "shown": masked_text,
                        "generation_id": option.generation,
                        "created_at": queries.now(),
                    }
                    for option, masked_text in zip(task.options, masked_texts, strict=True)
                ],
            }
        )
    ids = queries.add_items(session, campaign.id, rows)
    campaign.items += len(tasks)
    _add_gold(session, campaign, tasks, ids)
    return hidden


def _add_gold(session: Any, campaign: Campaign, tasks: Sequence[RankingTask], ids: Sequence[Sequence[int]]) -> None:
    if not any(task.gold is not None or task.votes for task in tasks):
        return
    items = queries.item_ids(session, campaign.id)[-len(tasks) :]
    for item, task, candidate_ids in zip(items, tasks, ids, strict=True):
        if task.gold is not None:
            session.get_one(Item, item).gold = [[candidate_ids[index] for index in group] for group in task.gold]

    vote_import.add(
        session,
        campaign,
        [(item, task, candidate_ids) for item, task, candidate_ids in zip(items, tasks, ids, strict=True)],
    )


def show(lab: LabContext, which: int | str) -> CampaignView:
    """By id or name; raises LabError."""
    id_or_name = int(which) if isinstance(which, str) and which.isdecimal() and len(which) < 10 else which
    with lab.database.reading() as session:
        row = queries.campaign(session, id_or_name)
        if row is None and id_or_name is not which:
            row = queries.campaign(session, which)
        names = [campaign.name for campaign in queries.campaigns(session)] if row is None else []
        if row is None:
            raise LabError(f"There is no campaign {which!r}. Known: {', '.join(names) or 'none yet'}.")
        return _view(session, row)


def find(lab: LabContext) -> list[CampaignView]:
    """All campaigns, newest first."""
    with lab.database.reading() as session:
        return [_view(session, row) for row in queries.campaigns(session)]


def _view(session: Any, row: Campaign) -> CampaignView:
    plan = CampaignPlan(**row.plan)
    got = queries.totals(session, row.id).get("done", 0)
    golds = len(queries.golds(session, row.id))
    people = len(queries.annotators(session, row.id))
    answers_wanted = max(got, (row.items - golds) * plan.overlap + golds * max(1, people))
    problem = _problem(session.get_one(Run, row.made_by_run_id)) if row.status == "making" else ""
    status = "failed" if problem else row.status
    return CampaignView(
        row.id,
        row.name,
        plan,
        status,
        row.created_at,
        row.items,
        answers_wanted,
        got,
        people,
        row.made_by_run_id,
        problem,
    )


def _problem(run: Run) -> str:
    """Why a campaign that waits for its candidates gets none; its run shares the end of the job that makes it."""
    if run.status not in ("failed", "cancelled"):
        return ""
    why = run.error if run.status == "failed" and run.error else "Making it was cancelled."
    return (
        f"Its candidates were not drawn. {why} Retry its jobs on the Jobs page, the one that draws first, or discard "
        "the campaign and make another."
    )


def close_complete(lab: LabContext, which: int | str) -> CampaignView:
    """Closes a campaign whose items came with all their answers, so that nobody is asked for more."""
    view = show(lab, which)
    if view.got < view.wanted or not view.got:
        return view
    with lab.database.session() as session:
        row = session.get_one(Campaign, view.id)
        row.status, row.closed_at = "closed", queries.now()
    return show(lab, view.id)


def move(lab: LabContext, which: int | str, status: str) -> CampaignView:
    """Opens, pauses, closes or reopens; what annotators hold is saved in any case. Raises LabError."""
    view = show(lab, which)
    if status not in MOVES:
        raise BadSetting("status", status, f"one of {', '.join(MOVES)}")
    if view.status == status:
        return view
    if view.problem:
        raise LabError(f"{view.name} cannot become {status}. {view.problem}")
    if view.status == "making":
        raise LabError(f"The candidates of {view.name} are still being drawn; it can become {status} after that.")
    if view.status not in MOVES[status]:
        raise LabError(f"{view.name} is {view.status}, so it cannot become {status}.")
    with lab.database.session() as session:
        row = session.get_one(Campaign, view.id)
        row.status = status
        if status == "open":
            row.opened_at = row.opened_at or queries.now()
            queries.tell_planner(session)
        row.closed_at = queries.now() if status == "closed" else None
    return show(lab, view.id)


def change(
    lab: LabContext,
    which: int | str,
    *,
    name: str | None = None,
    guidelines: str | None = None,
    overlap: int | None = None,
) -> CampaignView:
    """Name, guidelines and overlap may change at any time; a higher overlap raises the capacity of every item."""
    view = show(lab, which)
    plan = replace(
        view.plan,
        name=view.plan.name if name is None else name.strip(),
        guidelines=view.plan.guidelines if guidelines is None else guidelines,
        overlap=view.plan.overlap if overlap is None else overlap,
    )
    if plan.overlap < view.plan.overlap and view.status != "draft":
        raise LabError("The overlap of a campaign that was opened can only grow, since answers may be there already.")
    try:
        with lab.database.session() as session:
            row = session.get_one(Campaign, view.id)
            row.name, row.plan = plan.name, plan.as_dict()
            queries.widen(session, view.id, plan.overlap - view.plan.overlap)
    except IntegrityError:
        raise DuplicateName("campaign", plan.name) from None
    return show(lab, view.id)


def discard(lab: LabContext, which: int | str) -> None:
    """Removes a campaign without answers; one that has some is closed instead, since nobody's work is thrown away."""
    view = show(lab, which)
    with lab.database.session() as session:
        if queries.last_ranking(session, view.id):
            raise LabError(f"{view.name} has answers, so it cannot be discarded; close it instead.")
        queries.remove(session, view.id)
        session.get_one(Run, view.run).deleted_at = queries.now()
