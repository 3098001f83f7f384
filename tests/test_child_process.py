"""Child processes: replies, time limits, and a new process after each failure."""

import os
import signal
from collections.abc import Iterator

import pytest

from genai_lab.child_process import ChildFailure, ChildLost, ChildPool, ChildProcess, OutOfTime, TimeLimit

PATIENT = TimeLimit(60.0, 60.0)
ECHO = """
import json, os, struct, sys, time
def send(message):
    body = json.dumps(message).encode()
    sys.stdout.buffer.write(struct.pack(">I", len(body)) + body)
    sys.stdout.buffer.flush()
send({"ready": True})
while len(head := sys.stdin.buffer.read(4)) == 4:
    request = json.loads(sys.stdin.buffer.read(struct.unpack(">I", head)[0]))
    if request == "crash":
        os._exit(1)
    while request == "spin":
        pass
    if request == "sleep":
        time.sleep(600)
    send({"echo": request, "ended": request == "last"})
"""


def start() -> ChildProcess:
    return ChildProcess(["-I", "-c", ECHO], {}, PATIENT)


@pytest.fixture
def pool() -> Iterator[ChildPool]:
    pool = ChildPool(start, 1)
    yield pool
    pool.close()


def ask(pool: ChildPool, request: str, limit: TimeLimit = PATIENT) -> str:
    with pool.lend() as child:
        return str(child.ask(request, limit)["echo"])


def test_one_process_answers_one_request_after_another(pool: ChildPool) -> None:
    assert ask(pool, "é \ud800") == "é \ud800"
    pids = pool.idle_pids()
    assert ask(pool, "b") == "b"
    assert pool.idle_pids() == pids


@pytest.mark.parametrize(
    ("request_text", "limit", "failure"),
    [
        ("crash", PATIENT, ChildLost),
        ("sleep", TimeLimit(60.0, 0.1), OutOfTime),
        ("spin", TimeLimit(0.05, 60.0), OutOfTime),
        ("spin", TimeLimit(0.05, 60.0, least=0.2), OutOfTime),
    ],
)
def test_a_failure_ends_the_process_and_the_next_request_has_another(
    pool: ChildPool, request_text: str, limit: TimeLimit, failure: type[ChildFailure]
) -> None:
    with pytest.raises(failure):
        ask(pool, request_text, limit)
    assert pool.idle_pids() == []
    assert ask(pool, "again") == "again"


def test_a_process_that_has_sent_its_last_reply_or_died_is_replaced(pool: ChildPool) -> None:
    assert ask(pool, "last") == "last"
    assert pool.idle_pids() == []
    ask(pool, "a")
    (pid,) = pool.idle_pids()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ask(pool, "b") == "b"
    assert pool.idle_pids() != [pid]


def test_a_limit_counts_processor_and_wall_time_after_the_least() -> None:
    limit = TimeLimit(processor=0.7, wall=10.0, least=1.4)
    assert not limit.is_over(1.0, 1.0)
    assert limit.is_over(1.4, 0.7)
    assert not limit.is_over(9.0, 0.5)
    assert limit.is_over(10.0, 0.0)
