"""One lab with one random model for all tests of the services; every test makes its own runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from genai_lab.lab import Lab
from tests.tiny import open_lab, random_model


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_model(tmp_path_factory.mktemp("folders") / "tiny", chat=True)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[Lab]:
    made = open_lab(tmp_path_factory.mktemp("home"), tiny=tiny_folder)
    yield made
    made.close()
