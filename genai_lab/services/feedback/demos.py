"""Demos: chosen models shown to visitors, two at a time and blind; with consent, their votes land in a campaign.

Nothing that a visitor types is kept until they vote with consent: completions wait in memory under a key, and the vote
writes both runs, the item and the ranking in one transaction.
"""

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from genai_lab.decoding import Completion, Delta, Sampling
from genai_lab.errors import BadSetting, LabError
from genai_lab.feedback import CampaignPlan
from genai_lab.feedback.masking import masked, pattern
from genai_lab.lab import Lab
from genai_lab.models import Prompt, Request
from genai_lab.provenance import provenance
from genai_lab.services import feedback, generation, models, packing
from genai_lab.services.feedback import links
from genai_lab.services.feedback.ranking import desk
from storage import feedback as records
from storage import runs
from storage.feedback_tables import Annotator, Assignment, Campaign, Candidate, Demo, Item, Ranking
from storage.tables import RunInput

ADDRESS = "/demo"
FEWEST, MOST = 2, 6
MOST_TOKENS = 256
KEPT = 2000
VERDICTS: dict[str, tuple[list[list[int]], bool]] = {
    "a": ([[0], [1]], False),
    "b": ([[1], [0]], False),
    "tie": ([[0, 1]], False),
    "bad": ([[0, 1]], True),
}
CHANCE = secrets.SystemRandom()


@dataclass(frozen=True)
class DemoPlan:
    """What a lead decides; `longest` is in characters, `a_minute` bounds a visitor's prompts, `an_hour` everybody's."""

    title: str
    models: tuple[str, ...]
    prompts: tuple[str, ...] = ()
    intro: str = ""
    sampling: dict[str, Any] = field(default_factory=lambda: {"temperature": 0.8, "max_new_tokens": 128})
    longest: int = 2000
    a_minute: int = 6
    an_hour: int = 600

    def __post_init__(self) -> None:
        if not 1 <= len(self.title.strip()) <= 120:
            raise BadSetting("title", self.title[:60], "1 to 120 characters")
        if len(self.intro) > 2000:
            raise BadSetting("intro", "", "a text of at most 2,000 characters")
        if not FEWEST <= len(set(self.models)) <= MOST:
            raise LabError(f"A demo shows {FEWEST} to {MOST} models, not {len(set(self.models))}.")
        for name, low, high in (("longest", 1, 20_000), ("a_minute", 1, 600), ("an_hour", 1, 100_000)):
            if not low <= getattr(self, name) <= high:
                raise BadSetting(name, getattr(self, name), f"a whole number from {low:,} to {high:,}")
        if any(len(prompt) > self.longest for prompt in self.prompts) or len(self.prompts) > 20:
            raise LabError(f"A demo takes at most 20 example prompts of at most {self.longest:,} characters.")

    @property
    def drawing(self) -> Sampling:
        """The preset, with its length bounded."""
        made = Sampling.from_dict(self.sampling)
        return replace(made, max_new_tokens=min(made.max_new_tokens, MOST_TOKENS), num_completions=1)


@dataclass(frozen=True)
class DemoView:
    id: int
    plan: DemoPlan
    campaign: int
    path: str
    closed: bool
    votes: int


@dataclass
class Pending:
    """Two completions that may be voted on. `sides` are the models in the order shown."""

    demo: int
    visitor: str
    prompt: str
    sides: tuple[tuple[models.ModelView, Sampling, Prompt], ...]
    streams: tuple[Any, ...]
    names: Any
    done: bool = False


