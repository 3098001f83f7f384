"""The lab of the services' tests, for the functions behind the pages."""

from tests.services.conftest import lab, tiny_folder

__all__ = ["lab", "tiny_folder"]
