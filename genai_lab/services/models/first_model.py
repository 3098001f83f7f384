"""The model that a new lab gets by itself, in the background after the app has opened."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from genai_lab.errors import LabError
from genai_lab.models.checks import size_text
from genai_lab.models.shelf import FIRST
from genai_lab.services import jobs
from genai_lab.services.models import shelf

if TYPE_CHECKING:
    from genai_lab.context import LabContext


def get_first(lab: "LabContext", tell: Callable[[str], None]) -> jobs.JobView | None:
    """Queues the job, unless the lab has had it or GENAI_LAB_SHELF is 0; `tell` hears a line of it and of its end.

    A try that failed, since nothing could be reached, is made again at the next start; one that a user cancelled or
    whose model was removed is not.
    """
    earlier = _newest(lab)
    if not lab.config.shelf or shelf.first_model(lab) or (earlier and earlier.status in ("finished", "cancelled")):
        return None
    try:
        job = shelf.get(lab, FIRST)
    except LabError as problem:
        tell(f"{FIRST} was not fetched: {problem}")
        return None
    size = size_text(shelf.item(lab, FIRST).download_bytes)
    tell(f"Getting {FIRST} ({size}) to chat with, beside other work; GENAI_LAB_SHELF=0 turns this off.")
    threading.Thread(target=_tell_end, args=(lab, job.id, tell), name="first model", daemon=True).start()
    return job


def _newest(lab: "LabContext") -> jobs.JobView | None:
    views = jobs.find(lab, kinds=(shelf.GET,), limit=200)[0]
    return next((view for view in views if view.settings.get("entry") == FIRST), None)


def _tell_end(lab: "LabContext", job_id: int, tell: Callable[[str], None]) -> None:
    try:
        view = jobs.wait(lab, job_id)
    except Exception:
        return  # the app is closing
    if view.status == "finished":
        tell(f"{FIRST} is here; the playground opens with it.")
    else:
        tell(f"{FIRST} was not fetched ({view.error or view.status}); the shelf on the Models page tries again.")
