"""A published chat model learns an answer in its own chat template, and gives it without the lab."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.models.gguf_header import read_header
from genai_lab.models.gguf_import import about_copy, import_gguf
from genai_lab.services import datasets, models, training
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from tests.smollm2 import smollm2_gguf
from tests.tiny import open_lab
from tests.training.test_conversation_files import FORMS, answers_without_the_lab, assistant, user, written

pytestmark = pytest.mark.full
ASK, ANSWER = "Which bird do you like?", "The heron, of course."
TRAINING = Training(
    max_steps=10, per_device_batch_size=2, learning_rate=1e-3, max_length=96, eval_steps=10, validation_rows=2,
    score_rows=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabContext]:
    file, folder = smollm2_gguf(), tmp_path_factory.mktemp("models") / "smollm2"
    header = read_header(file)
    import_gguf(header, folder, about_copy(header, file.name), lambda *_: None)
    opened_lab = open_lab(tmp_path_factory.mktemp("home"), smollm2=folder)
    yield opened_lab
    opened_lab.close()


@pytest.mark.parametrize("form", FORMS)
def test_smollm2_answers_in_chat_as_it_was_trained(
    form: str, lab: LabContext, finish_job: Callable[[int], Any], tmp_path: Path
) -> None:
    talk = written([user("Hello!"), assistant("Hello."), user(ASK), assistant(ANSWER)], form)
    path = tmp_path / f"{form}.jsonl"
    path.write_text("\n".join([json.dumps({"messages" if form == "OpenAI" else "conversations": talk})] * 12))
    version = datasets.import_file(lab, path, form, split=SplitPlan(by="none", only="train"))
    turns = {"turns": "last" if form == "OpenAI" else "all"}
    plan = TrainingPlan("smollm2", (DatasetSpec(version.name),), objective_settings=turns, training=TRAINING)
    run = training.start(lab, plan)
    finish_job(run.job_id)
    folder, base = (str(models.show(lab, name).card.path) for name in (run.model, "smollm2"))
    chats = [[user("Hello!"), assistant("Hello."), user(ASK)]]
    task = {"folder": folder, "base": base, "reward": False, "chats": chats}
    assert answers_without_the_lab([task]) == [[ANSWER]]
