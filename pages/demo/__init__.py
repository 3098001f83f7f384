"""The visitors' page and its routes: two answers side by side, blind, and a vote with consent.

What is refused is one sentence under "error"; answers come as lines of JSON (`visits.read`).
"""

import asyncio
import json
import math
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from starlette.staticfiles import StaticFiles

from genai_lab.context import LabContext
from genai_lab.errors import LabError, StorageError
from genai_lab.services.feedback import demos, visits, warming
from pages.components.connections import network
from pages.components.doors import Number, refused
from pages.components.throttles import Shares, Throttle
from pages.ranking import note

STATIC = Path(__file__).parent / "static"
DAYS = 30 * 86_400
LARGEST = 100_000
CONSENT = "consent"
# For one address, which a class or an office may share.
VISITS_A_MINUTE, VISITORS_AN_ADDRESS, REQUESTS_A_MINUTE = 30, 10, 600
GONE = "This link is not valid; ask whoever sent it for another."


def mount(app: FastAPI, lab: LabContext) -> None:
    """Adds the routes; they must come before Gradio's, which take whatever is left."""
    app.mount(f"{demos.ADDRESS}/static", StaticFiles(directory=STATIC))
    app.include_router(routes(lab))


class Limits:
    """How often a visitor, an address and everybody together may ask.

    Cookies cost nothing, so each limit of a visitor's has one of the address beside it. Of the prompts that are left
    for an hour an address gets as many as it has had already, at most: nobody uses up more than half of them.
    """

    def __init__(self) -> None:
        self._visits = Throttle(VISITS_A_MINUTE, 60.0)
        self._requests = Throttle(REQUESTS_A_MINUTE, 60.0)
        self._visitors: dict[tuple[int, int], Throttle] = {}
        self._addresses: dict[tuple[int, int], Throttle] = {}
        self._hours: dict[tuple[int, int], Shares] = {}
        self._lock = threading.Lock()

    def visit(self, address: str) -> float:
        """Seconds until another visitor may come from this address; 0 for now."""
        return self._visits.wait(address)

    def request(self, address: str) -> float:
        """Seconds until this address may ask for anything; 0 for now."""
        return self._requests.wait(address)

    def wait(self, demo: demos.DemoView, visitor: str, address: str) -> float:
        """Seconds until this visitor may send a prompt; 0 for now, and it is counted."""
        minute, hour = demo.plan.a_minute, demo.plan.an_hour
        with self._lock:
            own = self._visitors.setdefault((demo.id, minute), Throttle(minute, 60.0))
            near = self._addresses.setdefault((demo.id, minute), Throttle(minute * VISITORS_AN_ADDRESS, 60.0))
            every = self._hours.setdefault((demo.id, hour), Shares(hour, 3600.0))
            if wait := max(own.left(visitor), near.left(address), every.left(address)):
                return wait
            own.count(visitor)
            near.count(address)
            every.count(address)
            return 0.0


