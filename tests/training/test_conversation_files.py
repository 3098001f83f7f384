"""Chat files from the file to the exported model, which transformers and PEFT alone load; and files that are odd."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.data import BadRows, SplitPlan
from genai_lab.errors import LabError
from genai_lab.services import datasets, models, training
from genai_lab.services.training.batch_preview import FirstBatch, first_batch
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from genai_lab.training.examples import IGNORED
from genai_lab.training.loading import load_tokenizer
from tests.tiny import open_lab
from tests.training.models import CHATML, WORDS, tiny

SHAREGPT = {"user": "human", "assistant": "gpt"}
FORMS = ("OpenAI", "ShareGPT")
FIRST, LAST = "red", "moon"
SHORT = Training(
    max_steps=40, per_device_batch_size=8, learning_rate=1e-2, max_length=120, seed=1, validation_rows=4, eval_steps=40,
    score_rows=0,
)  # fmt: skip
ONCE = replace(SHORT, max_steps=1, num_train_epochs=1.0, per_device_batch_size=4, validation_rows=2)
TRAIN = SplitPlan(by="none", only="train")
STRICT = CHATML.replace(
    "{% for m in messages %}",
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}",
)
# What anybody would write: the model is asked in its chat template, or its reward read at the end of the conversation.
PLAIN = """
import json, sys
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

for task in json.load(sys.stdin):
    adapter = task["base"] != task["folder"]
    tokenizer = AutoTokenizer.from_pretrained(task["base"])
    kind = AutoModelForSequenceClassification if task["reward"] else AutoModelForCausalLM
    model = kind.from_pretrained(task["base"])
    model = (PeftModel.from_pretrained(model, task["folder"]) if adapter else model).eval()
    results = []
    for messages in task["chats"]:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=not task["reward"])
        inputs = tokenizer(text.rstrip() if task["reward"] else text, add_special_tokens=False, return_tensors="pt")
        with torch.no_grad():
            if task["reward"]:
                results.append(model(**inputs).logits.item())
            else:
                ids = model.generate(**inputs, max_new_tokens=12, do_sample=False, num_beams=1)[0]
                end = "" if ids[-1] == tokenizer.eos_token_id else "..."
                answer = tokenizer.decode(ids[inputs["input_ids"].shape[1]:], skip_special_tokens=True)
                results.append(answer + end)
    print(json.dumps(results))
assert not any(name.startswith("genai_lab") for name in sys.modules)
"""


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str | None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def written(messages: Sequence[dict[str, Any]], form: str) -> list[dict[str, Any]]:
    """The messages in the form of a file."""
    if form == "OpenAI":
        return list(messages)
    return [{"from": SHAREGPT.get(turn["role"], turn["role"]), "value": turn["content"]} for turn in messages]


def talk(number: int) -> list[dict[str, Any]]:
    return [
        user(f"{WORDS[number % 6]} and {WORDS[6 + number // 6]}?"), assistant(FIRST), user("yes?"), assistant(LAST),
    ]  # fmt: skip


def pair(number: int, form: str) -> dict[str, Any]:
    prompt, chosen, rejected = talk(number)[:1], assistant(LAST), assistant(FIRST)
    if form == "OpenAI":
        return {"chosen": [*prompt, chosen], "rejected": [*prompt, rejected]}
    sides = {"chosen": written([chosen], form)[0], "rejected": written([rejected], form)[0]}
    return {"conversations": written(prompt, form), **sides}


def saved(folder: Path, name: str, rows: Sequence[Any]) -> Path:
    path = folder / f"{name}.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabContext]:
    folder = tmp_path_factory.mktemp("chat")
    strict = tiny(folder / "strict", "llama", chat=True)
    (strict / "chat_template.jinja").write_text(STRICT)
    opened_lab = open_lab(
        tmp_path_factory.mktemp("home"), chat=tiny(folder / "chat", "llama", chat=True), strict=strict
    )
    for form in FORMS:
        key = "messages" if form == "OpenAI" else "conversations"
        talks = [{key: written(talk(number), form)} for number in range(36)]
        datasets.import_file(opened_lab, saved(folder, f"talks-{form}", talks), f"talks-{form}", split=TRAIN)
        pairs = [pair(number, form) for number in range(36)]
        datasets.import_file(opened_lab, saved(folder, f"pairs-{form}", pairs), f"pairs-{form}", split=TRAIN)
    yield opened_lab
    opened_lab.close()


def chat_plan(form: str, objective: str, turns: str = "") -> TrainingPlan:
    """Last answers and OpenAI's pairs by an adapter, the others with all weights."""
    name = f"{'talks' if objective == 'instruction' else 'pairs'}-{form}"
    settings = {"turns": turns} if turns else {}
    method = "lora" if turns == "last" or (form == "OpenAI" and not turns) else "full"
    length = SHORT if turns else replace(SHORT, max_steps=20, eval_steps=20)
    return TrainingPlan("chat", (DatasetSpec(name),), objective, method, objective_settings=settings, training=length)


