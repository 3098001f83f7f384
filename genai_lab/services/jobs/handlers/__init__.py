"""What a job does, one kind a file: a body that runs in a worker process, and what the app keeps of its reports.

The worker only reads the database. Whatever it finds out it reports as JSON Lines in its job folder; the one process
that writes ingests them in order, so `ingest` sees every record at least once and must be idempotent.
"""

from genai_lab.services.jobs.handlers.protocol import HANDLERS, JobHandler, JobReporter

__all__ = ["HANDLERS", "JobHandler", "JobReporter"]
