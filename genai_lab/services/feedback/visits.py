"""What visitors of a demo do: they try prompts, agree that their votes are kept, and vote.

Answers wait in memory under a key. Nothing is written until a visitor has agreed, and then with a vote alone: both
runs, the item, the assignment and the ranking in one transaction.
"""

import hmac
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.decoding import NO_ANSWER, Completion, Delta, Sampling
from genai_lab.errors import BadSetting, LabError, PromptTooLong
from genai_lab.feedback.masking import Streamed, mask_names, pattern
from genai_lab.models import Prompt, Request
from genai_lab.services import generation, models, packing
from genai_lab.services.feedback import links
from genai_lab.services.feedback.annotation_service import annotation_service
from genai_lab.services.feedback.demos import DemoView, show
from storage import demos as queries
from storage.feedback_tables import Annotator

log = logging.getLogger(__name__)

KEPT, KEPT_FOR = 2000, 3600.0  # answers that may still be voted on, and for how many seconds
VERDICTS: dict[str, tuple[list[list[int]], bool]] = {
    "a": ([[0], [1]], False),
    "b": ([[1], [0]], False),
    "tie": ([[0, 1]], False),
    "bad": ([[0, 1]], True),
}
CHANCE = secrets.SystemRandom()


class Busy(LabError):
    """One visitor is answered once at a time."""

    def __init__(self) -> None:
        super().__init__("Your last prompt is still being answered; stop it or wait.")


@dataclass
class Visit:
    """Two answers to a visitor's prompt. `sides` are the models in the order shown; `done` their completions with the
    text that each model read, once both have ended by themselves.
    """

    key: str
    demo: int
    visitor: str
    prompt: str
    names: tuple[str, ...]
    sides: tuple[tuple[models.ModelView, Sampling, Prompt], ...] = ()
    streams: tuple[Any, ...] = ()
    stopped: bool = False
    done: tuple[tuple[Completion, str], ...] = ()
    ended: float = field(default_factory=time.monotonic)


