"""Preferences in the shapes in which they are published."""

import json

import pytest

from genai_lab.data.pairs import sides
from genai_lab.feedback.pairs import FORMS, formed

PAIR = {"prompt": "Say hello to the guests.", "chosen": "Welcome, all of you!", "rejected": "What do you want?"}
TOLD = (PAIR["prompt"], PAIR["chosen"], PAIR["rejected"])


def cell(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("form", FORMS)
def test_what_a_campaign_exports_is_read_as_it_was(form: str) -> None:
    row = formed(PAIR | {"prompt": PAIR["prompt"] + " "} if form == "implicit" else PAIR, form)
    asked = cell(row["prompt"]) if "prompt" in row else None
    assert sides(cell(row["chosen"]), cell(row["rejected"]), asked) == TOLD


def test_a_dialogue_is_parted_after_its_last_shared_turn_of_the_assistant() -> None:
    before = "Human: Is tea hot?\n\nAssistant: Yes.\n\nHuman: How hot?\n\nAssistant:"
    asked, chosen, rejected = sides(f"{before} It is near boiling.", f"{before} It is fine.")
    assert (asked, chosen, rejected) == (before, "It is near boiling.", "It is fine.")


def test_no_word_is_cut_where_two_texts_part() -> None:
    assert sides("The tea is green", "The tea is grey") == ("The tea is", "green", "grey")
    assert sides("yes", "no") == ("", "yes", "no")
    assert sides("again", "again and more") == ("", "again", "again and more")


def test_a_conversation_is_told_turn_by_turn() -> None:
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "?"},
    ]
    first, second = ([*turns, {"role": "assistant", "content": text}] for text in ("Tell me more.", "No."))
    asked, chosen, rejected = sides(cell(first), cell(second), "what its column says")
    assert asked == "User: Hi\n\nAssistant: Hello\n\nUser: ?"
    assert (chosen, rejected) == ("Tell me more.", "No.")


def test_messages_of_either_family_are_read() -> None:
    asked = cell([{"from": "human", "value": "Hi"}])
    assert sides(cell({"from": "gpt", "value": "Hello"}), "Go away", asked) == ("Hi", "Hello", "Go away")
    several = cell(
        [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes?"}, {"from": "human", "value": "Tea"}]
    )
    assert sides("Here.", "No.", several)[0] == "User: Hi\n\nAssistant: Yes?\n\nUser: Tea"


def test_two_equal_conversations_leave_a_completion() -> None:
    same = cell([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}])
    assert sides(same, same) == ("Hi", "Hello", "Hello")


@pytest.mark.parametrize("text", ["[1] a list", "[]", '["a"]', '[{"role": "user"}]', '{"a": 1}', "[" * 5000])
def test_what_only_looks_like_messages_is_text(text: str) -> None:
    assert sides(text, "other", "asked") == ("asked", text, "other")
