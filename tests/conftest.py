"""What all tests share: one thread per process, markers by place, long folders first, temporary files in memory."""

import os
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest
from xdist.scheduler import LoadFileScheduling

# Several test processes run at once, and their models are small.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test gets a model over the network unless it says so.
os.environ.setdefault("GENAI_LAB_SHELF", "0")
# Nor is a model measured behind its back.
os.environ.setdefault("GENAI_LAB_MEASURE", "0")

TESTS = Path(__file__).parent
FOLDER_MARKERS = {"browser": "browser", "training": "training", "examples": "training"}
# Files that start workers or run models for more than some seconds; `make test-fast` leaves them out.
SLOW_FILES = {
    "data/test_corpora.py", "data/test_guarded.py", "data/test_hub_server.py", "decoding/test_packed_weights.py",
    "decoding/test_traced_step.py", "feedback/test_agreement.py", "feedback/test_bradley_terry.py",
    "jobs/test_command_line.py", "jobs/test_jobs.py", "models/test_adapters.py", "models/test_catalogue.py",
    "models/test_endpoint_answers.py", "models/test_gguf.py", "models/test_scorers.py", "models/test_smollm2.py",
    "prompts/test_chat.py", "services/test_actions_command.py", "services/test_campaigns.py",
    "services/test_chat_prompts.py", "services/test_command_line.py", "services/test_converting.py",
    "services/test_demos.py", "services/test_feedback_figures.py", "services/test_generation.py",
    "services/test_hostile_arguments.py", "services/test_readme_commands.py", "services/test_shelf.py",
    "services/test_snippets.py", "starter/test_recipes.py", "starter/test_tasks.py", "storage/test_old_homes.py",
    "test_authentication.py", "test_connection_bounds.py", "test_safe_mount.py", "test_server.py",
}  # fmt: skip
# Browser tests that start apps or servers of their own: they go on beside those that share one app.
OWN_SERVERS = {"test_feedback.py", "test_ranking_card.py", "test_shelf.py"}
# Folders whose files take longest come first, so that no process is left alone with one of them at the end.
LONG_FOLDERS = ("browser", "training", "examples", "models", "starter", "jobs", "services", "decoding")

# Databases and checkpoints are flushed to the disk after each write. A file system in memory makes that free.
MEMORY_FILES = Path("/dev/shm")
ROOM = 4 * 2**30


def pytest_configure(config: pytest.Config) -> None:
    if (
        MEMORY_FILES.is_dir()
        and os.access(MEMORY_FILES, os.W_OK)
        and min(shutil.disk_usage(MEMORY_FILES).free, psutil.virtual_memory().available) > ROOM
    ):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY_FILES))


class FolderScheduling(LoadFileScheduling):
    """A file is run by one process. So are all browser tests that share one app, and those that need another one."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        if not file.startswith("tests/browser/"):
            return file
        return "tests/browser" if file.removeprefix("tests/browser/") not in OWN_SERVERS else "tests/browser apart"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FolderScheduling:
    return FolderScheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if marker := FOLDER_MARKERS.get(folder_of(item)):
            item.add_marker(marker)
        if item.path.relative_to(TESTS).as_posix() in SLOW_FILES:
            item.add_marker("slow")
    items.sort(key=lambda item: rank_of(folder_of(item)))


def folder_of(item: pytest.Item) -> str:
    """The folder of the test below tests/; "" for the tests that lie in tests/ itself."""
    parts = item.path.relative_to(TESTS).parts
    return parts[0] if len(parts) > 1 else ""


def rank_of(folder: str) -> int:
    return LONG_FOLDERS.index(folder) if folder in LONG_FOLDERS else len(LONG_FOLDERS)
