"""The annotators' page and its routes: FastAPI's own, since Gradio's sessions end with the process.

`genai_lab.services.feedback.ranking` decides what a card holds and keeps answers; an answer is acknowledged after
COMMIT.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services.feedback import links, ranking
from genai_lab.web import paths
from genai_lab.web.identity import Role, link_cookie
from genai_lab.web.messages import (
    NO_STORE,
    RowId,
    error_response,
    message_page,
    not_an_object,
    problem_response,
    read_object,
)

COOKIE_SECONDS = 180 * 86_400
MAX_BYTES = 200_000
MAX_KNOWN_COOKIES = 10_000
LINK_ENDED = "This link is no longer valid; ask whoever sent it for a new one."


class RankingRoutes:
    """Every route but the link's own asks for the annotator's cookie."""

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab
        # Cookies that were right once; the writer checks them again in its transaction.
        self._known_cookies: dict[tuple[int, str], None] = {}

    def router(self) -> APIRouter:
        router = APIRouter(prefix=paths.RANKING)
        router.add_api_route("/with/{secret}", self.open_link, methods=["GET"])
        router.add_api_route("/{annotator}/", self.show_page, methods=["GET"])
        router.add_api_route("/{annotator}/state", self.state, methods=["GET"])
        router.add_api_route("/{annotator}/answers", self.answers, methods=["GET"])
        router.add_api_route("/{annotator}/next", self.next_cards, methods=["POST"])
        router.add_api_route("/{annotator}/answer", self.save_answer, methods=["POST"])
        return router

    def open_link(self, secret: str, request: Request) -> Response:
        """Exchanges a personal link for the cookie that opens the annotator's own page and nothing else."""
        admission = links.find_by_secret(self._lab, secret)
        if admission is None:
            return message_page(LINK_ENDED, 403)
        annotator, cookie = admission
        path = f"{paths.RANKING}/{annotator}/"
        response = RedirectResponse(path, 303)
        name, secure = link_cookie(Role.ANNOTATOR, annotator), request.url.scheme == "https"
        response.set_cookie(name, cookie, COOKIE_SECONDS, path=path, httponly=True, samesite="lax", secure=secure)
        return response

    def show_page(self, annotator: RowId, request: Request) -> Response:
        if not self._is_allowed(annotator, request):
            return message_page(LINK_ENDED, 403)
        return FileResponse(paths.STATIC / "ranking/rank.html", headers={"cache-control": "no-cache"})

    def state(self, annotator: RowId, request: Request) -> Response:
        return self._read(annotator, request, lambda: ranking.state(self._lab, annotator))

    def answers(self, annotator: RowId, request: Request, count: int = 50) -> Response:
        return self._read(annotator, request, lambda: {"answers": ranking.answers(self._lab, annotator, count)})

    async def next_cards(self, annotator: RowId, request: Request) -> Response:
        def submit(body: dict[str, Any]) -> "Future[dict[str, Any]]":
            count = body.get("want")
            held_keys = ranking.keys(body.get("have"))
            return ranking.next_cards(
                self._lab, annotator, held_keys, count if isinstance(count, int) else 3, _cookie(annotator, request)
            )

        return await self._write(annotator, request, submit)

    async def save_answer(self, annotator: RowId, request: Request) -> Response:
        return await self._write(
            annotator, request, lambda body: ranking.answer(self._lab, annotator, body, _cookie(annotator, request))
        )

    def _is_allowed(self, annotator: int, request: Request) -> bool:
        return links.is_allowed(self._lab, annotator, _cookie(annotator, request))

    def _read(self, annotator: int, request: Request, fetch: Callable[[], dict[str, Any]]) -> Response:
        if not self._is_allowed(annotator, request):
            return error_response(LINK_ENDED, 403)
        try:
            return JSONResponse(fetch(), headers=NO_STORE)
        except LabError as problem:
            return _refusal(problem)

    async def _write(
        self, annotator: int, request: Request, submit: Callable[[dict[str, Any]], "Future[dict[str, Any]]"]
    ) -> Response:
        """The writer's answer; without a right cookie nothing of the body is read."""
        key = (annotator, _cookie(annotator, request))
        if key not in self._known_cookies:
            if not await asyncio.to_thread(links.is_allowed, self._lab, *key):
                return error_response(LINK_ENDED, 403)
            if len(self._known_cookies) >= MAX_KNOWN_COOKIES:
                self._known_cookies.clear()
            self._known_cookies[key] = None
        body = await read_object(request, MAX_BYTES)
        if body is None:
            return not_an_object(MAX_BYTES)
        try:
            return JSONResponse(await asyncio.wrap_future(submit(body)), headers=NO_STORE)
        except LabError as problem:
            return _refusal(problem)


def _cookie(annotator: int, request: Request) -> str:
    return request.cookies.get(link_cookie(Role.ANNOTATOR, annotator), "")


def _refusal(problem: LabError) -> Response:
    if isinstance(problem, ranking.Changed):
        return error_response(str(problem), 409, revision=problem.revision)
    if isinstance(problem, ranking.LinkEnded):
        return error_response(str(problem), 403)
    if isinstance(problem, ranking.NotYours):
        return error_response(str(problem), 404)
    return problem_response(problem)
