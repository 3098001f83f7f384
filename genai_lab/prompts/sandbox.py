"""The processes that fill templates, the lab's own and models': kept warm, and ended with a template that is slow."""

from functools import cache
from pathlib import Path
from typing import Any

from genai_lab.child_process import ChildFailure, ChildPool, ChildProcess, OutOfTime, ReplyTooLong, TimeLimit
from genai_lab.errors import TemplateError

CHILD = Path(__file__).with_name("child.py")
# Reading the slots and filling come one after the other; together they end within 2 s.
SLOTS_SECONDS, FILL_SECONDS = 0.5, 1.4
START_SECONDS = 20.0
# On a busy machine a process may wait this long in all for a fair share of the processor time that it was allowed.
PATIENCE_SECONDS, FAIR_SHARE = 10.0, 0.5
MOST_PROCESSES = 4


class Ended(TemplateError):
    """A template was stopped together with its process; `message` says why, as in "took longer than 1 s"."""

    def __init__(self, message: str) -> None:
        super().__init__(f"The template {message}; simplify it.")
        self.message = message


class Sandbox:
    """A few processes that wait for templates. `ask` is safe from any thread."""

    def __init__(self) -> None:
        self._pool = ChildPool(_start, MOST_PROCESSES)

    def ask(self, request: dict[str, Any], seconds: float = FILL_SECONDS) -> dict[str, Any]:
        """The answer to one request; raises Ended where the process was ended or ended itself."""
        limit = TimeLimit(FAIR_SHARE * seconds, max(seconds, PATIENCE_SECONDS), least=seconds)
        try:
            with self._pool.lend() as process:
                return process.ask(request, limit)
        except OutOfTime:
            raise Ended(f"took longer than {seconds:g} s and was stopped") from None
        except ReplyTooLong:
            raise Ended("writes too much") from None
        except ChildFailure:
            raise Ended("broke the process that filled it") from None

    def close(self) -> None:
        self._pool.close()


def _start() -> ChildProcess:
    """A process that is isolated from the environment and from the user's own modules."""
    return ChildProcess(["-I", str(CHILD)], {}, TimeLimit(START_SECONDS, START_SECONDS))


@cache
def sandbox() -> Sandbox:
    """The processes of this program; they end with it."""
    return Sandbox()
