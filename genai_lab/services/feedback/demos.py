"""Demos: chosen models shown to visitors, two at a time and blind; with consent, their votes land in a campaign.

What visitors do there is in `visits`.
"""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy.exc import IntegrityError

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, DuplicateName, LabError, UnknownName
from genai_lab.feedback import CampaignPlan
from genai_lab.services import feedback, models, presets
from genai_lab.services.feedback import links
from genai_lab.views import View
from storage import demos as queries
from storage import feedback as records
from storage.feedback_tables import Demo
from storage.tables import RunInput

ADDRESS = "/demo"
FEWEST, MOST = 2, 6
MOST_TOKENS = 256


@dataclass(frozen=True)
class DemoPlan(View):
    """What an owner decides; `longest` is in characters, `a_minute` bounds a visitor's prompts, `an_hour` everybody's.

    After a vote, `reveal` tells which model wrote which answer, and `board` how all of them did so far.
    """

    title: str
    models: tuple[str, ...]
    prompts: tuple[str, ...] = ()
    intro: str = ""
    sampling: dict[str, Any] = field(default_factory=lambda: {"temperature": 0.8, "max_new_tokens": 128})
    longest: int = 2000
    a_minute: int = 6
    an_hour: int = 600
    subtitle: str = ""
    contact: str = ""
    reveal: bool = False
    board: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.title.strip()) <= 120:
            raise BadSetting("title", self.title[:60], "1 to 120 characters")
        if len(self.intro) > 2000:
            raise BadSetting("intro", "", "a text of at most 2,000 characters")
        for name, text in (("subtitle", self.subtitle), ("contact", self.contact)):
            if len(text) > 200:
                raise BadSetting(name, text[:60], "a text of at most 200 characters")
        if not FEWEST <= len(set(self.models)) <= MOST:
            raise LabError(f"A demo shows {FEWEST} to {MOST} models, not {len(set(self.models))}.")
        for name, value, high in (
            ("characters a prompt", self.longest, 20_000),
            ("prompts of a visitor a minute", self.a_minute, 600),
            ("prompts an hour", self.an_hour, 100_000),
        ):
            if not 1 <= value <= high:
                raise BadSetting(name, value, f"a whole number from 1 to {high:,}")
        if len(self.prompts) > 20 or not all(p.strip() and len(p) <= self.longest for p in self.prompts):
            raise LabError(f"A demo takes at most 20 example prompts of 1 to {self.longest:,} characters.")

    @property
    def drawing(self) -> Sampling:
        """The preset, with its length bounded."""
        preset = Sampling.from_dict(self.sampling)
        return replace(
            preset,
            max_new_tokens=min(preset.max_new_tokens, MOST_TOKENS),
            num_return_sequences=1,
            num_beams=1,
            seed=None,
        )


@dataclass(frozen=True)
class DemoView(View):
    """One demo. `path` is its link below the lab's address; `takes_votes` says whether its campaign is open."""

    id: int
    plan: DemoPlan
    campaign: int
    path: str
    closed: bool
    votes: int
    visitors: int
    takes_votes: bool


def sampling(lab: LabContext, preset: str, max_new_tokens: int, temperature: float | None = None) -> dict[str, Any]:
    """A preset's settings, with a temperature in place of its own (0: greedy). Raises UnknownName."""
    all_presets = presets.presets(lab)
    if preset not in all_presets:
        raise UnknownName("preset", preset, all_presets)
    settings = all_presets[preset].sampling.as_dict() | {"max_new_tokens": max_new_tokens}
    if temperature is not None:
        settings |= {"temperature": temperature or 1.0, "greedy": not temperature}
    return settings


QUESTIONS = (
    "Write a short thank-you note to a colleague who helped me move.",
    "Explain in two sentences why the sky is blue.",
    "Suggest three names for a small bakery by the sea.",
)
BEGINNINGS = (
    "One day, a girl named Lily went to the park.",
    "Tom found an old key under the bed.",
    "It was raining, and Anna wanted to play outside.",
)


def example_prompts(lab: LabContext, names: Sequence[str]) -> tuple[str, ...]:
    """Prompts that these models do well: questions for those that chat, beginnings of stories for the shipped ones."""
    cards = [models.show(lab, name).card for name in names]
    chats = all(card.modes[:1] == ("chat",) for card in cards)
    return QUESTIONS if cards and chats else BEGINNINGS


def create(lab: LabContext, plan: DemoPlan) -> DemoView:
    """Makes the demo and the campaign that its votes land in. Raises LabError for what cannot be shown."""
    plan.drawing  # noqa: B018 - a bad preset is told here
    views = [models.show(lab, name) for name in dict.fromkeys(plan.models)]
    inputs = tuple(
        RunInput(role=f"model {n}", model_id=view.id, content_hash=view.card.content_hash)
        for n, view in enumerate(views, 1)
    )
    for view in views:
        if not view.card.modes or view.status == "archived":
            problem = "is archived" if view.status == "archived" else "generates no text"
            raise LabError(f"{view.card.name} {problem}, so a demo cannot show it; choose another model.")
    name = _free(lab, f"Demo: {plan.title.strip()}"[:110])
    campaign_plan = CampaignPlan(name, "helpful", "", "pairwise", repeats=0.0)
    try:
        with lab.database.session() as session:
            row = feedback.reserve_name(
                lab, session, campaign_plan, feedback.Sources(inputs, {"demo": plan.title}), "draft"
            )
            row.status, row.opened_at = "open", records.now()
            secret = secrets.token_urlsafe(18)
            demo = Demo(title=plan.title.strip(), plan=_kept(plan), secret=secret, campaign_id=row.id)
            session.add(demo)
            session.flush()
            number = demo.id
    except IntegrityError:
        raise DuplicateName("campaign", name) from None
    return show(lab, number)


