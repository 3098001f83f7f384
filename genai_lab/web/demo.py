"""The visitors' page and its routes: two answers side by side, blind, and a vote with consent.

Answers come as lines of JSON (`visits.read`).
"""

import asyncio
import json
import math
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, StreamingResponse

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services.feedback import demos, visits, warming
from genai_lab.web import paths
from genai_lab.web.connections import client_network
from genai_lab.web.demo_limits import DemoLimits, wait_sentence
from genai_lab.web.identity import Role, consent_cookie, link_cookie
from genai_lab.web.messages import (
    NO_STORE,
    RowId,
    error_response,
    message_page,
    not_an_object,
    problem_response,
    read_object,
)

COOKIE_SECONDS = 30 * 86_400
MAX_BYTES = 100_000
WRONG_LINK = "This link is not valid; ask whoever sent it for another."


class DemoRoutes:
    """Every route but the links' own asks for the cookie of a visitor of this demo."""

    def __init__(self, lab: LabContext) -> None:
        self._lab, self._limits = lab, DemoLimits()

    def router(self) -> APIRouter:
        router = APIRouter(prefix=paths.DEMO)
        router.add_api_route("/with/{secret}", self.open_link, methods=["GET"])
        router.add_api_route("/{demo}/with/{secret}", self.admit, methods=["GET"])
        router.add_api_route("/{demo}/", self.show_page, methods=["GET"])
        router.add_api_route("/{demo}/state", self.state, methods=["GET"])
        router.add_api_route("/{demo}/loading", self.loading, methods=["GET"])
        router.add_api_route("/{demo}/answer", self.answer, methods=["POST"])
        router.add_api_route("/{demo}/stop", self.stop, methods=["POST"])
        router.add_api_route("/{demo}/consent", self.consent, methods=["POST"])
        router.add_api_route("/{demo}/vote", self.vote, methods=["POST"])
        return router

    def open_link(self, secret: str, request: Request) -> Response:
        if seconds := self._limits.request(client_network(request)):
            return message_page(wait_sentence(seconds), 429)
        admission = demos.find_by_secret(self._lab, secret)
        if admission is None:
            return message_page(WRONG_LINK, 403)
        demo, _ = admission
        warming.warm(self._lab, demos.show(self._lab, demo).plan.models)
        return RedirectResponse(f"{paths.DEMO}/{demo}/with/{secret}", 303)

    def admit(self, demo: RowId, secret: str, request: Request) -> Response:
        """Gives a visitor a cookie. It lies below the cookie's path, so who opens the link again stays the same one."""
        address = client_network(request)
        if seconds := self._limits.request(address):
            return message_page(wait_sentence(seconds), 429)
        admission = demos.find_by_secret(self._lab, secret)
        if admission is None or admission[0] != demo:
            return message_page(WRONG_LINK, 403)
        response = RedirectResponse(f"{paths.DEMO}/{demo}/", 303)
        if self._visitor(demo, request) is None:
            if seconds := self._limits.visit(address):
                return message_page(wait_sentence(seconds), 429)
            _set_cookie(response, request, demo, link_cookie(Role.VISITOR, demo), admission[1])
        return response

    def show_page(self, demo: RowId, request: Request) -> Response:
        if seconds := self._limits.request(client_network(request)):
            return message_page(wait_sentence(seconds), 429)
        if self._visitor(demo, request) is None:
            return message_page(WRONG_LINK, 403)
        return FileResponse(paths.STATIC / "demo/demo.html", headers={"cache-control": "no-cache"})

    def state(self, demo: RowId, request: Request) -> Response:
        def fetch(visitor: str) -> dict[str, Any]:
            view = demos.show(self._lab, demo)
            if not view.closed:
                warming.warm(self._lab, view.plan.models)
            return {
                "title": view.plan.title,
                "intro": view.plan.intro,
                "subtitle": view.plan.subtitle,
                "contact": view.plan.contact,
                "loading": warming.readiness(self._lab, view.plan.models).as_dict(),
                "prompts": list(view.plan.prompts),
                "longest": view.plan.longest,
                "closed": view.closed,
                "consented": visits.has_consented(self._lab, view, visitor, _consent(request, demo)),
            }

        return self._read(demo, request, fetch)

    def loading(self, demo: RowId, request: Request) -> Response:
        """How many of the models are in memory, for a visitor who waits for them."""
        return self._read(
            demo, request, lambda _: warming.readiness(self._lab, demos.show(self._lab, demo).plan.models).as_dict()
        )

    async def answer(self, demo: RowId, request: Request) -> Response:
        async def begin(visitor: str, body: dict[str, Any]) -> Response:
            visit = await asyncio.to_thread(
                self._begin_visit, demo, visitor, client_network(request), body.get("prompt")
            )
            return visit if isinstance(visit, Response) else _stream(visit)

        return await self._act(demo, request, begin)

    async def stop(self, demo: RowId, request: Request) -> Response:
        async def end(visitor: str, _: dict[str, Any]) -> Response:
            visits.stop(demo, visitor)
            return JSONResponse({"stopped": True})

        return await self._act(demo, request, end)

    async def consent(self, demo: RowId, request: Request) -> Response:
        async def record_consent(visitor: str, body: dict[str, Any]) -> Response:
            if body.get("agreed") is not True:
                return error_response("Consent is sent as true under 'agreed'.", 422)
            response = JSONResponse({"consented": True})
            _set_cookie(response, request, demo, consent_cookie(demo), visits.agree(self._lab, demo, visitor))
            return response

        return await self._act(demo, request, record_consent)

    async def vote(self, demo: RowId, request: Request) -> Response:
        async def save_vote(visitor: str, body: dict[str, Any]) -> Response:
            key, verdict = str(body.get("key")), str(body.get("verdict"))
            consent = _consent(request, demo)
            saved = await asyncio.to_thread(visits.vote, self._lab, demo, visitor, key, verdict, consent)
            await asyncio.wrap_future(saved)
            return JSONResponse(await asyncio.to_thread(self._vote_result, demo, key))

        return await self._act(demo, request, save_vote)

    def _visitor(self, demo: int, request: Request) -> str | None:
        return demos.visitor(self._lab, demo, request.cookies.get(link_cookie(Role.VISITOR, demo), ""))

    def _read(self, demo: int, request: Request, fetch: Callable[[str], dict[str, Any]]) -> Response:
        if seconds := self._limits.request(client_network(request)):
            return _wait(seconds)
        visitor = self._visitor(demo, request)
        return error_response(WRONG_LINK, 403) if visitor is None else JSONResponse(fetch(visitor), headers=NO_STORE)

    async def _act(
        self, demo: int, request: Request, act: Callable[[str, dict[str, Any]], Awaitable[Response]]
    ) -> Response:
        """The response that `act` makes for the visitor and the request's body, or a refusal."""
        if seconds := self._limits.request(client_network(request)):
            return _wait(seconds)
        visitor = await asyncio.to_thread(self._visitor, demo, request)
        if visitor is None:
            return error_response(WRONG_LINK, 403)
        body = await read_object(request, MAX_BYTES)
        if body is None:
            return not_an_object(MAX_BYTES)
        try:
            return await act(visitor, body)
        except visits.Busy as problem:
            return error_response(str(problem), 429, wait=1)
        except LabError as problem:
            return problem_response(problem)

    def _begin_visit(self, demo: int, visitor: str, address: str, prompt: Any) -> "visits.Visit | Response":
        """Starts both answers, or refuses. A request that is refused for what it holds does not count as a prompt."""
        view = demos.show(self._lab, demo)
        if not isinstance(prompt, str):
            return error_response("A prompt is sent as text under 'prompt'.", 422)
        visits.check(view, prompt)
        if visits.answering(demo, visitor):
            raise visits.Busy
        if seconds := self._limits.prompt(view, visitor, address):
            return _wait(seconds)
        return visits.draw(self._lab, view, visitor, prompt)

    def _vote_result(self, demo: int, key: str) -> dict[str, Any]:
        """What a visitor sees after a vote: models and standings where the demo's owner wants that."""
        view = demos.show(self._lab, demo)
        result: dict[str, Any] = {"saved": True}
        if view.plan.reveal and (names := visits.wrote(key)):
            result["names"] = list(names)
        if view.plan.board:
            result["board"] = [
                {"model": standing.model, "votes": standing.votes, "share": standing.share}
                for standing in demos.standings(self._lab, view)
            ]
        return result