class Waiting:
    """Who is being answered, and what may be voted on; the oldest is dropped first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Visit] = OrderedDict()
        self._answering: dict[tuple[int, str], Visit] = {}
        self._lock = threading.Lock()

    def begin(self, visit: Visit) -> None:
        with self._lock:
            if (visit.demo, visit.visitor) in self._answering:
                raise Busy
            self._answering[visit.demo, visit.visitor] = visit

    def answering(self, demo: int, visitor: str) -> Visit | None:
        with self._lock:
            return self._answering.get((demo, visitor))

    def end(self, visit: Visit) -> None:
        """The visitor may ask again; what has both completions is kept for a vote."""
        with self._lock:
            if self._answering.get((visit.demo, visit.visitor)) is visit:
                del self._answering[visit.demo, visit.visitor]
            if visit.done:
                self._kept[visit.key] = visit
            late = time.monotonic() - KEPT_FOR
            while self._kept and (len(self._kept) > KEPT or next(iter(self._kept.values())).ended < late):
                self._kept.popitem(last=False)

    def get(self, key: str) -> Visit | None:
        with self._lock:
            return self._kept.get(key)


WAITING = Waiting()


def check(view: DemoView, prompt: str) -> None:
    """Raises LabError for a demo that is closed and a prompt that it does not take."""
    if view.closed:
        raise LabError("This demo is closed.")
    if not prompt.strip():
        raise LabError("The prompt is empty; write something, or choose an example.")
    if len(prompt) > view.plan.longest:
        raise LabError(f"The prompt has {len(prompt):,} characters; at most {view.plan.longest:,} are taken here.")
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise LabError("The prompt holds half a character, which no model can read; delete it.") from None


def draw(lab: LabContext, view: DemoView, visitor: str, prompt: str) -> Visit:
    """Begins the answers of two different models, drawn at random as their sides are; `read` gives their text.

    Raises LabError in words that name no model, and Busy while the visitor's last answers are under way.
    """
    check(view, prompt)
    visit = Visit(secrets.token_hex(16), view.id, visitor, prompt, view.plan.models)
    WAITING.begin(visit)
    streams: list[Any] = []
    try:
        sides = []
        for name in CHANCE.sample(view.plan.models, 2):
            side = models.show(lab, name)
            sides.append((side, view.plan.drawing.seeded(), models.prompt_for(lab, name, prompt)))
        loaded = [models.load(lab, side.card.name) for side, _, _ in sides]
        for generator, (_, sampling, model_prompt) in zip(loaded, sides, strict=True):
            streams += generator.submit([Request(model_prompt, sampling, 0, False)])
    except BaseException as problem:
        for stream in streams:
            stream.cancel()
        WAITING.end(visit)
        if isinstance(problem, LabError):
            raise _blind(problem) from None
        raise
    visit.sides, visit.streams = tuple(sides), tuple(streams)
    if visit.stopped:
        _cancel(visit)
    return visit


def read(visit: Visit) -> Iterator[dict[str, Any]]:
    """{"side", "text"} with what is new of an answer, names of models hidden; {"side", "end"} with its stop reason;
    at last {"end", "key"}, whose key is None where there is nothing to vote on, with a "note" that says why.
    """
    hidden = [Streamed(visit.names), Streamed(visit.names)]
    problem: LabError | None = None
    try:
        for side, item in generation.merge_streams(visit.streams):  # type: ignore[arg-type]
            if isinstance(item, Delta):
                if text := hidden[side].push(item.text):
                    yield {"side": side, "text": text}
                continue
            if item is not None:
                problem = item
                _cancel(visit)
            if text := hidden[side].rest():
                yield {"side": side, "text": text}
            yield {"side": side, "end": "error" if item is not None else _reason(visit.streams[side])}
        yield _ended(visit, problem)
    finally:
        if not visit.done:
            _cancel(visit)
        WAITING.end(visit)


def _ended(visit: Visit, problem: LabError | None) -> dict[str, Any]:
    if problem is not None:
        return {"end": True, "key": None, "note": str(_blind(problem))}
    completions = [(stream.completions[0], stream.rendered) for stream in visit.streams]
    if visit.stopped or any(completion.finish_reason == "cancelled" for completion, _ in completions):
        return {"end": True, "key": None, "note": "Stopped. Only whole answers can be voted on."}
    if any(completion.finish_reason in NO_ANSWER for completion, _ in completions):
        return {"end": True, "key": None, "note": "One of the answers was ended by a filter; try another prompt."}
    if completions[0][0].text.strip() == completions[1][0].text.strip():
        return {"end": True, "key": None, "note": "Both answers are the same, so there is nothing to choose."}
    visit.done, visit.streams, visit.ended = tuple(completions), (), time.monotonic()
    WAITING.end(visit)
    return {"end": True, "key": visit.key, "note": ""}


def _reason(stream: Any) -> str:
    return str(stream.completions[0].finish_reason) if stream.completions else "cancelled"


def _blind(problem: LabError) -> LabError:
    """The problem in words that tell nothing of the models; the log has the rest."""
    if isinstance(problem, PromptTooLong):
        return LabError("The prompt is too long for these models; shorten it.")
    if isinstance(problem, Busy):
        return problem
    log.warning("a demo could not answer: %s", problem)
    return LabError("The models cannot answer at the moment; try again later.")


def stop(demo: int, visitor: str) -> None:
    """Ends the answers that the visitor is being given."""
    visit = WAITING.answering(demo, visitor)
    if visit is not None:
        leave(visit)


def answering(demo: int, visitor: str) -> bool:
    return WAITING.answering(demo, visitor) is not None


def leave(visit: Visit) -> None:
    """Nobody reads these answers any more."""
    visit.stopped = True
    _cancel(visit)


def _cancel(visit: Visit) -> None:
    for stream in visit.streams:
        stream.cancel()


def has_consented(lab: LabContext, view: DemoView, visitor: str, consent: str = "") -> bool:
    """Whether the visitor has agreed that prompts and votes are kept, by this mark or with an earlier vote."""
    if consent and hmac.compare_digest(consent.encode(), agree(lab, view.id, visitor).encode()):
        return True
    with lab.database.reading() as session:
        return _person(session, lab, view, visitor) is not None


def agree(lab: LabContext, demo: int, visitor: str) -> str:
    """The mark of a visitor who has agreed, for a cookie; the first vote writes the visitor down under a number."""
    return links.sign(lab, f"consent {demo} {visitor}")


def _person(session: Session, lab: LabContext, view: DemoView, visitor: str) -> Annotator | None:
    return queries.visitor(session, view.campaign, _secret(lab, view, visitor))


def _secret(lab: LabContext, view: DemoView, visitor: str) -> str:
    """What the visitor does not know, so that the cookie opens nothing of an annotator's."""
    return links.sign(lab, f"visitor {view.id} {visitor}")


