"""A kind of job for tests, done by the real worker: it counts, and leaves one line a number in a file."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services.jobs.handlers import HANDLERS, JobReporter
from storage.tables import Job, Preset


class Count:
    """`settings`: upto, pause (seconds), and where to stumble: die, fail, hang, memory."""

    name = "count"
    resource = "cpu"

    def run(self, lab: LabContext, settings: dict[str, Any], report: JobReporter) -> dict[str, Any]:
        numbers = {item["number"] for item in report.earlier()}
        for number in range(settings["upto"]):
            if number == settings.get("die") and number not in numbers and len(numbers) < number:
                os.kill(os.getpid(), signal.SIGKILL)
            if number == settings.get("die_once") and not numbers:
                os.kill(os.getpid(), signal.SIGKILL)
            if number == settings.get("fail"):
                raise LabError(f"Row {number + 1} cannot be counted; leave it out.")
            if number == settings.get("memory"):
                raise MemoryError
            if number == settings.get("disk"):
                raise OSError(errno.ENOSPC, "No space left on device")
            if number == settings.get("fork") and not numbers:
                if os.fork() == 0:  # inherits the lock and outlives its parent
                    time.sleep(600)
                report.record({"key": "0", "number": 0, "job": settings["name"]})
                os.kill(os.getpid(), signal.SIGKILL)
            if number == settings.get("poison"):
                report.record({"key": "poison", "nonsense": 1})
                time.sleep(600)
            if number == settings.get("hang"):
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                (report.folder / "child").write_text(str(child.pid))
                time.sleep(600)
            if number in numbers:
                continue
            report.record({"key": str(number), "number": number, "job": settings["name"]})
            report.metric("squares", number, float(number * number))
            report.progress(number + 1, settings["upto"], f"number {number}")
            time.sleep(settings.get("pause", 0.0))
        return {"sum": sum(range(settings["upto"]))}

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        for item in items:
            name = f"{item['job']} {item['number']}"
            if session.query(Preset).filter_by(name=name).first() is None:
                session.add(Preset(name=name, settings={}))
        session.flush()

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        session.add(Preset(name=f"{job.settings['name']} finished", settings={}))


HANDLERS.register(Count.name)(Count())