class Waiting:
    """What was shown and not voted on yet, the oldest dropped first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Pending] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: str, one: Pending) -> None:
        with self._lock:
            self._kept[key] = one
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)

    def get(self, key: str) -> Pending | None:
        with self._lock:
            return self._kept.get(key)


WAITING = Waiting()


def create(lab: Lab, plan: DemoPlan) -> DemoView:
    """Makes the demo and the campaign that its votes land in. Raises LabError for what cannot be shown."""
    plan.drawing  # noqa: B018 - a bad preset is told here
    views = [models.show(lab, name) for name in dict.fromkeys(plan.models)]
    inputs = tuple(
        RunInput(role=f"model {n}", model_id=view.id, content_hash=view.card.content_hash)
        for n, view in enumerate(views, 1)
    )
    name = _free(lab, f"Demo: {plan.title.strip()}"[:110])
    with lab.database.session() as session:
        asked = CampaignPlan(name, "helpful", "", "pairwise", repeats=0.0)
        row = feedback.reserved(lab, session, asked, feedback.Sources(inputs, {"demo": plan.title}), "draft")
        row.status, row.opened_at = "open", records.now()
        made = Demo(title=plan.title.strip(), plan=_kept(plan), secret=secrets.token_urlsafe(18), campaign_id=row.id)
        session.add(made)
        session.flush()
        number = made.id
    return show(lab, number)


def _free(lab: Lab, name: str) -> str:
    taken = {view.name for view in feedback.find(lab)}
    number, made = 1, name
    while made in taken:
        number += 1
        made = f"{name} {number}"
    return made


def find(lab: Lab) -> list[DemoView]:
    """All demos, newest first."""
    with lab.database.reading() as session:
        ids = list(session.scalars(select(Demo.id).order_by(Demo.id.desc())))
    return [show(lab, one) for one in ids]


def show(lab: Lab, demo: int) -> DemoView:
    """Raises LabError where there is no such demo."""
    with lab.database.reading() as session:
        row = session.get(Demo, demo)
        if row is None:
            raise LabError(f"There is no demo {demo}; the Feedback page lists those there are.")
        votes = records.totals(session, row.campaign_id).get("done", 0)
        plan = DemoPlan(**{**row.plan, "models": tuple(row.plan["models"]), "prompts": tuple(row.plan["prompts"])})
        path = f"{ADDRESS}/with/{row.secret}"
        return DemoView(row.id, plan, row.campaign_id, path, row.closed_at is not None, votes)


def close(lab: Lab, demo: int, closed: bool = True) -> DemoView:
    """A closed demo says so to its visitors; its votes stay."""
    show(lab, demo)
    with lab.database.session() as session:
        session.get_one(Demo, demo).closed_at = records.now() if closed else None
    return show(lab, demo)


def opened(lab: Lab, secret: str) -> tuple[int, str] | None:
    """(demo, cookie of a new visitor) for a link's secret, None where it opens nothing."""
    with lab.database.reading() as session:
        row = session.scalar(select(Demo).where(Demo.secret == secret))
    if row is None:
        return None
    visitor = secrets.token_hex(8)
    return row.id, f"{visitor}.{_mark(lab, row, visitor)}"


def visitor(lab: Lab, demo: int, cookie: str) -> str | None:
    """Who the cookie stands for, None for one that was not signed for this demo's link."""
    name, _, mark = cookie.partition(".")
    with lab.database.reading() as session:
        row = session.get(Demo, demo)
    if row is None or not name or not hmac.compare_digest(mark.encode(), _mark(lab, row, name).encode()):
        return None
    return name


def _mark(lab: Lab, row: Demo, visitor: str) -> str:
    return links.signed(lab, f"demo {row.id} {row.secret} {visitor}")


def _kept(plan: DemoPlan) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(plan), "models": list(dict.fromkeys(plan.models)), "prompts": list(plan.prompts)}


def check(view: DemoView, prompt: str) -> None:
    """Raises LabError for a demo that is closed and a prompt that it does not take."""
    if view.closed:
        raise LabError("This demo is closed.")
    if not prompt.strip():
        raise LabError("The prompt is empty; write something, or choose an example.")
    if len(prompt) > view.plan.longest:
        raise LabError(f"The prompt has {len(prompt):,} characters; at most {view.plan.longest:,} are taken here.")


def draw(lab: Lab, demo: int, visitor: str, prompt: str) -> str:
    """Begins two answers by two different models; the key under which they are read, stopped and voted on."""
    view = show(lab, demo)
    check(view, prompt)
    sides = []
    for name in CHANCE.sample(view.plan.models, 2):
        made = models.prompt_for(lab, name, prompt)
        sides.append((models.show(lab, name), view.plan.drawing.seeded(), made))
    streams = []
    for side, sampling, made in sides:
        generator = models.load(lab, side.card.name)
        streams += generator.submit([Request(made, sampling, 0, False)])
    key = secrets.token_hex(16)
    WAITING.put(key, Pending(demo, visitor, prompt, tuple(sides), tuple(streams), pattern(view.plan.models)))
    return key


def read(key: str) -> Iterator[dict[str, Any]]:
    """{"side", "text"} as they grow, the whole text each time, with names of models hidden; {"side", "end"} at each
    one's end.
    """
    one = WAITING.get(key)
    if one is None:
        return
    texts = ["", ""]
    try:
        for side, item in generation.together(one.streams):  # type: ignore[arg-type]
            if isinstance(item, Delta):
                texts[side] += item.text
                whole = texts[side]
                safe = whole[: max(whole.rfind(" "), whole.rfind("\n")) + 1]  # a name may be under way
                yield {"side": side, "text": masked(safe, one.names) or safe}
            elif item is None:
                text = _only(one.streams[side]).text
                yield {"side": side, "text": masked(text, one.names) or text, "end": True}
            else:
                yield {"side": side, "text": texts[side], "end": True, "error": str(item)}
        one.done = all(stream.completions for stream in one.streams)
    finally:
        stop(key, one.visitor)


