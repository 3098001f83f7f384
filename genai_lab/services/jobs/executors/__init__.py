"""Where workers run: processes of this machine are the first member, a cluster can be the next."""

from genai_lab.services.jobs.executors.local import LocalProcesses
from genai_lab.services.jobs.executors.protocol import Executor, Resources, WorkerExit, WorkerName

__all__ = ["Executor", "LocalProcesses", "Resources", "WorkerExit", "WorkerName"]
