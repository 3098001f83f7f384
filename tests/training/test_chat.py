"""Models with a chat template are tuned in it: the very tokens that a chat sends, and only answers are learned."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.errors import BadSetting, LabError, ModelError
from genai_lab.models import Prompt
from genai_lab.models.chat_tokens import chat_pair, mark_answers
from genai_lab.models.reward_model import RewardModel
from genai_lab.services import datasets, models, training
from genai_lab.services.training import resolve
from genai_lab.services.training.batch_preview import first_batch
from genai_lab.services.training.preparation import prepare
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from genai_lab.training.completion_scores import metric_for
from genai_lab.training.example_files import read_examples, write_examples
from genai_lab.training.examples import IGNORED, EncodedExample, TextExample, TextPair, TokenFeatures
from genai_lab.training.loading import load_tokenizer
from genai_lab.training.objectives import OBJECTIVES
from tests.tiny import open_lab
from tests.training.models import CHATML, WORDS, context_for, encoded, tiny

TALK = (
    {"role": "system", "content": "red"},
    {"role": "user", "content": "one and two?"},
    {"role": "assistant", "content": "two one"},
    {"role": "user", "content": "yes?"},
    {"role": "assistant", "content": "no"},
)
SHORT = Training(max_steps=4, per_device_batch_size=4, max_length=120, seed=2, validation_rows=6, score_rows=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("chat") / "chat", "llama", chat=True)


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def lab(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabContext]:
    path = tmp_path_factory.mktemp("plain")
    opened_lab = open_lab(tmp_path_factory.mktemp("home"), chat=folder, plain=tiny(path / "plain", "llama"))
    pairs = [
        {"ask": f"{a} and {b}", "answer": f"{b} {a}", "worse": f"{a} {b}", "split": "test" if n % 4 == 0 else "train"}
        for n, (a, b) in enumerate((a, b) for a in WORDS[:6] for b in WORDS[6:12])
    ]
    split = SplitPlan(by="column", column="split")
    roles = {"input": ["ask"], "reference": ["answer"]}
    datasets.import_rows(opened_lab, pairs, "pairs", {"kind": "test"}, mapping=roles, split=split)
    roles = {"input": ["ask"], "chosen": ["answer"], "rejected": ["worse"]}
    datasets.import_rows(opened_lab, pairs, "votes", {"kind": "test"}, mapping=roles, split=split)
    talks = [{"talk": [*TALK[:-1], {"role": "assistant", "content": word}]} for word in WORDS]
    datasets.import_rows(
        opened_lab, talks, "talks", {"kind": "test"}, mapping={"messages": ["talk"]}, split=SplitPlan(by="ratio")
    )
    yield opened_lab
    opened_lab.close()


def rendered(tokenizer: Any, messages: Any, ask: bool = False) -> list[int]:
    """transformers' own."""
    text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=ask)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def learned(features_of_text: TokenFeatures) -> list[int]:
    return [label for label in features_of_text.labels if label != IGNORED]


def features(text: Any, tokenizer: Any, training: Training = SHORT, objective: str = "instruction") -> Any:
    context = context_for(tokenizer, "decoder-only", training, objective)
    [example] = OBJECTIVES.get(objective).encode([text], context)
    return OBJECTIVES.get(objective).features(example, context, random.Random(0))


