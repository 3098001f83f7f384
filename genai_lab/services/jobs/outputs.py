"""What jobs are called and where their results are shown."""

from collections.abc import Sequence

from genai_lab.context import LabContext
from genai_lab.services import history
from genai_lab.services.jobs.handlers import HANDLERS
from genai_lab.services.jobs.views import JobView


def title_of(kind: str) -> str:
    """What jobs of a kind are called; the kind itself where its plugin is not loaded."""
    return str(getattr(HANDLERS.get(kind), "title", kind)) if kind in HANDLERS else kind


def addresses(lab: LabContext, views: Sequence[JobView]) -> dict[int, str]:
    """The page of what each job makes or has made, by the job's id; empty where there is none."""
    rows = history.rows_of(lab, [view.run_id for view in views if view.run_id is not None])
    return {view.id: rows[view.run_id].address if view.run_id in rows else _page(view.kind) for view in views}


def _page(kind: str) -> str:
    return str(getattr(HANDLERS.get(kind), "page", "")) if kind in HANDLERS else ""
