"""The FastAPI application of a lab: its middleware, and every route that is not one of Gradio's pages."""

import logging
from collections.abc import Mapping
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

from genai_lab.context import LabContext
from genai_lab.services import databases
from genai_lab.web import demo, paths, ranking
from genai_lab.web.auth import AuthMiddleware
from genai_lab.web.backup_files import BackupRoutes
from genai_lab.web.body_limits import MEGABYTE, BodyLimit
from genai_lab.web.messages import error_response
from genai_lab.web.origin import OriginGuard
from genai_lab.web.security_headers import SecurityHeaders
from genai_lab.web.sign_in import SignInRoutes

log = logging.getLogger(__name__)

BODY_LIMIT = 16 * MEGABYTE
# What anybody with a link may send, in bytes.
SMALL_BODIES = {paths.RANKING: 200_000, paths.DEMO: 200_000, paths.SIGN_IN: 8192, paths.SIGN_OUT: 8192}


def create(lab: LabContext, assets: Path | None = None, body_limits: Mapping[str, int] | None = None) -> FastAPI:
    """The application, to which `pages.mount` adds Gradio's app.

    `assets` is one more folder of public static files; `body_limits` are bytes by path, beside the routes' own.
    """
    app = FastAPI(
        title="genai_lab",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.add_exception_handler(databases.ERROR, answer_without_database)
    app.add_middleware(CORSMiddleware, allow_origins=[])  # Gradio's own would reflect any origin with credentials
    app.add_middleware(AuthMiddleware, lab=lab, public=paths.PUBLIC)
    app.add_middleware(BodyLimit, default=BODY_LIMIT, by_path={**SMALL_BODIES, **(body_limits or {})})
    app.add_middleware(OriginGuard, hosts=lab.config.allowed_hosts)
    app.add_middleware(SecurityHeaders, strict=paths.OWN_PAGES)
    app.mount(paths.ASSETS, _StaticFolders(paths.SHARED, *([assets] if assets else [])))
    app.include_router(SignInRoutes(lab).router())
    for name, router in {"ranking": ranking.RankingRoutes(lab).router(), "demo": demo.DemoRoutes(lab).router()}.items():
        app.mount(f"{router.prefix}/static", StaticFiles(directory=paths.STATIC / name))
        app.include_router(router)
    app.include_router(BackupRoutes(lab).router())
    app.add_api_route("/health", _health, methods=["GET"])
    app.add_api_route("/favicon.ico", _favicon, methods=["GET"])
    return app


def answer_without_database(request: Request, problem: Exception) -> Response:
    """503 with one sentence where the database cannot be reached; any other error is raised again."""
    sentence = databases.sentence(problem)
    if sentence is None:
        raise problem
    log.warning("the database cannot be used: %s", databases.reason(problem))
    return error_response(sentence, 503)


class _StaticFolders(StaticFiles):
    """The files of several folders at one address; the first folder wins."""

    def __init__(self, *folders: Path) -> None:
        super().__init__(directory=folders[0])
        self.all_directories = list(folders)


def _health() -> dict[str, str]:
    return {"status": "ok"}


def _favicon() -> FileResponse:
    return FileResponse(paths.SHARED / "favicon.svg", media_type="image/svg+xml")
