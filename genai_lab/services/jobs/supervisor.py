"""The one process of a data home that starts workers, reads their reports and writes the database.

It keeps no state in memory that it needs: after a crash the next one finds the Job rows, the folders and the locks,
takes over living workers, and closes jobs that have ended. A dead worker's job is tried again from its records.
Where workers run is the business of an executor.
"""

import contextlib
import errno
import fcntl
import itertools
import logging
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from sqlalchemy.exc import DBAPIError, OperationalError

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.files import write_json
from genai_lab.services.jobs import ingestion, job_files, resources
from genai_lab.services.jobs.executors import Executor, LocalProcesses, WorkerExit
from genai_lab.services.jobs.handlers import HANDLERS
from genai_lab.services.jobs.queue import folder
from storage import jobs as queries
from storage.tables import Job

log = logging.getLogger(__name__)
EVERY = 0.25
FRUITLESS = 3
GRACE = 3.0
PATIENCE = 2.0
DEAD = "The worker was killed {times} times without any progress; its log may say why. Try the job again."
SMALL = "The system ended the worker because memory ran out; use a smaller model, fewer rows or shorter texts at once."
FULL = "The disk is full; free some space and try the job again."
UNKNOWN = "No kind of job is called {kind!r} here; load the plugin that brought it (GENAI_LAB_PLUGINS) and try again."
NOT_SAVED = "The results of the job could not be saved ({problem}); the app's log holds the details."


