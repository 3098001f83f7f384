"""Long work, done in processes of its own: queued here, watched from any page, resumed after a restart.

The Job row is the queue. The one process that holds the data home (the app, or a command that waits) supervises: it
starts workers, reads what they report and writes it to the database. See `supervisor`.
"""

from genai_lab.services.jobs.handlers import HANDLERS
from genai_lab.services.jobs.queue import cancel, enqueue, find, folder, log, metrics, of_run, of_runs, retry, show
from genai_lab.services.jobs.views import LIVE, STATUSES, JobView, view_of
from genai_lab.services.jobs.waiting import wait

__all__ = [
    "HANDLERS", "LIVE", "STATUSES", "JobView", "cancel", "enqueue", "find", "folder", "log", "metrics", "of_run",
    "of_runs", "retry", "show", "view_of", "wait",
]  # fmt: skip