def _free(lab: LabContext, name: str) -> str:
    existing = {view.name for view in feedback.find(lab)}
    number, free_name = 1, name
    while free_name in existing:
        number += 1
        free_name = f"{name} {number}"
    return free_name


def find(lab: LabContext) -> list[DemoView]:
    """All demos, newest first."""
    with lab.database.reading() as session:
        return [_view(lab, session, *row) for row in queries.demos(session)]


def show(lab: LabContext, demo: int) -> DemoView:
    """Raises LabError where there is no such demo."""
    with lab.database.reading() as session:
        row = queries.demo(session, demo)
        if row is None:
            raise LabError(f"There is no demo {demo}; the Feedback page lists the existing ones.")
        return _view(lab, session, *row)


def _view(lab: LabContext, session: Any, row: Demo, campaign: Any) -> DemoView:
    plan = DemoPlan(**{**row.plan, "models": tuple(row.plan["models"]), "prompts": tuple(row.plan["prompts"])})
    return DemoView(
        row.id,
        plan,
        row.campaign_id,
        _path(lab, row),
        row.closed_at is not None,
        records.totals(session, row.campaign_id).get("done", 0),
        queries.visitors(session, row.campaign_id),
        campaign.status == "open",
    )


def _path(lab: LabContext, row: Demo) -> str:
    return f"{ADDRESS}/with/{_token(lab, row)}"


def _token(lab: LabContext, row: Demo) -> str:
    return links.token(lab, "demo", row.id, row.secret)


def close(lab: LabContext, demo: int, closed: bool = True) -> DemoView:
    """A closed demo says so to its visitors; its votes stay. One that is opened again opens its campaign too."""
    view = show(lab, demo)
    if not closed:
        feedback.move(lab, view.campaign, "open")
    with lab.database.session() as session:
        session.get_one(Demo, demo).closed_at = records.now() if closed else None
    return show(lab, demo)


def reopen(lab: LabContext, demo: int) -> DemoView:
    """The same link opens it again."""
    return close(lab, demo, closed=False)


def link(lab: LabContext, demo: int, *, renew: bool = False) -> str:
    """The path that opens it; with `renew` a new one, after which the old one and its cookies open nothing."""
    path = show(lab, demo).path
    if renew:
        with lab.database.session() as session:
            row = session.get_one(Demo, demo)
            row.secret = secrets.token_urlsafe(18)
            path = _path(lab, row)
    return path


def find_by_secret(lab: LabContext, secret: str) -> tuple[int, str] | None:
    """(demo, cookie of a new visitor) for a link's secret, None where it opens nothing."""
    number = links.number_of(secret)
    with lab.database.reading() as session:
        row = queries.demo_by(session, links.hash_secret(secret)) if number is None else session.get(Demo, number)
    if row is None or not (number is None or links.fits(_token(lab, row), secret)):
        return None
    name = secrets.token_hex(8)
    return row.id, f"{name}.{_mark(lab, row, name)}"


def visitor(lab: LabContext, demo: int, cookie: str) -> str | None:
    """Who the cookie stands for, None for one that was not signed for this demo's link."""
    name, _, mark = cookie.partition(".")
    with lab.database.reading() as session:
        row = queries.demo(session, demo)
    if row is None or not name or not hmac.compare_digest(mark.encode(), _mark(lab, row[0], name).encode()):
        return None
    return name


def _mark(lab: LabContext, row: Demo, visitor: str) -> str:
    return links.sign(lab, f"demo {row.id} {row.secret} {visitor}")


@dataclass(frozen=True)
class DemoStanding(View):
    """How one model did in the votes so far; a tie is half a win."""

    model: str
    votes: int
    wins: int
    ties: int

    @property
    def share(self) -> float:
        return (self.wins + self.ties / 2) / self.votes if self.votes else 0.0


def standings(lab: LabContext, view: DemoView) -> list[DemoStanding]:
    """Every model of the demo, the best first; answers that were both bad count for none."""
    with lab.database.reading() as session:
        votes = records.votes(session, view.campaign)
        names = {
            candidate_id: system for candidate_id, (_, system, _) in records.systems(session, view.campaign).items()
        }
    counts = {model: [0, 0, 0] for model in view.plan.models}
    for vote in votes:
        if vote.both_bad or vote.skip or vote.status != "done":
            continue
        for rank, group in enumerate(vote.groups):
            for candidate_id in group:
                if names[candidate_id] in counts:
                    tally = counts[names[candidate_id]]
                    tally[0] += 1
                    tally[1] += len(vote.groups) > 1 and rank == 0
                    tally[2] += len(vote.groups) == 1
    result = [DemoStanding(model, *tally) for model, tally in counts.items()]
    return sorted(result, key=lambda candidate_id: (-candidate_id.share, -candidate_id.votes, candidate_id.model))


def _kept(plan: DemoPlan) -> dict[str, Any]:
    return {**asdict(plan), "models": list(dict.fromkeys(plan.models)), "prompts": list(plan.prompts)}


def rows_as_dicts(views: Sequence[DemoView]) -> list[dict[str, Any]]:
    """Demos as JSON, for the command line."""
    return [
        {
            "demo": view.id,
            "title": view.plan.title,
            "models": list(view.plan.models),
            "link": view.path,
            "longest": view.plan.longest,
            "a_minute": view.plan.a_minute,
            "an_hour": view.plan.an_hour,
            "reveal": view.plan.reveal,
            "board": view.plan.board,
            "closed": view.closed,
            "campaign": view.campaign,
            "votes": view.votes,
            "visitors": view.visitors,
        }
        for view in views
    ]
