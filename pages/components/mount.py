"""The pages as a web application that gives away nothing else: no server file, no foreign page, no foreign host."""

import logging
import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

from genai_lab.services import databases
from pages import demo as demos
from pages import ranking
from pages.components import doors, theme
from pages.components.safety import MEGABYTE, Gate

if TYPE_CHECKING:
    from genai_lab.context import LabContext

log = logging.getLogger(__name__)

BODY_LIMIT = 16 * MEGABYTE
UPLOAD_LIMIT = 1100 * MEGABYTE  # a dataset of 1 GB with what the form adds
LOOKS = 0.01  # seconds between Gradio's looks for events; its own 1 ms takes a tenth of a core while nobody is there


def _refuse_call(request: Request, problem: Exception) -> Response:
    """What a call by the API could not be made of; any other error is the lab's own."""
    _, called, name = request.url.path.partition("/gradio_api/call/")
    if not called:
        raise problem
    name = name.removeprefix("v2/").strip("/")
    if isinstance(problem, KeyError):
        return doors.refused(f"There is no function {name[:60]!r}; /?view=api lists those there are.", 404)
    words = str(problem).partition(" Please click")[0][:300].rstrip(".")
    return doors.refused(f"{words}: send the values of {name[:60]} by name, as /?view=api shows.", 422)


def _refuse_without_database(request: Request, problem: Exception) -> Response:
    told = databases.sentence(problem)
    if told is None:
        raise problem
    log.warning("the database cannot be used: %s", databases.reason(problem))
    return doors.refused(told, 503)


_LOST: dict[int | type[Exception], Any] = {databases.ERROR: _refuse_without_database}
_HANDLERS = {KeyError: _refuse_call, TypeError: _refuse_call, ValueError: _refuse_call, **_LOST}


def mount(lab: "LabContext", build: Callable[["LabContext"], gr.Blocks]) -> FastAPI:
    """The FastAPI application that serves what `build` draws for `lab`."""
    os.environ["GRADIO_TEMP_DIR"] = str(lab.config.uploads)  # components note it when they are made
    demo = build(lab)
    app = FastAPI(title="genai_lab", openapi_url=None, docs_url=None, redoc_url=None, exception_handlers=_LOST)
    app.add_middleware(CORSMiddleware, allow_origins=[])  # Gradio's own would reflect any origin with credentials
    app.add_middleware(doors.Doors, lab=lab)
    app.add_middleware(Gate, hosts=lab.config.allowed_hosts, body_limit=BODY_LIMIT, upload_limit=UPLOAD_LIMIT)
    app.mount(theme.ASSETS_ROUTE, StaticFiles(directory=theme.ASSETS))
    app.include_router(doors.routes(lab))
    ranking.mount(app, lab)
    demos.mount(app, lab)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/favicon.ico")
    def favicon() -> FileResponse:
        return FileResponse(theme.ASSETS / "favicon.svg", media_type="image/svg+xml")

    warnings.filterwarnings("ignore", message="SSR mode is not supported", category=UserWarning)  # it is off
    gr.mount_gradio_app(
        app,
        demo,
        path="/",
        app_kwargs={"openapi_url": None, "docs_url": None, "redoc_url": None, "exception_handlers": _HANDLERS},
        theme=theme.LabTheme(),
        css=theme.style_sheet(),
        head=theme.head(),
        footer_links=["api"],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        allowed_paths=[],
        blocked_paths=[str(lab.config.home / "lab.db"), str(lab.config.hub_cache), str(lab.config.jobs)],
        max_file_size=UPLOAD_LIMIT,
    )
    demo.max_threads = 200
    demo._queue.sleep_when_free = LOOKS
    demo.has_launched = True  # without it, a crafted upload reads any file of the server
    return app
