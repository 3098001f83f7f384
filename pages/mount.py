"""Joins Gradio's app with the web layer, and keeps Gradio from giving away files of the server."""

import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr
from fastapi import FastAPI, Request, Response

from genai_lab.services import databases
from genai_lab.web import application
from genai_lab.web.body_limits import MEGABYTE
from genai_lab.web.messages import error_response
from pages import gradio_scripts
from pages.components import theme

if TYPE_CHECKING:
    from genai_lab.context import LabContext

UPLOAD_PATH = "/gradio_api/upload"
UPLOAD_LIMIT = 1100 * MEGABYTE  # a dataset of 1 GB with what the form adds
QUEUE_POLL_SECONDS = 0.01  # Gradio's own 1 ms takes a tenth of a core while nobody is there


def mount(lab: "LabContext", build: Callable[["LabContext"], gr.Blocks]) -> FastAPI:
    """The FastAPI application that serves the pages which `build` draws for `lab`."""
    os.environ["GRADIO_TEMP_DIR"] = str(lab.config.uploads)  # components read it when they are built
    demo = build(lab)
    app = application.create(lab, theme.ASSETS, {UPLOAD_PATH: UPLOAD_LIMIT})
    gradio_scripts.add_routes(app)
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
    demo._queue.sleep_when_free = QUEUE_POLL_SECONDS
    demo.has_launched = True  # without it, a crafted upload reads any file of the server
    return app


def _answer_wrong_call(request: Request, problem: Exception) -> Response:
    """422 or 404 for an API call with wrong values or a wrong name; any other error is raised again."""
    _, call, name = request.url.path.partition("/gradio_api/call/")
    if not call:
        raise problem
    name = name.removeprefix("v2/").strip("/")
    if isinstance(problem, KeyError):
        return error_response(f"There is no function {name[:60]!r}; /?view=api lists all functions.", 404)
    reason = str(problem).partition(" Please click")[0][:300].rstrip(".")
    return error_response(f"{reason}: send the values of {name[:60]} by name, as /?view=api shows.", 422)


_HANDLERS: dict[int | type[Exception], Any] = {
    KeyError: _answer_wrong_call,
    TypeError: _answer_wrong_call,
    ValueError: _answer_wrong_call,
    databases.ERROR: application.answer_without_database,
}
