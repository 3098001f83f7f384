"""Waiting for what other processes and threads do: for as long as they show signs of life, however slow the machine."""

import time
from collections.abc import Callable
from typing import Any

from genai_lab.context import LabContext
from genai_lab.services import jobs

SILENCE = 120.0


def until_ended(lab: LabContext, job_id: int) -> jobs.JobView:
    """The job once it has ended; fails where nothing is heard of it or of any other job for SILENCE seconds."""
    last: Any = None
    since = time.monotonic()

    def look(view: jobs.JobView) -> None:
        nonlocal last, since
        now = [(one.id, one.status, one.attempt, one.done, one.heartbeat_at) for one in jobs.find(lab)[0]]
        if now != last:
            last, since = now, time.monotonic()
        assert time.monotonic() - since < SILENCE, f"job {job_id} is {view.status} and silent: {jobs.log(lab, job_id)}"

    return jobs.wait(lab, job_id, every=0.05, seen=look)


def until(true: Callable[[], Any]) -> None:
    """Comes back once `true` says so; fails after SILENCE seconds."""
    end = time.monotonic() + SILENCE
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)
