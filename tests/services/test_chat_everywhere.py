"""A model with a chat template is asked in chat wherever no mode is named: API, matrix, evaluation, command line."""

import json

import pytest

from genai_lab import cli
from genai_lab.api.lab import Lab
from genai_lab.context import LabContext
from genai_lab.services import generation, matrix, models, prompting
from tests.fake_lab import fake_lab

__all__ = ["fake_lab"]
HELLO = [{"role": "user", "content": "Hello"}]


def modes_of_runs(lab: LabContext, runs: list[int]) -> set[str]:
    return {generation.run(lab, run).prompt.mode for run in runs}


def test_the_python_api_asks_in_chat(fake_lab: LabContext) -> None:
    lab = Lab(fake_lab)
    runs = [lab.generate("fake", "Hello").id, *(run.id for run in lab.compare(["fake", "fake"], "Hello"))]
    assert modes_of_runs(fake_lab, runs) == {"chat"}
    assert list(generation.run(fake_lab, runs[0]).prompt.messages) == HELLO


def test_the_command_line_asks_in_chat(fake_lab: LabContext, capsys: pytest.CaptureFixture[str]) -> None:
    home = str(fake_lab.config.home)
    assert cli.main(["generate", "--model", "fake", "--prompt", "Hello", "--json", "--home", home]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written["prompt"]["mode"] == "chat"
    assert cli.main(["generate", "--model", "fake", "--prompt", "Hi", "--mode", "completion", "--home", home]) == 0


def test_matrix_and_evaluation_ask_in_chat(fake_lab: LabContext) -> None:
    """Both fill their prompts by a MatrixPlan, whose rendering is the model's own unless it is chosen."""
    plan = matrix.MatrixPlan(dataset="reviews", models=("fake",), templates=("classify-review",))
    for name, mode in (("fake", "chat"), ("fake-completion", "completion")):
        assert prompting.mode_of(models.show(fake_lab, name).card, plan.rendering) == mode
