"""The annotators' page and its routes: FastAPI's own, since Gradio's sessions end with the process.

What a card gets and sends is in `genai_lab.services.feedback.ranking`. An answer is acknowledged after COMMIT; what
is refused is one sentence under "error".
"""

import asyncio
import html
import json
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from genai_lab.context import LabContext
from genai_lab.errors import LabError, StorageError
from genai_lab.services.feedback import links, ranking
from pages.components.doors import Number, refused
from pages.components.theme import ASSETS_ROUTE

STATIC = Path(__file__).parent / "static"
MONTHS = 180 * 86_400
LARGEST = 200_000
REMEMBERED = 10_000
GONE = "This link is no longer valid; ask whoever sent it for a new one."


def mount(app: FastAPI, lab: LabContext) -> None:
    """Adds the routes; they must come before Gradio's, which take whatever is left."""
    app.mount(f"{links.ADDRESS}/static", StaticFiles(directory=STATIC))
    app.include_router(routes(lab))


def routes(lab: LabContext) -> APIRouter:
    router = APIRouter(prefix=links.ADDRESS)
    seen: dict[tuple[int, str], None] = {}  # cookies that were right once, which the writer judges again

    async def written(annotator: int, request: Request, ask: Callable[[dict[str, Any]], Any]) -> Response:
        """What `ask` says; who has no right cookie is refused before anything of the body is read."""
        key = (annotator, mark(annotator, request))
        if key not in seen:
            if not await asyncio.to_thread(links.allowed, lab, *key):
                return refused(GONE, 403)
            if len(seen) >= REMEMBERED:
                seen.clear()
            seen[key] = None
        return await _written(request, ask)

    @router.get("/with/{secret}")
    def come_in(secret: str, request: Request) -> Response:
        found = links.opened(lab, secret)
        if found is None:
            return HTMLResponse(note(GONE), 403)
        return admitted(request, *found)

    @router.get("/{annotator}/")
    def page(annotator: Number, request: Request) -> Response:
        if not known(lab, annotator, request):
            return HTMLResponse(note(GONE), 403)
        return FileResponse(STATIC / "rank.html", headers={"cache-control": "no-cache"})

    @router.get("/{annotator}/state")
    def state(annotator: Number, request: Request) -> Response:
        return _told(lab, annotator, request, lambda: ranking.state(lab, annotator))

    @router.get("/{annotator}/answers")
    def answers(annotator: Number, request: Request, count: int = 50) -> Response:
        return _told(lab, annotator, request, lambda: {"answers": ranking.answers(lab, annotator, count)})

    @router.post("/{annotator}/next")
    async def more(annotator: Number, request: Request) -> Response:
        def ask(sent: dict[str, Any]) -> "Future[dict[str, Any]]":
            want = sent.get("want")
            have = ranking.keys(sent.get("have"))
            return ranking.more(lab, annotator, have, want if isinstance(want, int) else 3, mark(annotator, request))

        return await written(annotator, request, ask)

    @router.post("/{annotator}/answer")
    async def answer(annotator: Number, request: Request) -> Response:
        return await written(
            annotator, request, lambda sent: ranking.answer(lab, annotator, sent, mark(annotator, request))
        )

    return router


def admitted(request: Request, annotator: int, cookie: str) -> Response:
    """To the annotator's own page, with the cookie that opens it and nothing else."""
    place = f"{links.ADDRESS}/{annotator}/"
    answer = RedirectResponse(place, 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(f"rank_{annotator}", cookie, MONTHS, path=place, httponly=True, samesite="lax", secure=secure)
    return answer


def mark(annotator: Number, request: Request) -> str:
    """The cookie that says who asks."""
    return request.cookies.get(f"rank_{annotator}", "")


def known(lab: LabContext, annotator: Number, request: Request) -> bool:
    return links.allowed(lab, annotator, mark(annotator, request))


def _told(lab: LabContext, annotator: Number, request: Request, ask: Callable[[], dict[str, Any]]) -> Response:
    if not known(lab, annotator, request):
        return refused(GONE, 403)
    try:
        return JSONResponse(ask(), headers={"cache-control": "no-store"})
    except LabError as problem:
        return refused(str(problem), _status(problem))


async def _written(request: Request, ask: Callable[[dict[str, Any]], "Future[dict[str, Any]]"]) -> Response:
    """What the writer says, who asks being checked in its transaction."""
    body = await request.body()
    try:
        sent = json.loads(body) if len(body) <= LARGEST else None
    except (ValueError, RecursionError):
        sent = None
    if not isinstance(sent, dict):
        return refused("What was sent is no JSON object of at most 200 kB.", 422)
    try:
        return JSONResponse(await asyncio.wrap_future(ask(sent)), headers={"cache-control": "no-store"})
    except ranking.Changed as problem:
        return refused(str(problem), 409, revision=problem.revision)
    except LabError as problem:
        return refused(str(problem), _status(problem))


def _status(problem: LabError) -> int:
    if isinstance(problem, ranking.LinkEnded):
        return 403
    if isinstance(problem, ranking.NotYours):
        return 404
    return 503 if isinstance(problem, StorageError) else 422


def note(sentence: str) -> str:
    """A page that says one sentence."""
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>genai_lab</title>
<link rel="icon" type="image/svg+xml" href="{ASSETS_ROUTE}/favicon.svg">
<link rel="stylesheet" href="{ASSETS_ROUTE}/door.css"></head><body><main><h1>genai_lab</h1>
<p>{html.escape(sentence)}</p></main></body></html>"""
