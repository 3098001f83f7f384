"""Waiting for other processes and threads: as long as they show signs of life, however slow the machine."""

import time
from collections.abc import Callable
from typing import Any

import psutil

from genai_lab.context import LabContext
from genai_lab.services import jobs

SILENCE = 120.0
LOOKS = 3000


def until_ended(lab: LabContext, job_id: int) -> jobs.JobView:
    """Waits for the job's end and returns the job; fails once no job of the lab has changed for SILENCE seconds."""
    last: Any = None
    since = time.monotonic()

    def look(view: jobs.JobView) -> None:
        nonlocal last, since
        now = [(job.id, job.status, job.attempt, job.done, job.heartbeat_at) for job in jobs.find(lab)[0]]
        if now != last:
            last, since = now, time.monotonic()
        assert time.monotonic() - since < SILENCE, f"job {job_id} is {view.status} and silent: {jobs.log(lab, job_id)}"

    return jobs.wait(lab, job_id, every=0.05, on_poll=look)


def until(condition: Callable[[], Any]) -> None:
    """Waits until `condition()` is true; fails after LOOKS looks, which take longer on a busy machine."""
    for look in range(LOOKS):
        if condition():
            return
        time.sleep(pause(look))
    raise AssertionError("the condition did not become true")


def until_served(condition: Callable[[], Any], process: psutil.Process) -> bool:
    """Waits until `condition()` is true; False where the process ends before or uses no processor for LOOKS looks."""
    idle, used = 0, 0.0
    while idle < LOOKS:
        if condition():
            return True
        try:
            now = sum(process.cpu_times()[:2])
        except psutil.NoSuchProcess:
            return False
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        idle, used = (0, now) if now > used else (idle + 1, used)
        time.sleep(pause(idle))
    return False


def pause(look: int) -> float:
    """Seconds until the next look: 5 ms at first, 50 ms in the end."""
    return min(0.05, 0.005 * (1 + look / 50))