def _only(stream: Any) -> Completion:
    found: Completion = stream.completions[0]
    return found


def stop(key: str, visitor: str) -> None:
    """Ends both answers; what was written so far stands."""
    one = WAITING.get(key)
    if one is not None and one.visitor == visitor:
        for stream in one.streams:
            stream.cancel()


def vote(lab: Lab, demo: int, visitor: str, key: str, verdict: str, consent: bool) -> "Future[None]":
    """Keeps both completions and the visitor's verdict on them; the future is done after COMMIT.

    Sent twice it is kept once. Raises LabError without consent, or for a key that is not the visitor's.
    """
    if verdict not in VERDICTS:
        raise BadSetting("verdict", verdict[:20], f"one of {', '.join(VERDICTS)}")
    if consent is not True:
        raise LabError("Votes are kept with consent only; give it first.")
    one = WAITING.get(key)
    if one is None or one.visitor != visitor or one.demo != demo:
        raise LabError("These answers are gone; ask again, then vote.")
    if not one.done:
        raise LabError("The answers are still being written; vote when both have ended.")
    view = show(lab, demo)
    made = provenance()
    return desk(lab).writer.submit(lambda session: _keep(session, lab, view, one, key, verdict, made))


def _keep(session: Session, lab: Lab, view: DemoView, one: Pending, key: str, verdict: str, made: Any) -> None:
    if session.scalar(select(Assignment.id).where(Assignment.key == key)) is not None:
        return
    campaign = session.get_one(Campaign, view.campaign)
    item = Item(campaign_id=campaign.id, place=campaign.items, prompt=one.prompt, room=0, decided=False)
    session.add(item)
    session.flush()
    campaign.items += 1
    shown = [_candidate(session, lab, item, place, one, made).id for place in range(2)]
    person = _person(session, campaign, one.visitor)
    given = Assignment(
        campaign_id=campaign.id,
        item_id=item.id,
        annotator_id=person.id,
        key=key,
        shown=shown,
        status="done",
        revision=0,
    )
    session.add(given)
    session.flush()
    groups, bad = VERDICTS[verdict]
    session.add(
        Ranking(
            assignment_id=given.id,
            campaign_id=campaign.id,
            revision=0,
            groups=[[shown[place] for place in group] for group in groups],
            both_bad=bad,
            seconds=0.0,
        )
    )
    session.flush()


def _candidate(session: Session, lab: Lab, item: Item, place: int, one: Pending, made: Any) -> Candidate:
    """A side's completion as a run of its own, and as a candidate of the item."""
    side, sampling, prompt = one.sides[place]
    stream = one.streams[place]
    done = _only(stream)
    job = generation.Job(side.card.name, prompt, sampling)
    run = runs.add_run(
        session,
        [RunInput(role="model", model_id=side.id, content_hash=side.card.content_hash)],
        **generation.fields_of(lab, job, 0, None, None, made) | {"status": "finished", "seconds": done.seconds},
    )
    row = packing.row_of(done, stream.rendered)
    run.generations.append(row)
    session.flush()
    made_of = Candidate(
        item_id=item.id,
        place=place,
        system=side.card.name,
        text=done.text,
        shown=masked(done.text, one.names),
        generation_id=row.id,
    )
    session.add(made_of)
    session.flush()
    return made_of


def _person(session: Session, campaign: Campaign, visitor: str) -> Annotator:
    name = f"visitor {visitor[:8]}"
    found = records.annotator_named(session, campaign.id, name)
    if found is None:
        found = Annotator(
            campaign_id=campaign.id, name=name, secret=secrets.token_urlsafe(24), visitor=True, given=0, done=0
        )
        session.add(found)
    found.done = (found.done or 0) + 1
    found.given = (found.given or 0) + 1
    found.seen_at = records.now()
    session.flush()
    return found


def told(views: Sequence[DemoView]) -> list[dict[str, Any]]:
    """Demos as JSON, for the command line."""
    return [
        {
            "demo": view.id,
            "title": view.plan.title,
            "models": list(view.plan.models),
            "link": view.path,
            "closed": view.closed,
            "campaign": view.campaign,
            "votes": view.votes,
        }
        for view in views
    ]