def routes(lab: LabContext) -> APIRouter:
    router, limits = APIRouter(prefix=demos.ADDRESS), Limits()

    @router.get("/with/{secret}")
    def come_in(secret: str, request: Request) -> Response:
        if wait := limits.request(_address(request)):
            return HTMLResponse(note(_later(wait)), 429)
        found = demos.opened(lab, secret)
        if found is None:
            return HTMLResponse(note(GONE), 403)
        warming.warm(lab, demos.show(lab, found[0]).plan.models)
        return RedirectResponse(f"{demos.ADDRESS}/{found[0]}/with/{secret}", 303)

    @router.get("/{demo}/with/{secret}")
    def known(demo: Number, secret: str, request: Request) -> Response:
        """Below the cookie's path, so that whoever opens the link again stays the same visitor."""
        if wait := limits.request(_address(request)):
            return HTMLResponse(note(_later(wait)), 429)
        found = demos.opened(lab, secret)
        if found is None or found[0] != demo:
            return HTMLResponse(note(GONE), 403)
        place = f"{demos.ADDRESS}/{demo}/"
        answer = RedirectResponse(place, 303)
        if demos.visitor(lab, demo, _cookie(request, demo)) is None:
            if wait := limits.visit(_address(request)):
                return HTMLResponse(note(_later(wait)), 429)
            _keep(answer, request, demo, "demo", found[1])
        return answer

    @router.get("/{demo}/")
    def page(demo: Number, request: Request) -> Response:
        if wait := limits.request(_address(request)):
            return HTMLResponse(note(_later(wait)), 429)
        if demos.visitor(lab, demo, _cookie(request, demo)) is None:
            return HTMLResponse(note(GONE), 403)
        return FileResponse(STATIC / "demo.html", headers={"cache-control": "no-cache"})

    @router.get("/{demo}/state")
    def state(demo: Number, request: Request) -> Response:
        if wait := limits.request(_address(request)):
            return refused(_later(wait), 429, wait=math.ceil(wait))
        visitor = demos.visitor(lab, demo, _cookie(request, demo))
        if visitor is None:
            return refused(GONE, 403)
        view = demos.show(lab, demo)
        if not view.closed:
            warming.warm(lab, view.plan.models)
        told = {
            "title": view.plan.title,
            "intro": view.plan.intro,
            "subtitle": view.plan.subtitle,
            "contact": view.plan.contact,
            "loading": warming.readiness(lab, view.plan.models).as_dict(),
            "prompts": list(view.plan.prompts),
            "longest": view.plan.longest,
            "closed": view.closed,
            "consented": visits.consented(lab, view, visitor, _cookie(request, demo, CONSENT)),
        }
        return JSONResponse(told, headers={"cache-control": "no-store"})

    @router.get("/{demo}/loading")
    def loading(demo: Number, request: Request) -> Response:
        """How many of the models are in memory, for a visitor who waits for them."""
        if wait := limits.request(_address(request)):
            return refused(_later(wait), 429, wait=math.ceil(wait))
        if demos.visitor(lab, demo, _cookie(request, demo)) is None:
            return refused(GONE, 403)
        told = warming.readiness(lab, demos.show(lab, demo).plan.models).as_dict()
        return JSONResponse(told, headers={"cache-control": "no-store"})

    @router.post("/{demo}/answer")
    async def answer(demo: Number, request: Request) -> Response:
        async def begin(visitor: str, sent: dict[str, Any]) -> Response:
            one = await asyncio.to_thread(_begin, lab, limits, demo, visitor, _address(request), sent.get("prompt"))
            return one if isinstance(one, Response) else _stream(one)

        return await _asked(lab, limits, demo, request, begin)

    @router.post("/{demo}/stop")
    async def stop(demo: Number, request: Request) -> Response:
        async def end(visitor: str, sent: dict[str, Any]) -> Response:
            visits.stop(demo, visitor)
            return JSONResponse({"stopped": True})

        return await _asked(lab, limits, demo, request, end)

    @router.post("/{demo}/consent")
    async def consent(demo: Number, request: Request) -> Response:
        async def note_it(visitor: str, sent: dict[str, Any]) -> Response:
            if sent.get("agreed") is not True:
                return refused("Consent is sent as true under 'agreed'.", 422)
            answer = JSONResponse({"consented": True})
            _keep(answer, request, demo, CONSENT, visits.agree(lab, demo, visitor))
            return answer

        return await _asked(lab, limits, demo, request, note_it)

    @router.post("/{demo}/vote")
    async def vote(demo: Number, request: Request) -> Response:
        async def keep(visitor: str, sent: dict[str, Any]) -> Response:
            key, verdict = str(sent.get("key")), str(sent.get("verdict"))
            consent = _cookie(request, demo, CONSENT)
            kept = await asyncio.to_thread(visits.vote, lab, demo, visitor, key, verdict, consent)
            await asyncio.wrap_future(kept)
            return JSONResponse(await asyncio.to_thread(_after_vote, lab, demo, key))

        return await _asked(lab, limits, demo, request, keep)

    return router


