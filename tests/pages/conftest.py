"""The lab of the services' tests, for the functions behind the pages."""

from tests.services.conftest import lab, no_queued_jobs, shared_labs, tiny_folder

__all__ = ["lab", "no_queued_jobs", "shared_labs", "tiny_folder"]
