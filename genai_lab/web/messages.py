"""Small HTML pages of our own, and answers to a page's scripts: JSON, with a refusal as one sentence under "error"."""

import html
import json
from typing import Annotated, Any

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import AfterValidator

from genai_lab.errors import LabError, StorageError
from genai_lab.web.paths import ASSETS

NO_STORE = {"cache-control": "no-store"}
# The id of a row in a path. A number that no row can have becomes 0, which no row has either, so it opens nothing.
RowId = Annotated[int, AfterValidator(lambda number: number if 0 <= number < 2**31 else 0)]


def error_response(sentence: str, status: int, **details: Any) -> JSONResponse:
    """A refusal; half a character in what the sentence quotes is replaced, since no answer can carry it."""
    return JSONResponse({"error": sentence.encode("utf-8", "replace").decode(), **details}, status)


def problem_response(problem: LabError) -> JSONResponse:
    return error_response(str(problem), 503 if isinstance(problem, StorageError) else 422)


async def read_object(request: Request, max_bytes: int) -> dict[str, Any] | None:
    """The JSON object in a request's body, None where it holds anything else or more than `max_bytes`."""
    body = await request.body()
    try:
        content = json.loads(body) if len(body) <= max_bytes else None
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def not_an_object(max_bytes: int) -> JSONResponse:
    return error_response(f"The request must be a JSON object of at most {max_bytes // 1000} kB.", 422)


def message_page(sentence: str, status: int) -> HTMLResponse:
    """A page that says one sentence."""
    return HTMLResponse(page(f"<p>{html.escape(sentence)}</p>"), status)


def page(body: str, title: str = "genai_lab") -> str:
    """A small page with the lab's name; `body` is HTML."""
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{html.escape(title)}</title>
<link rel="icon" type="image/svg+xml" href="{ASSETS}/favicon.svg">
<link rel="stylesheet" href="{ASSETS}/message.css"></head><body><main>
<h1>genai_lab</h1>{body}</main></body></html>"""