def wrote(key: str) -> tuple[str, str] | None:
    """Which models wrote the two answers, in the order shown; None where they are gone."""
    visit = WAITING.get(key)
    return (visit.sides[0][0].card.name, visit.sides[1][0].card.name) if visit is not None and visit.sides else None


def vote(lab: LabContext, demo: int, visitor: str, key: str, verdict: str, consent: str = "") -> "Future[None]":
    """Keeps both completions and the visitor's verdict on them; the future is done after COMMIT.

    Sent twice it is kept once. Raises LabError without consent, or for a key that is not the visitor's.
    """
    if verdict not in VERDICTS:
        raise BadSetting("verdict", verdict[:20], f"one of {', '.join(VERDICTS)}")
    if not key.isascii():
        raise LabError("These answers are gone; try the prompt again, then vote.")
    view = show(lab, demo)
    groups, bad = VERDICTS[verdict]
    agreed = has_consented(lab, view, visitor, consent)

    def save_vote(session: Session) -> None:
        person = _person(session, lab, view, visitor)
        if not agreed or (person is not None and person.revoked_at is not None):
            raise LabError("Votes are kept with consent only; give it first.")
        if person is not None and (earlier := queries.vote(session, key, person.id)) is not None:
            if earlier != (groups, bad):
                raise LabError("You have voted on these answers; your first vote stands.")
            return
        visit = WAITING.get(key)
        if visit is None or visit.visitor != visitor or visit.demo != demo:
            raise LabError("These answers are gone; try the prompt again, then vote.")
        demo_row = queries.demo(session, demo)
        if demo_row is None or demo_row[0].closed_at is not None:
            raise LabError("This demo is closed.")
        if demo_row[1].status != "open":
            raise LabError("This demo takes no votes at the moment.")
        if person is None:
            person = queries.add_visitor(session, view.campaign, _secret(lab, view, visitor))
        seconds = max(0.1, time.monotonic() - visit.ended)
        candidates = [_candidate(session, lab, visit, side) for side in range(2)]
        queries.add_vote(session, view.campaign, person.id, visit.prompt, candidates, key, groups, bad, seconds)

    return annotation_service(lab).writer.submit(save_vote)


def _candidate(session: Session, lab: LabContext, visit: Visit, position: int) -> dict[str, Any]:
    """A side's completion as a run of its own, and as what a candidate is made of."""
    (side, sampling, prompt), (completion, rendered) = visit.sides[position], visit.done[position]
    job = generation.GenerationSpec(side.card.name, prompt, sampling)
    run = generation.begin_run(
        lab, session, job, side.id, side.card, group=visit.key[:12], status="finished", seconds=completion.seconds
    )
    row = packing.row_of(completion, rendered)
    run.generations.append(row)
    session.flush()
    masked_text = mask_names(completion.text, pattern(visit.names))
    return {"system": side.card.name, "text": completion.text, "shown": masked_text, "generation_id": row.id}
