"""The visitors' page and its routes: two answers side by side, blind, and a vote with consent."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from starlette.staticfiles import StaticFiles

from genai_lab.errors import LabError, StorageError
from genai_lab.lab import Lab
from genai_lab.services.feedback import demos
from pages.components.doors import Throttle
from pages.ranking import note

STATIC = Path(__file__).parent / "static"
DAYS = 30 * 86_400
LARGEST = 100_000
GONE = "This link is not valid; ask whoever sent it for another."


def mount(app: FastAPI, lab: Lab) -> None:
    """Adds the routes; they must come before Gradio's, which take whatever is left."""
    app.mount(f"{demos.ADDRESS}/static", StaticFiles(directory=STATIC))
    app.include_router(routes(lab))


class Limits:
    """How often a visitor and everybody together may ask, and who is being answered now."""

    def __init__(self) -> None:
        self._visitors: dict[tuple[int, int], Throttle] = {}
        self._all: dict[tuple[int, int], Throttle] = {}
        self.answering: set[str] = set()

    def wait(self, demo: demos.DemoView, visitor: str) -> float:
        """Seconds until this visitor may ask; 0 for now."""
        own = self._visitors.setdefault((demo.id, demo.plan.a_minute), Throttle(demo.plan.a_minute, 60.0))
        every = self._all.setdefault((demo.id, demo.plan.an_hour), Throttle(demo.plan.an_hour, 3600.0))
        return own.wait(visitor) or every.wait("")


def routes(lab: Lab) -> APIRouter:
    router, limits = APIRouter(prefix=demos.ADDRESS), Limits()

    @router.get("/with/{secret}")
    def come_in(secret: str, request: Request) -> Response:
        found = demos.opened(lab, secret)
        if found is None:
            return HTMLResponse(note(GONE), 403)
        demo, cookie = found
        place = f"{demos.ADDRESS}/{demo}/"
        answer = RedirectResponse(place, 303)
        if demos.visitor(lab, demo, _cookie(request, demo)) is None:
            secure = request.url.scheme == "https"
            answer.set_cookie(f"demo_{demo}", cookie, DAYS, path=place, httponly=True, samesite="lax", secure=secure)
        return answer

    @router.get("/{demo}/")
    def page(demo: int, request: Request) -> Response:
        if demos.visitor(lab, demo, _cookie(request, demo)) is None:
            return HTMLResponse(note(GONE), 403)
        return FileResponse(STATIC / "demo.html", headers={"cache-control": "no-cache"})

    @router.get("/{demo}/state")
    def state(demo: int, request: Request) -> Response:
        if demos.visitor(lab, demo, _cookie(request, demo)) is None:
            return _error(GONE, 403)
        view = demos.show(lab, demo)
        told = {
            "title": view.plan.title,
            "intro": view.plan.intro,
            "prompts": list(view.plan.prompts),
            "longest": view.plan.longest,
            "closed": view.closed,
        }
        return JSONResponse(told, headers={"cache-control": "no-store"})

    @router.post("/{demo}/answer")
    async def answer(demo: int, request: Request) -> Response:
        visitor, sent = await _asked(lab, demo, request)
        if isinstance(sent, Response):
            return sent
        return await asyncio.to_thread(_begin, lab, limits, demo, visitor, sent)

    @router.post("/{demo}/stop")
    async def stop(demo: int, request: Request) -> Response:
        visitor, sent = await _asked(lab, demo, request)
        if isinstance(sent, Response):
            return sent
        demos.stop(str(sent.get("key")), visitor)
        return JSONResponse({"stopped": True})

    @router.post("/{demo}/vote")
    async def vote(demo: int, request: Request) -> Response:
        visitor, sent = await _asked(lab, demo, request)
        if isinstance(sent, Response):
            return sent
        key, verdict, consent = str(sent.get("key")), str(sent.get("verdict")), sent.get("consent") is True
        try:
            await asyncio.wrap_future(demos.vote(lab, demo, visitor, key, verdict, consent))
        except LabError as problem:
            return _error(str(problem), 503 if isinstance(problem, StorageError) else 422)
        return JSONResponse({"saved": True})

    return router


def _begin(lab: Lab, limits: Limits, demo: int, visitor: str, sent: dict[str, Any]) -> Response:
    """The stream of both answers as lines of JSON: the key first, then texts as they grow."""
    view = demos.show(lab, demo)
    prompt = sent.get("prompt")
    if not isinstance(prompt, str):
        return _error("A question is sent as text under 'prompt'.", 422)
    if visitor in limits.answering:
        return _error("Your last question is still being answered; stop it or wait.", 429)
    try:
        demos.check(view, prompt)
        if wait := limits.wait(view, visitor):
            return _error(f"That was a lot at once; try again in {wait:.0f} s.", 429, wait=round(wait))
        key = demos.draw(lab, demo, visitor, prompt)
    except LabError as problem:
        return _error(str(problem), 422)
    limits.answering.add(visitor)

    def lines() -> Iterator[str]:
        try:
            yield json.dumps({"key": key}) + "\n"
            for item in demos.read(key):
                yield json.dumps(item, ensure_ascii=False) + "\n"
        finally:
            limits.answering.discard(visitor)

    return StreamingResponse(lines(), media_type="application/x-ndjson", headers={"cache-control": "no-store"})


async def _asked(lab: Lab, demo: int, request: Request) -> tuple[str, Any]:
    """(visitor, what was sent), or an answer that refuses it."""
    visitor = await asyncio.to_thread(demos.visitor, lab, demo, _cookie(request, demo))
    if visitor is None:
        return "", _error(GONE, 403)
    body = await request.body()
    try:
        sent = json.loads(body) if len(body) <= LARGEST else None
    except (ValueError, RecursionError):
        sent = None
    if not isinstance(sent, dict):
        return visitor, _error("What was sent is no JSON object of at most 100 kB.", 422)
    return visitor, sent


def _cookie(request: Request, demo: int) -> str:
    return request.cookies.get(f"demo_{demo}", "")


def _error(sentence: str, status: int, **more: Any) -> Response:
    return JSONResponse({"error": sentence, **more}, status)
