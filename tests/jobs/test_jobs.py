"""Jobs as their users see them, done by real worker processes."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import jobs
from genai_lab.services.jobs import job_files, supervisor
from genai_lab.services.jobs.executors import local
from genai_lab.services.jobs.supervisor import Supervisor
from pages.components import jobstrip
from storage import jobs as queries
from storage.tables import Job, Preset
from tests.jobs.executors import MemoryExecutor
from tests.tiny import open_new
from tests.waiting import until, until_ended

Still = Callable[[LabContext, MemoryExecutor], Supervisor]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(home=tmp_path / "home", plugins=("tests.jobs.bodies",), cpu_jobs=2)


@pytest.fixture
def lab(config: Config) -> Iterator[LabContext]:
    lab = open_new(config)
    yield lab
    if (supervisor := lab.find_service(Supervisor)) is not None:
        supervisor.stop()
    lab.close()


def supervise(lab: LabContext) -> Supervisor:
    supervisor = Supervisor(lab)
    supervisor.start()
    return supervisor


def count(lab: LabContext, **settings: Any) -> int:
    settings = {"upto": 3, "name": "a", **settings}
    return jobs.enqueue(lab, "count", settings, title=f"Count to {settings['upto']}")


def stored_records(lab: LabContext) -> list[str]:
    with lab.database.reading() as session:
        return sorted(session.scalars(select(Preset.name)))


@pytest.fixture
def still() -> Iterator[Still]:
    """Makes supervisors whose rounds the test runs by itself."""
    created = []

    def create(lab: LabContext, executor: MemoryExecutor) -> Supervisor:
        created.append(Supervisor(lab, executor=executor))
        return created[-1]

    yield create
    for each in created:
        each.release()


def test_any_executor_runs_the_workers(lab: LabContext, still: Still) -> None:
    executor = MemoryExecutor()
    supervisor = still(lab, executor)
    first, second = count(lab), count(lab, name="b")
    supervisor.step()
    folder = jobs.folder(lab, first)
    assert set(executor.orders) == {folder}
    assert executor.orders[folder]["settings"] == {"upto": 3, "name": "a"}
    executor.finish(folder, {"sum": 3})
    supervisor.step()
    assert (jobs.show(lab, first).status, jobs.show(lab, first).result) == ("finished", {"sum": 3})
    supervisor.step()
    jobs.cancel(lab, second)
    supervisor.step()
    supervisor.step()
    assert executor.stops == [(jobs.folder(lab, second), False)]
    assert jobs.show(lab, second).status == "cancelled"


def test_a_worker_of_any_executor_that_dies_is_started_again_three_times(lab: LabContext, still: Still) -> None:
    executor = MemoryExecutor()
    supervisor = still(lab, executor)
    job = count(lab)
    for attempt in (1, 2, 3):
        supervisor.step()
        assert executor.orders[jobs.folder(lab, job)]["attempt"] == attempt
        executor.living.clear()
        supervisor.step()
    assert (jobs.show(lab, job).status, jobs.show(lab, job).exit_reason) == ("failed", "killed")


def test_a_run_gets_a_gpu_for_each_of_its_processes_and_later_runs_wait(lab: LabContext, still: Still) -> None:
    executor = MemoryExecutor(gpus=("4", "5"))
    supervisor = still(lab, executor)
    plans = [{"model": "m", "data": ["d"], "training": {"processes": number}} for number in (1, 2, 1)]
    ids = [jobs.enqueue(lab, "train", {"plan": plan}, title="run") for plan in plans]

    def devices() -> list[str | None]:
        orders = [executor.orders.get(jobs.folder(lab, job_id), {"gpu": None}) for job_id in ids]
        return [order["gpu"] for order in orders]

    supervisor._start_next()
    assert devices() == ["4", None, None]
    supervisor._end(ids[0], "finished", "finished", None)
    supervisor._start_next()
    assert devices() == ["4", "4,5", None]
    supervisor._end(ids[1], "finished", "finished", None)
    supervisor._start_next()
    assert devices() == ["4", "4,5", "4"]


def test_a_job_is_done_by_a_worker_and_written_down_once(lab: LabContext) -> None:
    job = count(lab)
    ended_job = until_ended(lab, job)
    assert (ended_job.status, ended_job.exit_reason, ended_job.result, ended_job.share) == (
        "finished",
        "finished",
        {"sum": 3},
        1.0,
    )
    assert (ended_job.peak_memory or 0) > 10_000_000
    assert stored_records(lab) == ["a 0", "a 1", "a 2", "a finished"]
    assert jobs.metrics(lab, job) == {"squares": [(0, 0.0), (1, 1.0), (2, 4.0)]}


def test_a_killed_worker_is_followed_by_one_that_goes_on(lab: LabContext) -> None:
    ended_job = until_ended(lab, count(lab, upto=6, die=4))
    assert (ended_job.status, ended_job.attempt) == ("finished", 2)
    assert stored_records(lab) == [*(f"a {number}" for number in range(6)), "a finished"]


def test_a_job_whose_worker_always_dies_is_killed_in_the_end(lab: LabContext) -> None:
    ended_job = until_ended(lab, count(lab, die_once=0))
    assert (ended_job.status, ended_job.exit_reason, ended_job.attempt) == ("failed", "killed", 3)
    assert [(item["attempt"], item["reason"], item["records"]) for item in ended_job.failed_attempts or ()] == [
        (1, "killed", False), (2, "killed", False), (3, "killed", False),
    ]  # fmt: skip
    assert stored_records(lab) == []
    assert jobs.retry(lab, ended_job.id).failed_attempts is None


def test_a_failure_is_one_sentence_and_can_be_tried_again(lab: LabContext) -> None:
    job = count(lab, fail=2)
    ended_job = until_ended(lab, job)
    assert (ended_job.status, ended_job.exit_reason) == ("failed", "failed")
    assert ended_job.error == "Row 3 cannot be counted; leave it out."
    assert jobs.retry(lab, job).status == "queued"
    with pytest.raises(LabError, match="only a failed or cancelled job"):
        jobs.retry(lab, job)


def test_out_of_memory_is_named(lab: LabContext) -> None:
    assert until_ended(lab, count(lab, memory=1)).exit_reason == "out of memory"


def test_a_full_disk_is_named(lab: LabContext) -> None:
    assert until_ended(lab, count(lab, disk=1)).exit_reason == "disk full"


def test_a_child_that_outlives_its_worker_neither_stops_the_job_nor_stays(lab: LabContext) -> None:
    ended_job = until_ended(lab, count(lab, fork=0))
    assert (ended_job.status, ended_job.attempt) == ("finished", 2)


def test_findings_that_cannot_be_kept_end_their_own_job_only(lab: LabContext) -> None:
    bad, good = count(lab, poison=1), count(lab, name="b")
    assert until_ended(lab, good).status == "finished"
    ended_job = until_ended(lab, bad)
    assert ended_job.status == "failed"
    assert "results of the job could not be saved (KeyError" in str(ended_job.error)
    assert not local.LocalProcesses().alive(jobs.folder(lab, bad))


def test_a_line_of_any_length_is_read_whole_and_a_torn_one_is_passed_over(tmp_path: Path) -> None:
    report = tmp_path / "report.jsonl"
    long = "x" * (job_files.BLOCK + 10)
    report.write_text(f'{{"record": "{long}"}}\n{{"rec\n{{"record": 2}}\n{{"record"')
    first, second, third = job_files.lines(report)
    assert (first[0]["record"], second[0], third[0]) == (long, {}, {"record": 2})
    assert list(job_files.lines(report, third[1])) == []


def test_cancel_ends_the_whole_group_even_if_it_does_not_listen(lab: LabContext) -> None:
    supervise(lab)
    job = count(lab, hang=1)
    child = jobs.folder(lab, job) / "child"
    until(lambda: child.exists() and child.read_text() != "")
    pid = int(child.read_text())
    jobs.cancel(lab, job)
    ended_job = until_ended(lab, job)
    assert (ended_job.status, ended_job.exit_reason) == ("cancelled", "cancelled")
    until(lambda: local.process_started(pid) is None or _zombie(pid))


def test_a_queued_job_is_cancelled_without_being_started(lab: LabContext) -> None:
    job = count(lab)
    jobs.cancel(lab, job)
    assert until_ended(lab, job).status == "cancelled"
    assert stored_records(lab) == []


def test_the_next_supervisor_takes_over_a_living_worker(lab: LabContext, config: Config) -> None:
    supervisor = supervise(lab)
    job = count(lab, upto=10, pause=0.3)
    worker = jobs.folder(lab, job) / job_files.WORKER
    until(worker.exists)
    before = worker.read_text()
    supervisor.stop()
    other = open_new(config)
    ended_job = until_ended(other, job)
    assert (ended_job.status, ended_job.attempt) == ("finished", 1)
    assert worker.read_text() == before
    assert stored_records(other) == [*(f"a {number}" for number in range(10)), "a finished"]
    other.close()


def test_a_second_lab_on_the_same_home_is_refused_in_one_sentence(lab: LabContext, config: Config) -> None:
    supervise(lab)
    with pytest.raises(LabError, match="Another genai_lab is open on the data home"):
        Supervisor(lab, patience=0.1)


def test_a_kind_that_is_gone_ends_its_own_job_only(lab: LabContext) -> None:
    with lab.database.session() as session:
        fields = {"kind": "gone", "title": "Of a plugin", "settings": {}, "resource": "cpu", "priority": 9}
        gone = queries.add_job(session, **fields).id
    assert until_ended(lab, count(lab)).status == "finished"
    ended_job = jobs.show(lab, gone)
    assert ended_job.status == "failed"
    assert "No kind of job is called 'gone'" in str(ended_job.error)


def test_what_depends_on_a_failed_job_fails_with_it(lab: LabContext) -> None:
    first = count(lab, fail=0)
    then = jobs.enqueue(lab, "count", {"upto": 1, "name": "b"}, title="After it", depends_on=first)
    ended_job = until_ended(lab, then)
    assert ended_job.status == "failed"
    reason = str(jobs.show(lab, first).error).rstrip(".")
    assert reason
    assert f"which this one needs, failed ({reason}); try that one again" in str(ended_job.error)


class Brief:
    """A kind that takes a moment."""

    name, resource, small = "brief", "device", True


def test_small_jobs_pass_long_ones_and_others_say_what_they_wait_for(
    lab: LabContext, still: Still, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(jobs.HANDLERS._items, "brief", Brief())
    executor = MemoryExecutor(cpu_slots=2)
    first, second, third = (count(lab, name=name) for name in "abc")
    small, smaller = (jobs.enqueue(lab, "brief", {}, title=title) for title in ("Keep it", "Merge it"))
    behind = jobs.enqueue(lab, "count", {}, title="Later", depends_on=third)
    assert jobs.show(lab, first).waiting == "waits to be started"
    still(lab, executor)._start_next()
    assert list(executor.orders) == [jobs.folder(lab, job_id) for job_id in (first, second, small)]
    assert jobs.show(lab, third).waiting == f"waits for its turn behind job {first} (Count to 3) and 1 more"
    assert jobs.show(lab, smaller).waiting == f"waits for its turn behind job {small} (Keep it)"
    assert jobs.show(lab, behind).waiting == f"waits for job {third} (Count to 3)"
    assert jobs.show(lab, first).waiting == ""
    assert (jobs.cancel(lab, first).state, jobs.show(lab, second).state) == ("cancelling", "running")


def test_what_a_queued_job_waits_for_counts_the_slots_of_its_supervisor(lab: LabContext, still: Still) -> None:
    executor = MemoryExecutor(cpu_slots=lab.config.cpu_jobs + 1)
    supervisor = still(lab, executor)
    running = [count(lab, name=str(number)) for number in range(lab.config.cpu_jobs)]
    supervisor._start_next()
    assert list(executor.orders) == [jobs.folder(lab, job) for job in running]
    assert jobs.show(lab, count(lab, name="last")).waiting == "waits to be started"


class Leaving:
    """A worker that has given its lock back, as a process does while it ends, and cannot be reaped yet."""

    def poll(self) -> None:
        return None

    def wait(self, timeout: float) -> int:
        return 4


def test_the_code_of_a_worker_that_is_about_to_end_is_not_lost(tmp_path: Path) -> None:
    executor = local.LocalProcesses()
    executor._children[tmp_path] = Leaving()  # type: ignore[assignment]
    assert not executor.alive(tmp_path)
    assert executor.wait(tmp_path).code == 4


def test_a_job_tells_its_attempts_and_why_they_ended(lab: LabContext) -> None:
    job = count(lab)
    assert jobs.show(lab, job).attempts == ""
    with lab.database.session() as session:
        queries.mark_running(session.get_one(Job, job), "cpu")
        failed = {"attempt": 1, "reason": "out of memory", "records": True, "peak_memory": 3_400_000_000}
        queries.add_failed_attempt(session, job, failed)
        queries.queue_again(session, job, "Memory ran out; attempt 2 continues.")
    assert jobs.show(lab, job).attempts == "attempt 2: memory ran out in attempt 1 (peak 3.4 GB)"
    with lab.database.session() as session:
        queries.mark_running(session.get_one(Job, job), "cpu")
    view = jobs.show(lab, job)
    assert (view.state, view.attempts) == ("running", "attempt 2: memory ran out in attempt 1 (peak 3.4 GB)")
    assert jobstrip.row(view)["attempts"] == view.attempts


def test_the_urgent_go_first_and_only_so_many_at_once(tmp_path: Path) -> None:
    lab = open_new(Config(home=tmp_path / "one", plugins=("tests.jobs.bodies",), cpu_jobs=1))
    late, soon = (
        jobs.enqueue(lab, "count", {"upto": 1, "name": name}, title=name, priority=priority)
        for name, priority in (("late", 0), ("soon", 5))
    )
    started = [until_ended(lab, item).started_at for item in (soon, late)]
    assert started[0] < started[1]  # type: ignore[operator]
    lab.close()


def _zombie(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


def test_a_job_is_cancelled_and_retried_two_hundred_times_without_a_lost_order(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "COMMAND", ("/bin/sh", "-c", "exec sleep 600"))
    monkeypatch.setattr(supervisor, "EVERY", 0.001)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    supervise(lab)
    job, draw = count(lab), random.Random(10)
    for _ in range(200):
        if draw.random() < 0.5:
            until(lambda: jobs.show(lab, job).status == "running")
        jobs.cancel(lab, job)
        until(lambda: not jobs.show(lab, job).live)
        view = jobs.show(lab, job)
        assert (view.status, view.error) == ("cancelled", None)
        jobs.retry(lab, job)
    until(lambda: jobs.show(lab, job).status == "running")
    attempt = jobs.show(lab, job).attempt
    until(lambda: (job_files.read(jobs.folder(lab, job) / job_files.ORDER) or {}).get("attempt") == attempt)
    jobs.cancel(lab, job)
    until(lambda: not jobs.show(lab, job).live)
    assert not local.LocalProcesses().alive(jobs.folder(lab, job))