class Supervisor:
    """Works in a thread between `start` and `stop`. Raises LabError where another process holds the data home.

    `patience`: seconds to wait for the lock; a process that only asks whether the home is free holds it briefly.
    """

    def __init__(self, lab: LabContext, patience: float = PATIENCE, executor: Executor | None = None) -> None:
        self.lab = lab
        self._executor = executor or LocalProcesses(lab.config.cpu_jobs)
        self._lock = _hold(lab.config.home, patience)
        try:
            self._claim = _claim(lab, patience)
        except LabError:
            self._lock.close()
            raise
        write_json(lab.config.jobs / job_files.RESOURCES, asdict(self._executor.resources()))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._stop_requests: dict[int, float] = {}  # when a job's worker was first asked to end, by the job's id

    def start(self) -> None:
        self.lab.set_service(self)
        self._thread.start()

    def stop(self) -> None:
        """Workers go on; whoever supervises next takes them over."""
        self.lab.drop_service(Supervisor)
        self._stop.set()
        self._thread.join(timeout=10)
        self.release()

    def release(self) -> None:
        """Gives the data home back, so that another process can supervise."""
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
            # One job whose results cannot be saved must not stop all others.
            log.exception("the results of job %s cannot be saved", job.id)
            job_folder = folder(self.lab, job.id)
            self._executor.stop(job_folder, force=True)
            self._executor.wait(job_folder)
            lines = str(problem.orig if isinstance(problem, DBAPIError) else problem).splitlines()
            reason = f"{type(problem).__name__}: {lines[0][:200]}" if lines else type(problem).__name__
            message = str(problem) if isinstance(problem, LabError) else NOT_SAVED.format(problem=reason)
            self._end(job.id, "failed", "failed", message)

    def _follow(self, job: Job) -> None:
        job_folder = folder(self.lab, job.id)
        offset = ingestion.ingest(self.lab, job.id, job_folder, job.ingested)
        if self._executor.alive(job_folder):
            if job.cancel_requested:
                first = self._stop_requests.setdefault(job.id, time.monotonic())
                self._executor.stop(job_folder, force=time.monotonic() - first > GRACE)
            return
        worker_exit = self._executor.wait(job_folder)
        self._stop_requests.pop(job.id, None)
        while (after := ingestion.ingest(self.lab, job.id, job_folder, offset)) > offset:
            offset = after
        ended = job_files.read(job_folder / job_files.EXIT)
        if ended and ended.get("attempt") == job.attempt:
            self._finish(job.id, ended)
        elif job.cancel_requested:
            self._end(job.id, "cancelled", "cancelled", None)
        else:
            self._after_death(job, job_folder, worker_exit)

    def _after_death(self, job: Job, job_folder: Path, worker_exit: WorkerExit) -> None:
        """Queues the job again, unless the disk is full or several attempts in a row have left no record."""
        if worker_exit.code == job_files.DISK_FULL:
            self._end(job.id, "failed", "disk full", FULL)
            return
        order = job_files.read(job_folder / job_files.ORDER) or {}
        with self.lab.database.session() as session:
            failed = list(job.failed_attempts or ())
            if order.get("attempt") == job.attempt:  # else the supervisor ended before it started the worker
                attempt = _failed_attempt(job, job_folder, order, worker_exit)
                failed = queries.add_failed_attempt(session, job.id, attempt)
            times = _without_records(failed)
            reason = failed[-1]["reason"] if failed else "killed"
            if times >= FRUITLESS:
                error = SMALL if reason == "out of memory" else DEAD.format(times=times)
                queries.end_job(session, session.get_one(Job, job.id), "failed", reason, error)
            else:
                why = "Memory ran out" if reason == "out of memory" else "Its worker was killed"
                queries.queue_again(session, job.id, f"{why}; attempt {job.attempt + 1} continues.")

    def _start_next(self) -> None:
        available = self._executor.resources()
        with self.lab.database.session() as session:
            running = queries.jobs_of_status(session, "running")
            busy = [job.resource for job in running]
            free = self._free_gpus(running)
            orders = []
            for job in queries.jobs_of_status(session, "queued"):
                if job.kind not in HANDLERS:
                    queries.end_job(session, job, "failed", "failed", UNKNOWN.format(kind=job.kind))
                    continue
                if job.cancel_requested or not queries.may_start(session, job):
                    continue
                handler = HANDLERS.get(job.kind)
                resource = resources.resource_of(handler, self.lab.config.device, available)
                if busy.count(resource) >= available.slots(resource):
                    continue
                gpus = min(resources.gpus_of(handler, job.settings), len(available.gpus)) if resource == "gpu" else 0
                if gpus > len(free):
                    free.clear()  # the jobs behind it wait too, or its turn would never come
                    continue
                busy.append(resource)
                queries.mark_running(job, resource)
                order = {"kind": job.kind, "settings": job.settings, "attempt": job.attempt, "offset": job.ingested}
                order["gpu"], free = ",".join(free[:gpus]) or None, free[gpus:]
                orders.append((job.id, order))
        for job_id, order in orders:
            self._spawn(job_id, order)

    def _free_gpus(self, running: list[Job]) -> list[str]:
        orders = [job_files.read(folder(self.lab, job.id) / job_files.ORDER) or {} for job in running]
        busy = {gpu for order in orders for gpu in (order.get("gpu") or "").split(",")}
        return [gpu for gpu in self._executor.resources().gpus if gpu not in busy]

    def _spawn(self, job_id: int, order: dict[str, Any]) -> None:
        try:
            worker = self._executor.start(folder(self.lab, job_id), order, self.lab.config.environment())
        except OSError as problem:
            full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
            message = FULL if full else f"The worker could not be started ({problem.strerror}); try the job again."
            self._end(job_id, "failed", "disk full" if full else "failed", message)
            return
        if worker is not None:
            with self.lab.database.session() as session:
                queries.name_process(session, job_id, worker.pid, worker.started)

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


def _failed_attempt(job: Job, job_folder: Path, order: dict[str, Any], worker_exit: WorkerExit) -> dict[str, Any]:
    """How an attempt ended whose worker wrote no exit file."""
    return {
        "attempt": job.attempt,
        "reason": "out of memory" if worker_exit.out_of_memory else "killed",
        "records": ingestion.any_record(job_folder / job_files.REPORT, order["offset"]),
        "peak_memory": job.peak_memory,
    }


def _without_records(failed: list[dict[str, Any]]) -> int:
    """How many attempts in a row, the last one among them, have left no record."""
    return len(list(itertools.takewhile(lambda attempt: not attempt["records"], reversed(failed))))


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
    locks = contextlib.ExitStack()
    until = time.monotonic() + patience
    while not queries.claim(lab.database, locks):
        if time.monotonic() >= until:
            address = lab.config.database_url.split("@")[-1]
            raise LabError(f"Another genai_lab is open on the database {address}; close it, or choose another one.")
        time.sleep(0.1)
    return locks
