"""What all tests share: one thread per process, markers by place, long folders first, temporary files in memory."""

import gc
import os
import shutil
import sys
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

# Libraries are millions of objects that stay: to look for garbage among them takes a tenth of the time.
gc.disable()
gc.set_threshold(20_000, 20, 20)
MANY_MODULES = 150
SEEN_MODULES = pytest.StashKey[int]()

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
    "services/test_hostile_arguments.py", "services/test_readme_commands.py", "services/test_recipes.py",
    "services/test_shelf.py", "services/test_snippets.py", "starter/test_recipes.py", "starter/test_tasks.py",
    "storage/test_old_homes.py",
    "test_authentication.py", "test_connection_bounds.py", "test_safe_mount.py", "test_server.py",
}  # fmt: skip
# Browser tests in three parts that take about as long: these share one app, those start apps or servers of their own,
# and the others share another app.
BROWSER_PARTS = {
    "first": {
        "test_history.py", "test_jobs.py", "test_matrix.py", "test_models_page.py", "test_playground.py",
        "test_recipes.py",
    },
    "apart": {"test_feedback.py", "test_ranking_card.py", "test_shelf.py"},
}  # fmt: skip
# What takes longest comes first, so that no process is left alone with it at the end, and at most two browsers at once.
LONGEST = (
    "browser", "browser first", "training", "browser apart", "examples", "models", "starter", "jobs", "services",
    "decoding",
)  # fmt: skip

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
    """A file is run by one process, and so is each part of the browser tests, which starts Chromium once."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        folder, _, name = file.removeprefix("tests/").partition("/")
        return part_of(folder, name) if folder == "browser" else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FolderScheduling:
    return FolderScheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if marker := FOLDER_MARKERS.get(folder_of(item)):
            item.add_marker(marker)
        if item.path.relative_to(TESTS).as_posix() in SLOW_FILES:
            item.add_marker("slow")
    items.sort(key=rank_of)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leaves the libraries that the tests before this one have imported out of the search for garbage too."""
    if len(sys.modules) - item.session.stash.get(SEEN_MODULES, 0) > MANY_MODULES:
        item.session.stash[SEEN_MODULES] = len(sys.modules)
        gc.freeze()


def folder_of(item: pytest.Item) -> str:
    """The folder of the test below tests/; "" for the tests that lie in tests/ itself."""
    parts = item.path.relative_to(TESTS).parts
    return parts[0] if len(parts) > 1 else ""


def part_of(folder: str, name: str) -> str:
    """The folder, with its part where it is the browser tests'."""
    return " ".join([folder, *(part for part, names in BROWSER_PARTS.items() if folder == "browser" and name in names)])


def rank_of(item: pytest.Item) -> int:
    part = part_of(folder_of(item), item.path.name)
    return LONGEST.index(part) if part in LONGEST else len(LONGEST)
