"""Waiting for a job to end."""

import time
from collections.abc import Callable

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services.jobs.queue import show
from genai_lab.services.jobs.supervisor import stand_in
from genai_lab.services.jobs.views import JobView


def wait(
    lab: LabContext,
    job_id: int,
    timeout: float | None = None,
    every: float = 0.2,
    on_poll: Callable[[JobView], None] | None = None,
) -> JobView:
    """Stays until the job has ended; raises LabError after `timeout` seconds, and the job goes on.

    Where nobody supervises this data home, the calling process does so meanwhile. `on_poll` is called with every view.
    """
    until = None if timeout is None else time.monotonic() + timeout
    supervisor, last_try = stand_in(lab), time.monotonic()
    try:
        while (view := show(lab, job_id)).live:
            if until is not None and time.monotonic() > until:
                raise LabError(f"Job {job_id} is still {view.status} after {timeout:g} s; it continues.")
            if on_poll is not None:
                on_poll(view)
            time.sleep(every)
            if supervisor is None and time.monotonic() - last_try > 2:
                supervisor, last_try = stand_in(lab), time.monotonic()
    finally:
        if supervisor is not None:
            supervisor.stop()
    return view