def _wait(seconds: float) -> Response:
    return error_response(wait_sentence(seconds), 429, wait=math.ceil(seconds))


def _stream(visit: visits.Visit) -> Response:
    """Streams the answers. A thread reads them to their end even if nobody listens, so the visitor can ask again."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def put(line: str | None) -> None:
        with suppress(RuntimeError):  # the server is shutting down
            loop.call_soon_threadsafe(lines.put_nowait, line)

    def read() -> None:
        try:
            for item in visits.read(visit):
                put(json.dumps(item, ensure_ascii=False) + "\n")
        finally:
            put(None)

    async def send_lines() -> AsyncIterator[bytes]:
        try:
            while (line := await lines.get()) is not None:
                yield line.encode("utf-8", "replace")
        finally:
            visits.leave(visit)

    threading.Thread(target=read, name="demo", daemon=True).start()
    return StreamingResponse(send_lines(), media_type="application/x-ndjson", headers=NO_STORE)


def _consent(request: Request, demo: int) -> str:
    return request.cookies.get(consent_cookie(demo), "")


def _set_cookie(response: Response, request: Request, demo: int, name: str, value: str) -> None:
    """A cookie that is sent to this demo's routes alone."""
    path, secure = f"{paths.DEMO}/{demo}/", request.url.scheme == "https"
    response.set_cookie(name, value, COOKIE_SECONDS, path=path, httponly=True, samesite="lax", secure=secure)
