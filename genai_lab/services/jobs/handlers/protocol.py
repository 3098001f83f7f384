"""What a kind of job provides, and the registry of all kinds."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.registry import Registry
from storage.tables import Job


class JobReporter(Protocol):
    """The worker's line to the app."""

    folder: Path

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """How far the work is, in the body's own units; the message is one short line."""

    def metric(self, name: str, step: int, value: float) -> None:
        """One point of a curve; the last value of a (name, step) counts."""

    def record(self, item: dict[str, Any]) -> None:
        """A finding to be kept, JSON, with a "key" that is unique within the job."""

    def earlier(self) -> Iterator[dict[str, Any]]:
        """The records of attempts before this one, so that a body goes on instead of beginning again."""


class JobHandler(Protocol):
    """What a kind of job does. `resource` is what a job occupies: cpu, gpu, network, or device: the GPU where the lab
    computes on one.

    A handler may have more: `title`, what its jobs are called; `page`, where their results are listed;
    `gpus(settings)`, how many GPUs a job is given (others get one); `small`, set where a job takes a moment on the CPU
    whatever its resource, so that it need not wait behind long ones.
    """

    name: str
    resource: str

    def run(self, lab: LabContext, settings: dict[str, Any], report: JobReporter) -> dict[str, Any]:
        """The body, in the worker: returns the job's result; raises LabError in one sentence, records the rest."""

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        """Writes records, in the app; the same record may come twice after a crash."""

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        """Writes what the whole makes, in the transaction that marks the job as finished."""


HANDLERS: Registry[JobHandler] = Registry("kind of job", "genai_lab.services.jobs.handlers")
