"""Downloads from the Hub, each a job: begun or gone on with, watched, ended."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from genai_lab.errors import ModelError
from genai_lab.models import Source
from genai_lab.services import jobs
from genai_lab.views import View

if TYPE_CHECKING:
    from genai_lab.context import LabContext
    from genai_lab.models.download import DownloadPlan

KIND = "download"


@dataclass(frozen=True)
class Download(View):
    """`error` is a sentence for the user; `id` is the job's."""

    id: int
    name: str
    repo: str
    revision: str
    done_bytes: int
    total_bytes: int
    status: str
    error: str | None = None
    seconds_left: float | None = None


def plan_download(lab: "LabContext", name: str, source: Source) -> "DownloadPlan":
    """What there is to fetch; raises ModelError where it cannot be had or the disk has no room for it."""
    from genai_lab.models import download

    return download.plan(name, source, lab.options)


def begin(lab: "LabContext", order: "DownloadPlan") -> Download:
    """Queues the download, or tries again the one that stopped; gives the one under way."""
    earlier = by_source(lab).get((order.source.location, order.source.revision or ""))
    if earlier is not None and earlier.status in jobs.LIVE:
        return earlier
    if earlier is not None and earlier.status in ("failed", "cancelled"):
        return of_job(jobs.retry(lab, earlier.id))
    job = jobs.enqueue(lab, KIND, order.as_dict(), title=f"Download {order.source.location}")
    return of_job(jobs.show(lab, job))


def by_source(lab: "LabContext") -> dict[tuple[str, str], Download]:
    """The newest download of every (repository, commit)."""
    views = jobs.find(lab, kinds=(KIND,), limit=1000)[0]
    return {(item.repo, item.revision): item for item in map(of_job, reversed(views))}


def cancel(lab: "LabContext", download_id: int) -> None:
    """Ends it; what has been fetched stays, and starting again goes on from there."""
    jobs.cancel(lab, download_id)


def discard(lab: "LabContext", item: Download) -> None:
    """Ends the download and deletes what has been fetched of an unfinished model."""
    from genai_lab.models import download

    if item.status in jobs.LIVE:
        cancel(lab, item.id)
        jobs.wait(lab, item.id, timeout=15)
    download.discard(download.DownloadPlan.from_dict(jobs.show(lab, item.id).settings).target)


def of_job(view: jobs.JobView) -> Download:
    from genai_lab.models import download

    order = download.DownloadPlan.from_dict(view.settings)
    received = int(view.done) if view.live or view.status == "finished" else download.present(order)
    error = view.error or (
        "The download was cancelled; start it again to continue." if view.status == "cancelled" else None
    )
    return Download(
        view.id, order.name, order.source.location, order.source.revision or "", received, order.bytes, view.status,
        error,
        view.seconds_left,
    )  # fmt: skip


def require_download(view: jobs.JobView) -> None:
    """Raises ModelError where the download did not finish."""
    if view.status != "finished":
        raise ModelError(view.error or f"{view.title} was cancelled.")
