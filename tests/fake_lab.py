"""A lab whose models answer in milliseconds: fixtures for tests of services, pages and the command line.

`from tests.fake_lab import fake_lab` in a conftest or test file gives the fixture; `fake_answers` gives a name that any
service takes as a model and that answers as scripted.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.services import models

# One model of each kind, by the names under which they are known without being added.
FAKES = ("fake", "fake-completion", "fake-seq2seq", "fake-classifier", "fake-reward", "fake-embedder")


def open_fake_lab(home: Path, **settings: Any) -> LabContext:
    """A lab on an empty home whose catalogue lists the fake models; the caller closes it."""
    lab = bootstrap.open_lab(Config(home=home, show_hidden_models=True, **settings))
    for name in FAKES:
        models.show(lab, name)
    return lab


def fake_answers(answers: Mapping[str, str], kind: str = "completion", **script: Any) -> str:
    """The name of a fake model that gives the answer whose key the prompt contains."""
    return "fake:" + json.dumps({"kind": kind, "answers": dict(answers), **script})


@pytest.fixture
def fake_lab(tmp_path: Path) -> Iterator[LabContext]:
    lab = open_fake_lab(tmp_path / "home")
    yield lab
    lab.close()