CASES = [
    *((form, "instruction", turns) for form in FORMS for turns in ("all", "last")),
    *((form, objective, "") for form in FORMS for objective in ("dpo", "reward")),
]


def answers_without_the_lab(tasks: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """What each task's model says to its chats, or how it scores them, in a process that does not know the lab."""
    process = subprocess.run(
        [sys.executable, "-I", "-c", PLAIN], input=json.dumps(tasks), capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return [json.loads(line) for line in process.stdout.splitlines()]


def spelled(answer: Any) -> Any:
    """A text of the tiny tokenizer, which writes a space behind every letter."""
    return answer.replace(" ", "") if isinstance(answer, str) else answer


@pytest.fixture(scope="module")
def answers(lab: LabContext, finish_job: Callable[[int], Any]) -> dict[tuple[str, str, str], list[Any]]:
    """What each case's exported model says to two chats, in a process that does not know the lab."""
    base = str(models.show(lab, "chat").card.path)
    tasks = []
    for case in CASES:
        run = training.start(lab, chat_plan(*case))
        finish_job(run.job_id)
        folder = Path(models.show(lab, run.model).card.path or "")
        whole = (folder / "config.json").is_file()
        reward = case[1] == "reward"
        chats = [[*talk(3)[:1], assistant(side)] for side in (LAST, FIRST)] if reward else [talk(3)[:1], talk(3)[:3]]
        tasks.append({"folder": str(folder), "base": str(folder) if whole else base, "reward": reward, "chats": chats})
    said = [[spelled(answer) for answer in answers] for answers in answers_without_the_lab(tasks)]
    return dict(zip(CASES, said, strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_all_answers_or_the_last_are_given_in_chat_as_they_were_learned(form: str, answers: dict[Any, Any]) -> None:
    assert answers[form, "instruction", "all"] == [FIRST, LAST]
    first, last = answers[form, "instruction", "last"]
    assert last == LAST
    assert first != FIRST


@pytest.mark.parametrize("form", FORMS)
def test_preferences_are_learned_from_files_of_chats(form: str, answers: dict[Any, Any]) -> None:
    preferred, other = answers[form, "reward", ""]
    assert preferred > other
    assert answers[form, "dpo", ""][0][:2] == LAST[:2]  # of a base that could not write before


def odd(*messages: dict[str, Any], good: int = 8) -> list[dict[str, Any]]:
    """A file of talks, the last of which is this one."""
    return [*({"messages": talk(number)} for number in range(good)), {"messages": list(messages)}]


def batch_of(lab: LabContext, folder: Path, rows: Sequence[Any], model: str = "chat", turns: str = "all") -> FirstBatch:
    name = f"{folder.name}-{len(list(folder.iterdir()))}"
    version = datasets.import_file(lab, saved(folder, name, rows), name, split=TRAIN)
    plan = TrainingPlan(
        model, (DatasetSpec(version.name),), "instruction", objective_settings={"turns": turns}, training=ONCE
    )
    return first_batch(lab, plan)


SYSTEM, TOOL = {"role": "system", "content": "tea"}, {"role": "tool", "content": "sun"}
CALL = {"function": {"name": "sky", "arguments": "{}"}}
WORKING = {
    "system": (odd(SYSTEM, *talk(1)), 9),
    "developer": (odd({"role": "developer", "content": "tea"}, *talk(1)), 9),
    "tools": (odd(user("sky?"), assistant(None, tool_calls=[CALL]), TOOL, assistant("sun")), 9),
    "ends in a user turn": (odd(*talk(1), user("tea?")), 9),
    "two user turns": (odd(user("one?"), *talk(1)), 9),
    "begins with an answer": (odd(assistant("tea"), *talk(1)), 9),
    "empty user turn": (odd(user(""), assistant("tea")), 9),
    "empty answer before another": (odd(user("tea?"), assistant(""), user("yes?"), assistant("no")), 9),
    "longer than the length": (odd(user("tea " * 90), *talk(1)[1:]), 9),
    "an answer longer than the length": (odd(user("tea?"), assistant("tea " * 90)), 9),
    "without an answer": (odd(user("tea?")), 8),
    "answer of white space": (odd(user("tea?"), assistant(" \n")), 8),
    "system alone": (odd(SYSTEM), 8),
    "answer alone": (odd(assistant("tea")), 8),
}


@pytest.mark.parametrize("name", WORKING)
def test_odd_conversations_are_learned_or_left_out_by_their_number(name: str, lab: LabContext, tmp_path: Path) -> None:
    rows, count = WORKING[name]
    prepared = batch_of(lab, tmp_path, rows).prepared
    held = len(prepared.validation)
    assert len(prepared.train[0]) + prepared.left_out + held == len(rows)
    assert prepared.left_rows == ((len(rows),) if count < len(rows) else ())
    assert prepared.cut == name.count("longer than")
    tokenizer = load_tokenizer(models.show(lab, "chat").card.path or Path())
    for example in prepared.train[0]:
        ends = example.labels.count(tokenizer.eos_token_id)
        assert ends in ((0, 1, 2) if example.cut else (1, 2))
        assert sum(label != IGNORED for label in example.labels) > 2 * ends  # an end alone is never learned


REFUSED = {
    "unknown role": (odd({"role": "narrator", "content": "x"}), "Row 9, column 'messages': message 1 has the role"),
    "no messages": ([*odd(*talk(1)), {"messages": []}], "Row 10, column 'messages': the conversation is empty"),
    "picture": (odd(user("?"), {"role": "assistant", "content": [{"type": "image_url"}]}), "Row 9, .* only text"),
    "never an answer": ([{"messages": [user("tea?")]}] * 9, "None of the 8 rows .* each conversation asks something"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_learned_is_one_sentence_with_its_row(name: str, lab: LabContext, tmp_path: Path) -> None:
    rows, sentence = REFUSED[name]
    with pytest.raises(BadRows if sentence.startswith("Row") else LabError, match=sentence):
        batch_of(lab, tmp_path, rows)


@pytest.mark.parametrize("turns", ["all", "last"])
def test_a_conversation_that_the_template_refuses_is_named_by_its_row(
    turns: str, lab: LabContext, tmp_path: Path
) -> None:
    rows = odd(SYSTEM, *talk(1))
    with pytest.raises(LabError, match=r"^Row 9 of \S+@1: The chat template of the base refuses .* must alternate"):
        batch_of(lab, tmp_path, rows, "strict", turns)
    assert batch_of(lab, tmp_path, odd(*talk(1)), "strict", turns).prepared.left_out == 0


@pytest.mark.parametrize("objective", ["dpo", "reward"])
def test_odd_pairs_are_learned_or_named_by_their_row(objective: str, lab: LabContext, tmp_path: Path) -> None:
    sides = [
        ([SYSTEM, user("tea?"), assistant("yes")], [SYSTEM, user("tea?"), assistant("no")]),
        ([user("sky?"), assistant(None, tool_calls=[CALL]), TOOL, assistant("sun")],
         [user("sky?"), assistant(None, tool_calls=[CALL]), TOOL, assistant("moon")]),
        ([user("tea?"), assistant("yes")], [user("tea?"), assistant("")]),
        ([user("tea " * 90), assistant("yes")], [user("tea " * 90), assistant("no")]),
    ]  # fmt: skip
    rows = [pair(number, "OpenAI") for number in range(30)] + [
        {"chosen": chosen, "rejected": rejected} for chosen, rejected in sides
    ]
    version = datasets.import_file(lab, saved(tmp_path, f"odd-{objective}", rows), f"odd-{objective}", split=TRAIN)
    plan = replace(chat_plan("OpenAI", objective), data=(DatasetSpec(version.name),), training=ONCE)
    prepared = first_batch(lab, plan).prepared
    assert len(prepared.train[0]) + len(prepared.validation) >= 24
    with pytest.raises(LabError, match=r"^Row 3[12] of \S+@1: The chat template of the base refuses"):
        first_batch(lab, replace(plan, model="strict", training=replace(ONCE, seed=2)))