def _after_vote(lab: LabContext, demo: int, key: str) -> dict[str, Any]:
    """What a visitor is told once the vote is kept: names and results where the demo's maker wants that."""
    view = demos.show(lab, demo)
    told: dict[str, Any] = {"saved": True}
    if view.plan.reveal and (names := visits.wrote(key)):
        told["names"] = list(names)
    if view.plan.board:
        told["board"] = [
            {"model": one.model, "votes": one.votes, "share": one.share} for one in demos.standings(lab, view)
        ]
    return told


def _begin(
    lab: LabContext, limits: Limits, demo: int, visitor: str, address: str, prompt: Any
) -> "visits.Visit | Response":
    """The answers, begun; a refusal where there cannot be any. What is refused by itself counts as no request."""
    view = demos.show(lab, demo)
    if not isinstance(prompt, str):
        return refused("A prompt is sent as text under 'prompt'.", 422)
    visits.check(view, prompt)
    if visits.answering(demo, visitor):
        raise visits.Busy
    if wait := math.ceil(limits.wait(view, visitor, address)):
        return refused(_later(wait), 429, wait=wait)
    return visits.draw(lab, view, visitor, prompt)


def _later(seconds: float) -> str:
    time = f"{math.ceil(seconds)} s" if seconds < 90 else f"{math.ceil(seconds / 60)} min"
    return f"That was a lot at once; try again in {time}."


def _stream(one: visits.Visit) -> Response:
    """A thread reads the answers to their end, whoever listens, so that the visitor is free again in any case."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def put(line: str | None) -> None:
        with suppress(RuntimeError):  # the server is going down
            loop.call_soon_threadsafe(lines.put_nowait, line)

    def read() -> None:
        try:
            for item in visits.read(one):
                put(json.dumps(item, ensure_ascii=False) + "\n")
        finally:
            put(None)

    async def sent() -> AsyncIterator[bytes]:
        try:
            while (line := await lines.get()) is not None:
                yield line.encode("utf-8", "replace")
        finally:
            visits.leave(one)

    threading.Thread(target=read, name="demo", daemon=True).start()
    return StreamingResponse(sent(), media_type="application/x-ndjson", headers={"cache-control": "no-store"})


async def _asked(
    lab: LabContext,
    limits: Limits,
    demo: Number,
    request: Request,
    act: Callable[[str, dict[str, Any]], Awaitable[Response]],
) -> Response:
    """What `act` makes of the visitor and what was sent, or the sentence that refuses it."""
    if wait := limits.request(_address(request)):
        return refused(_later(wait), 429, wait=math.ceil(wait))
    visitor = await asyncio.to_thread(demos.visitor, lab, demo, _cookie(request, demo))
    if visitor is None:
        return refused(GONE, 403)
    body = await request.body()
    try:
        sent = json.loads(body) if len(body) <= LARGEST else None
    except (ValueError, RecursionError):
        sent = None
    if not isinstance(sent, dict):
        return refused("What was sent is no JSON object of at most 100 kB.", 422)
    try:
        return await act(visitor, sent)
    except visits.Busy as problem:
        return refused(str(problem), 429, wait=1)
    except LabError as problem:
        return refused(str(problem), 503 if isinstance(problem, StorageError) else 422)


def _cookie(request: Request, demo: int, kind: str = "demo") -> str:
    return request.cookies.get(f"{kind}_{demo}", "")


def _keep(answer: Response, request: Request, demo: int, kind: str, value: str) -> None:
    """A cookie that the demo alone gets."""
    place, secure = f"{demos.ADDRESS}/{demo}/", request.url.scheme == "https"
    answer.set_cookie(f"{kind}_{demo}", value, DAYS, path=place, httponly=True, samesite="lax", secure=secure)


def _address(request: Request) -> str:
    return network(request.client.host if request.client else "")