def test_an_instruction_is_learned_as_the_template_writes_it(tokenizer: Any) -> None:
    request = TALK[:2]
    features_of_text = features(TextExample("", "two one", request), tokenizer)
    answer = [*tokenizer("two one", add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    assert features_of_text.ids == rendered(tokenizer, TALK[:3])
    assert learned(features_of_text) == answer
    prefix = rendered(tokenizer, request, ask=True)
    assert features_of_text.ids[: len(prefix)] == prefix
    assert features_of_text.ids[len(prefix) : len(prefix) + len(answer)] == answer
    assert features_of_text.labels[len(prefix) - 1] == answer[0]


@pytest.mark.parametrize(("all_turns", "answers"), [(True, ["two one", "no"]), (False, ["no"])])
def test_of_a_conversation_all_answers_or_the_last_one_are_learned(
    tokenizer: Any, all_turns: bool, answers: list[str]
) -> None:
    text = TextExample("", messages=TALK, full_conversation=True) if all_turns else TextExample("", "no", TALK[:-1])
    features_of_text = features(text, tokenizer)
    assert features_of_text.ids == rendered(tokenizer, TALK)
    ends = [[*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for answer in answers]
    assert learned(features_of_text) == [token for answer in ends for token in answer]
    for index, answer in zip((2, 4) if all_turns else (4,), ends, strict=True):
        start = len(rendered(tokenizer, TALK[:index], ask=True))
        assert features_of_text.labels[start - 1 : start - 1 + len(answer)] == answer


def test_marks_stay_with_the_items_that_a_run_keeps(tokenizer: Any, tmp_path: Path) -> None:
    texts = [TextExample("", messages=TALK, full_conversation=True), TextExample("one", " two")]
    items = encoded(texts, tokenizer, "decoder-only", SHORT)
    write_examples(tmp_path / "items.npz", items, EncodedExample)
    assert read_examples(tmp_path / "items.npz", EncodedExample) == items
    supplied, expected = items[0].last_answer()
    assert supplied == rendered(tokenizer, TALK[:-1], ask=True)
    assert expected == [*tokenizer("no", add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    assert metric_for(items) == "rouge"


@pytest.mark.parametrize("length", [8, 20, 40, 60, 200])
def test_what_is_too_long_is_cut_around_its_last_answer(tokenizer: Any, length: int) -> None:
    for text in (TextExample("", messages=TALK, full_conversation=True), TextExample("", "two one " * 6, TALK[:2])):
        features_of_text = features(text, tokenizer, replace(SHORT, max_length=length))
        assert len(features_of_text.ids) <= length
        assert learned(features_of_text)
        assert len(features_of_text.labels) == len(features_of_text.ids)


def test_both_sides_of_a_pair_are_read_in_the_template(tokenizer: Any) -> None:
    text = TextPair("", "two one", "one two", TALK[:2])
    for objective in ("dpo", "reward"):
        features_of_text = features(text, tokenizer, objective=objective)
        for side, answer in ((features_of_text.chosen, "two one"), (features_of_text.rejected, "one two")):
            full = rendered(tokenizer, [*TALK[:2], {"role": "assistant", "content": answer}])
            assert side.ids == full[: len(side.ids)]
            assert side.ids[-1] == tokenizer.eos_token_id
            if objective == "dpo":
                assert learned(side) == side.ids[len(rendered(tokenizer, TALK[:2], ask=True)) :]


def test_a_template_without_an_end_is_given_the_end_token(tokenizer: Any) -> None:
    plain = load_tokenizer(Path(tokenizer.name_or_path))
    plain.chat_template = (
        CHATML.replace("'<|im_start|>' +", "").replace("+ '<|im_end|>'", "").replace("<|im_start|>", "")
    )
    marks = mark_answers(plain, TALK[:3])
    assert marks.ids[-1] == plain.eos_token_id
    assert marks.answers[-1][1] == len(marks.ids)


def test_a_template_that_answers_elsewhere_than_it_asks_is_one_sentence(tokenizer: Any) -> None:
    other = load_tokenizer(Path(tokenizer.name_or_path))
    other.chat_template = CHATML.replace("assistant\\n", "tool\\n")
    with pytest.raises(ModelError, match="choose the format plain"):
        chat_pair(other, TALK[:2], "two one", 60)


def plan(model: str, dataset: str, objective: str = "instruction", **options: Any) -> TrainingPlan:
    templates = ("plain",) if dataset == "pairs" else ()
    return TrainingPlan(model, (DatasetSpec(dataset, templates),), objective, training=SHORT, **options)


@pytest.mark.parametrize(("dataset", "objective"), [("pairs", "instruction"), ("votes", "dpo"), ("votes", "reward")])
def test_by_default_a_chat_model_is_tuned_in_chat_and_others_in_plain_text(
    lab: LabContext, dataset: str, objective: str
) -> None:
    preview = first_batch(lab, plan("chat", dataset, objective))
    assert preview.form == "Read in the chat template of chat."
    assert "".join(text for text, _ in preview.rows[0].tokens).startswith("<|im_start|>user\n")
    plain = first_batch(lab, plan("chat", dataset, objective, format="plain"))
    assert plain.form == "Read as plain text, without the chat template of chat."
    assert "<|im_start|>" not in "".join(text for text, _ in plain.rows[0].tokens)
    assert first_batch(lab, plan("plain", dataset, objective)).form == "Read as plain text."
    with pytest.raises(LabError, match="no chat template"):
        resolve(lab, plan("plain", dataset, objective, format="chat"))


def test_what_is_learned_begins_with_what_a_chat_sends(lab: LabContext) -> None:
    generator = models.load(lab, "chat")
    tokenizer = load_tokenizer(models.show(lab, "chat").card.path or Path())
    requested_plan = plan("chat", "pairs")
    prepared = prepare(resolve(lab, requested_plan), tokenizer)
    asks = [f"{a} and {b}" for a in WORDS[:6] for b in WORDS[6:12]]
    chats = [Prompt(messages=({"role": "user", "content": ask},), mode="chat") for ask in asks]
    sent = {generator.context_ids(chat) for chat in chats}
    assert {tuple(item.ids) for item in prepared.train[0]} <= sent


def test_conversations_are_learned_without_a_template_of_prompts(lab: LabContext) -> None:
    tokenizer = load_tokenizer(models.show(lab, "chat").card.path or Path())
    for options, count in (({}, 2), ({"objective_settings": {"turns": "last"}}, 1)):
        requested_plan = plan("chat", "talks", **options)
        prepared = prepare(resolve(lab, requested_plan), tokenizer)
        item = prepared.train[0][0]
        talks = [rendered(tokenizer, [*TALK[:-1], {"role": "assistant", "content": word}]) for word in WORDS]
        assert item.ids + item.target in talks
        assert item.labels.count(tokenizer.eos_token_id) == count
    requested_plan = plan("plain", "talks", objective_settings={"turns": "last"})
    own_result = load_tokenizer(models.show(lab, "plain").card.path or Path())
    prepared = prepare(resolve(lab, requested_plan), own_result)
    written = own_result("\n\nUser: yes?\n\nAssistant:", add_special_tokens=False)["input_ids"]
    assert prepared.train[0][0].ids[-len(written) :] == written


def test_a_reward_model_scores_in_the_form_that_it_was_trained_in(
    lab: LabContext, finish_job: Callable[[int], Any], tmp_path: Path
) -> None:
    for form in ("by model", "plain"):
        started_run = training.start(lab, plan("chat", "votes", "reward", method="full", format=form))
        finish_job(started_run.job_id)
        model = RewardModel(models.show(lab, started_run.model).card)
        ids = model.coded("one and two", "two one")
        chat = [{"role": "user", "content": "one and two"}, {"role": "assistant", "content": "two one"}]
        assert (ids == rendered(model.tokenizer, chat)[:-1]) == (form == "by model")
        assert model.coded([chat[0]], "two one") == ids
    config = Path(models.show(lab, started_run.model).card.path or "") / "config.json"
    content = json.loads(config.read_text())
    assert content.pop("prompt_format") == "plain"
    config.write_text(json.dumps(content))  # as runs were written before they named their form
    assert RewardModel(models.show(lab, started_run.model).card).coded("one and two", "two one") == ids


def test_a_form_that_is_none_is_refused_and_old_plans_load() -> None:
    with pytest.raises(BadSetting, match="one of by model, chat, plain"):
        plan("chat", "pairs", format="markdown")
    old = {"model": "m", "data": ["d"], "objective": "instruction", "training": {"steps": 3}}
    assert TrainingPlan.from_dict(old).format == "by model"
    assert TrainingPlan.from_yaml("{model: m, data: [d], format: chat}").format == "chat"
    assert "format" not in TrainingPlan.from_dict(old).to_yaml()
    assert "format: plain" in replace(TrainingPlan.from_dict(old), format="plain").to_yaml()
