"""One lab with one random model for all tests of the services; every test makes its own runs."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from genai_lab.cli import main
from genai_lab.context import LabContext
from tests.inline_jobs import cancel_queued
from tests.tiny import open_lab, random_model

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(lab: LabContext, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """A command in this process, on the tests' lab: (exit code, standard output, standard error)."""

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    # The lab's own `close` is back before the lab is closed.
    with monkeypatch.context() as patch:
        patch.setattr("genai_lab.bootstrap.open_lab", lambda config: lab)
        patch.setattr(lab, "close", lambda: None)
        yield run


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_model(tmp_path_factory.mktemp("folders") / "tiny", chat=True)


@pytest.fixture(scope="session")
def shared_labs() -> list[LabContext]:
    """The lab of all tests, once it is open."""
    return []


@pytest.fixture(scope="module", autouse=True)
def no_queued_jobs(shared_labs: list[LabContext]) -> Iterator[None]:
    """What a module has queued and not run does not keep workers busy while the next one waits for its own jobs."""
    yield
    for lab_context in shared_labs:
        cancel_queued(lab_context)


@pytest.fixture(scope="session")
def lab(
    tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path, shared_labs: list[LabContext]
) -> Iterator[LabContext]:
    lab_context = open_lab(tmp_path_factory.mktemp("home"), tiny=tiny_folder)
    shared_labs.append(lab_context)
    yield lab_context
    shared_labs.clear()
    lab_context.close()
