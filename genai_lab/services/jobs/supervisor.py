"""The one process of a data home that starts workers, reads their reports and writes the database.

It keeps nothing in memory that it needs: after a crash the next one finds the Job rows, the folders and the locks,
takes over workers that live, and ends what has ended. A dead worker's job is tried again from its records.
"""

import contextlib
import errno
import fcntl
import itertools
import logging
import signal
import threading
import time
from pathlib import Path
from typing import IO, Any

from sqlalchemy.exc import DBAPIError, OperationalError

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.glibc_heap import TUNABLES
from genai_lab.services.jobs import folder, ingestion, process, resources
from genai_lab.services.jobs.handlers import HANDLERS
from storage import jobs as queries
from storage.tables import Job

log = logging.getLogger(__name__)
EVERY = 0.25
FRUITLESS = 3
GRACE = 3.0
PATIENCE = 2.0
DEAD = "The worker was killed {times} times without getting any further; its log may tell why. Try the job again."
SMALL = "The system ended the worker because memory ran out; use a smaller model, fewer rows or shorter texts at once."
FULL = "The disk is full; free some space and try the job again."
UNKNOWN = "No kind of job is called {kind!r} here; load the plugin that brought it (GENAI_LAB_PLUGINS) and try again."
UNKEPT = "The lab could not write down what the job found ({problem}); the app's log holds the details."


