"""The model that a new lab gets by itself, in the background after the app has opened."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from genai_lab.errors import LabError
from genai_lab.models.checks import size_text
from genai_lab.models.shelf import SHELF
from genai_lab.services import jobs
from genai_lab.services.models import shelf

if TYPE_CHECKING:
    from genai_lab.context import LabContext


def get_first(lab: "LabContext", tell: Callable[[str], None]) -> jobs.JobView | None:
    """Queues the job, unless the lab has had it or GENAI_LAB_SHELF is 0; `tell` hears a line of it and of its end.

    A try that failed, since nothing could be reached, is made again at the next start; one that a user cancelled or
    whose model was removed is not.
    """
    name = SHELF[0].name
    earlier = _newest(lab, name)
    if not lab.config.shelf or shelf.first_model(lab) or (earlier and earlier.status in ("finished", "cancelled")):
        return None
    try:
        job = shelf.get(lab, name)
    except LabError as problem:
        tell(f"{name} was not fetched: {problem}")
        return None
    size = size_text(shelf.item(lab, name).download_bytes)
    tell(f"Getting {name} ({size}) to chat with, in the background; GENAI_LAB_SHELF=0 turns this off.")
    threading.Thread(target=_tell_end, args=(lab, name, job.id, tell), name="first model", daemon=True).start()
    return job


def _newest(lab: "LabContext", name: str) -> jobs.JobView | None:
    views = jobs.find(lab, kinds=(shelf.GET,), limit=200)[0]
    return next((view for view in views if view.settings.get("entry") == name), None)


def _tell_end(lab: "LabContext", name: str, job_id: int, tell: Callable[[str], None]) -> None:
    try:
        view = jobs.wait(lab, job_id)
    except Exception:
        return  # the app is closing
    if view.status == "finished":
        tell(f"{name} is here; the playground opens with it.")
    else:
        tell(f"{name} was not fetched ({view.error or view.status}); the shelf on the Models page tries again.")
