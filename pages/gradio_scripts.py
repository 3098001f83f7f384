"""Two of Gradio's scripts, served with small repairs: an open page took a tenth of a core while nobody did anything.

Every event, each tick of a timer too, hands the state of each field that has ever been filled to all of them again,
and a field copies its values to compare them: on a large form a second's tick cost more than its answer. And a field
that leaves the page while it waits counts its seconds on, a frame at a time, as long as the page is open.
"""

import hashlib
from collections.abc import Mapping
from importlib.resources import files

from fastapi import FastAPI, Request, Response

FOLDER = files("gradio").joinpath("templates/frontend/assets")
# The beginning of a script's name, and what stands in it with what takes its place.
REPAIRS: Mapping[str, Mapping[str, str]] = {
    "Blocks-": {
        "async update_loading_stati_state(){await Promise.all(Object.entries(this.loading_stati.current).map(": (
            "async update_loading_stati_state(){let sent=this.sent_stati??={},text;"
            "await Promise.all(Object.entries(this.loading_stati.current)"
            ".filter(([id,state])=>sent[id]!==(text=JSON.stringify(state))&&(sent[id]=text,!0)).map("
        )
    },
    "statustracker-": {"W&&ze()": "W&&(U?.isConnected?ze():W=!1)"},
}
HEADERS = {"Cache-Control": "public, max-age=31536000, immutable"}  # as Gradio sends them: the name holds a hash


def repaired() -> dict[str, str]:
    """The scripts by their file name; one in which nothing of what is to be replaced stands once is not among them."""
    scripts = {}
    for file in FOLDER.iterdir():
        for beginning, changes in REPAIRS.items():
            if file.name.startswith(beginning) and file.name.endswith(".js"):
                text = file.read_text(encoding="utf-8")
                if all(text.count(old) == 1 for old in changes):
                    for old, new in changes.items():
                        text = text.replace(old, new)
                    scripts[file.name] = text
    return scripts


def add_routes(app: FastAPI) -> None:
    """Answers for the repaired scripts; what is added before Gradio's own app is asked first."""
    for name, text in repaired().items():
        app.add_api_route(f"/assets/{name}", _Script(text), methods=["GET"])


class _Script:
    """The answer to a request for one script: its text, or 304 where the browser has it."""

    def __init__(self, text: str) -> None:
        self._body = text.encode()
        self._headers = {**HEADERS, "ETag": f'"{hashlib.sha256(self._body).hexdigest()[:32]}"'}

    def __call__(self, request: Request) -> Response:
        if request.headers.get("If-None-Match") == self._headers["ETag"]:
            return Response(status_code=304, headers=self._headers)
        return Response(self._body, media_type="text/javascript", headers=self._headers)