class Supervisor:
    """Works in a thread between `start` and `stop`. Raises LabError where another process holds the data home.

    `patience` in seconds: whoever only asks whether the home is free holds it for a moment.
    """

    def __init__(self, lab: LabContext, patience: float = PATIENCE) -> None:
        self.lab = lab
        self._lock = _hold(lab.config.home, patience)
        try:
            self._claim = _claim(lab, patience)
        except LabError:
            self._lock.close()
            raise
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._children: dict[int, Any] = {}
        self._asked: dict[int, float] = {}
        self._gpus = resources.gpus()

    def start(self) -> None:
        self.lab.set_service(self)
        self._thread.start()

    def stop(self) -> None:
        """Workers go on; whoever supervises next takes them over."""
        self.lab.drop_service(Supervisor)
        self._stop.set()
        self._thread.join(timeout=10)
        self._claim.close()
        self._lock.close()

    def _work(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                self.step()
            except Exception:
                # A full disk or a lost database must not end the supervision; the next round tries again.
                log.exception("supervising jobs")
                self._stop.wait(2)

    def step(self) -> None:
        """One round: read reports, end what has ended, start what can start."""
        with self.lab.database.reading() as session:
            live = queries.jobs_of_status(session, *queries.LIVE)
        for job in live:
            if job.status == "running":
                self._look_after(job)
            elif job.cancel_requested:
                self._end(job.id, "cancelled", "cancelled", None)
        if any(job.status == "queued" for job in live):
            self._start_next()

    def _look_after(self, job: Job) -> None:
        try:
            self._follow(job)
        except OperationalError:
            raise
        except Exception as problem:
            # One job whose findings cannot be kept must not stop all others.
            log.exception("job %s cannot be written down", job.id)
            place = folder(self.lab, job.id)
            process.end(place, force=True)
            process.end_children(place)
            told = str(problem.orig if isinstance(problem, DBAPIError) else problem).splitlines()
            reason = f"{type(problem).__name__}: {told[0][:200]}" if told else type(problem).__name__
            said = str(problem) if isinstance(problem, LabError) else UNKEPT.format(problem=reason)
            self._end(job.id, "failed", "failed", said)

    def _follow(self, job: Job) -> None:
        place = folder(self.lab, job.id)
        offset = ingestion.ingest(self.lab, job.id, place, job.ingested)
        child = self._children.get(job.id)
        code = child.poll() if child is not None else None
        if process.alive(place):
            if job.cancel_requested:
                asked = self._asked.setdefault(job.id, time.monotonic())
                process.end(place, force=time.monotonic() - asked > GRACE)
            return
        process.end_children(place)
        self._children.pop(job.id, None)
        self._asked.pop(job.id, None)
        while (after := ingestion.ingest(self.lab, job.id, place, offset)) > offset:
            offset = after
        ended = process.read(place / process.EXIT)
        if ended and ended.get("attempt") == job.attempt:
            self._finish(job.id, ended)
        elif job.cancel_requested:
            self._end(job.id, "cancelled", "cancelled", None)
        else:
            self._after_death(job, place, code)

    def _after_death(self, job: Job, place: Path, code: int | None) -> None:
        """Tries again, unless the disk is full or several attempts in a row have found out nothing."""
        if code == process.DISK_FULL:
            self._end(job.id, "failed", "disk full", FULL)
            return
        order = process.read(place / process.ORDER) or {}
        with self.lab.database.session() as session:
            failed = list(job.failed_attempts or ())
            if order.get("attempt") == job.attempt:  # else the supervisor ended before it started the worker
                failed = queries.add_failed_attempt(session, job.id, _failed_attempt(job, place, order, code))
            times = _without_records(failed)
            reason = failed[-1]["reason"] if failed else "killed"
            if times >= FRUITLESS:
                error = SMALL if reason == "out of memory" else DEAD.format(times=times)
                queries.end_job(session, session.get_one(Job, job.id), "failed", reason, error)
            else:
                why = "Memory ran out" if reason == "out of memory" else "Its worker was killed"
                queries.queue_again(session, job.id, f"{why}; attempt {job.attempt + 1} goes on.")

    def _start_next(self) -> None:
        with self.lab.database.session() as session:
            running = queries.jobs_of_status(session, "running")
            busy = [job.resource for job in running]
            free = self._free_gpus(running)
            chosen = []
            for job in queries.jobs_of_status(session, "queued"):
                if job.kind not in HANDLERS:
                    queries.end_job(session, job, "failed", "failed", UNKNOWN.format(kind=job.kind))
                    continue
                if job.cancel_requested or not queries.may_start(session, job):
                    continue
                kind = HANDLERS.get(job.kind)
                resource = resources.place_of(kind, self.lab.config.device, self._gpus)
                if busy.count(resource) >= resources.slots(resource, self.lab.config, self._gpus):
                    continue
                gpus = min(resources.gpus_of(kind, job.settings), len(self._gpus)) if resource == "gpu" else 0
                if gpus > len(free):
                    free.clear()  # the jobs behind it wait too, or its turn would never come
                    continue
                busy.append(resource)
                queries.mark_running(job, resource)
                order = {"kind": job.kind, "settings": job.settings, "attempt": job.attempt, "offset": job.ingested}
                order["gpu"], free = ",".join(free[:gpus]) or None, free[gpus:]
                chosen.append((job.id, order))
        for job_id, order in chosen:
            self._spawn(job_id, order)

    def _free_gpus(self, running: list[Job]) -> list[str]:
        orders = [process.read(folder(self.lab, job.id) / process.ORDER) or {} for job in running]
        taken = {gpu for order in orders for gpu in (order.get("gpu") or "").split(",")}
        return [gpu for gpu in self._gpus if gpu not in taken]

    def _spawn(self, job_id: int, order: dict[str, Any]) -> None:
        place = folder(self.lab, job_id)
        order |= {"kernel_kills": process.kernel_kills()}
        environment = {"GLIBC_TUNABLES": TUNABLES} | self.lab.config.environment()
        if order["gpu"] is not None:
            environment["CUDA_VISIBLE_DEVICES"] = order["gpu"]
        try:
            started = process.start(place, order, environment)
        except OSError as problem:
            full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
            told = FULL if full else f"The worker could not be started ({problem.strerror}); try the job again."
            self._end(job_id, "failed", "disk full" if full else "failed", told)
            return
        if started is not None:
            self._children[job_id], known = started
            with self.lab.database.session() as session:
                queries.name_process(session, job_id, known["pid"], known["started"])

    def _finish(self, job_id: int, ended: dict[str, Any]) -> None:
        if ended["status"] != "finished":
            self._end(job_id, "failed", ended["reason"], ended["error"], ended.get("peak_memory"))
            return
        with self.lab.database.session() as session:
            job = session.get_one(Job, job_id)
            result = ended["result"] or {}
            HANDLERS.get(job.kind).complete(session, job, result)
            queries.end_job(session, job, "finished", "finished", None, ended.get("peak_memory"), result)

    def _end(self, job_id: int, status: str, reason: str, error: str | None, peak: int | None = None) -> None:
        with self.lab.database.session() as session:
            queries.end_job(session, session.get_one(Job, job_id), status, reason, error, peak)


def _failed_attempt(job: Job, place: Path, order: dict[str, Any], code: int | None) -> dict[str, Any]:
    """How an attempt ended whose worker left no word; `code` is None where another process started it."""
    no_memory = code in (None, -signal.SIGKILL) and process.kernel_kills() > order["kernel_kills"]
    return {
        "attempt": job.attempt,
        "reason": "out of memory" if no_memory else "killed",
        "records": ingestion.any_record(place / process.REPORT, order["offset"]),
        "peak_memory": job.peak_memory,
    }


def _without_records(failed: list[dict[str, Any]]) -> int:
    """How many attempts in a row, the last one among them, have left no record."""
    return len(list(itertools.takewhile(lambda one: not one["records"], reversed(failed))))


def stand_in(lab: LabContext) -> "Supervisor | None":
    """Begins to supervise, unless this process or another one does so already."""
    if lab.find_service(Supervisor) is not None:
        return None
    try:
        supervisor = Supervisor(lab, patience=0.0)
    except LabError:
        return None
    supervisor.start()
    return supervisor


def nobody_supervises(home: Path) -> bool:
    """Whether no process holds the data home at this moment."""
    try:
        _hold(home, 0.0).close()
    except LabError:
        return False
    return True


def _hold(home: Path, patience: float) -> IO[str]:
    until = time.monotonic() + patience
    stream = (home / "lab.lock").open("a")
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return stream
        except OSError:
            if time.monotonic() >= until:
                break
        time.sleep(0.05)
    stream.close()
    raise LabError(f"Another genai_lab is open on the data home {home}; close it, or choose another home with --home.")


def _claim(lab: LabContext, patience: float) -> contextlib.ExitStack:
    """A PostgreSQL database may be reached from several homes, so it is claimed by a lock of its own."""
    kept = contextlib.ExitStack()
    until = time.monotonic() + patience
    while not queries.claim(lab.database, kept):
        if time.monotonic() >= until:
            shown = lab.config.database_url.split("@")[-1]
            raise LabError(f"Another genai_lab is open on the database {shown}; close it, or choose another one.")
        time.sleep(0.1)
    return kept
