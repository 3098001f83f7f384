"""Conversations and preferences in the shapes in which they are published."""

import json
from typing import Any

import pytest

from genai_lab.data.conversations import (
    Message,
    Preference,
    Unreadable,
    read_cell,
    read_exchange,
    read_exchanges,
    read_messages,
    read_preference,
    read_prompt,
    split_question,
    write_text,
)
from genai_lab.feedback.pairs import FORMS, format_pair

PAIR = {"prompt": "Say hello to the guests.", "chosen": "Welcome, all of you!", "rejected": "What do you want?"}
CALL = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}


def user(text: str) -> Message:
    return Message("user", text)


def reply(text: str) -> Message:
    return Message("assistant", text)


@pytest.mark.parametrize("coded", [False, True], ids=["value", "JSON text"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}], (user("Hi"), reply("Yes?"))),
        ([{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes?"}], (user("Hi"), reply("Yes?"))),
        ({"messages": [{"role": "user", "content": "Hi"}]}, (user("Hi"),)),
        ({"conversations": [{"from": "human", "value": "Hi"}]}, (user("Hi"),)),
        ({"from": "gpt", "value": "Yes?"}, (reply("Yes?"),)),
        ([{"role": "developer", "content": "Be brief."}], (Message("system", "Be brief."),)),
        (
            [{"role": "user", "content": [{"type": "text", "text": "He"}, {"type": "input_text", "text": "y"}, "!"]}],
            (user("Hey!"),),
        ),
        ([{"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "A"}]}],
         (reply("A"),)),
        ([{"role": "assistant", "content": None}], (reply(""),)),
        ([{"role": "assistant", "content": None, "tool_calls": [CALL]}], (reply('call weather(city="Paris")'),)),
        ([{"role": "assistant", "content": "Look:", "tool_calls": [CALL]}],
         (reply('Look:\ncall weather(city="Paris")'),)),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "now", "arguments": ""}}]}],
         (reply("call now()"),)),
        ([{"from": "function_call", "value": '{"name": "now", "arguments": {}}'},
          {"from": "observation", "value": "1"}],
         (reply("call now()"), Message("tool", "1"))),
    ],
)  # fmt: skip
def test_messages_of_every_family_are_read(value: Any, expected: tuple[Message, ...], coded: bool) -> None:
    assert read_messages(json.dumps(value) if coded else value) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "the conversation is empty"),
        ([{"role": "user"}], "message 1 has no content"),
        (
            [{"role": "user", "content": "Hi"}, {"role": "narrator", "content": "x"}],
            "message 2 has the role 'narrator'",
        ),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "message 1 holds a part of the type 'image_url'"),
        ([{"role": "user", "content": 5}], "message 1 has a content that is not text"),
        ([{"content": "Hi"}], "message 1 has no role"),
        (["Hi"], "message 1 is not an object"),
        ({"a": 1}, "the message has no role"),
    ],
)
def test_what_cannot_be_read_says_why(value: Any, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read_messages(value)


@pytest.mark.parametrize("text", ["[1] a list", "[]", '["a"]', '{"a": 1}', "[" * 5000, "User: I", "", "Hi"])
def test_what_only_looks_like_messages_is_text(text: str) -> None:
    assert read_messages(text) is None


def test_a_cell_of_another_kind_is_no_conversation() -> None:
    assert [read_cell(value) for value in (["a", "b"], {"a": 1}, 3, None)] == [None] * 4
    assert read_cell([{"role": "user", "content": "Hi"}]) == (user("Hi"),)


def test_a_dialogue_that_is_written_out_is_read_in_turns() -> None:
    text = "\n\nHuman: Is tea hot?\nReally?\n\nAssistant: Yes.\n\nHuman: How hot?\n\nAssistant: Very."
    assert read_messages(text) == (user("Is tea hot?\nReally?"), reply("Yes."), user("How hot?"), reply("Very."))
    assert read_messages("Human: Is tea hot?\n\nAssistant:") == (user("Is tea hot?"),)
    turns = (Message("system", "Be brief."), user("Hi"), reply("Yes?"), user("Tea"))
    assert read_messages(write_text(turns[1:], cue=True)) == turns[1:]


def test_the_last_answer_has_all_turns_before_it() -> None:
    turns = (Message("system", "Be brief."), user("1"), reply("one"), user("2"), reply("two"), user("3"))
    exchange = read_exchange(turns)
    assert (exchange.prompt, exchange.answer) == (turns[:4], "two")
    assert read_exchange(turns[:2]).answer is None
    assert [(len(read_exchange.prompt), read_exchange.answer) for read_exchange in read_exchanges(turns)] == [
        (2, "one"),
        (4, "two"),
    ]
    assert split_question(turns[:4]) == (turns[1:3], "2")
    assert split_question(turns[:3]) == ((), "User: 1\n\nAssistant: one")


def test_several_turns_are_written_with_their_roles() -> None:
    assert write_text((user("Hi"),), cue=True) == "Hi"
    assert write_text((Message("system", "Be brief."), user("Hi")), cue=True) == "Be brief.\n\nHi"
    turns = (Message("system", "Be brief."), user("Hi"), reply("Yes?"), user("Tea"))
    assert write_text(turns) == "Be brief.\n\nUser: Hi\n\nAssistant: Yes?\n\nUser: Tea"
    assert write_text(turns, cue=True).endswith("User: Tea\n\nAssistant:")
    assert write_text(()) == ""


def pair_texts(preference: Preference) -> tuple[str, str, str]:
    return write_text(preference.prompt), write_text(preference.chosen), write_text(preference.rejected)


@pytest.mark.parametrize("form", FORMS)
def test_what_a_campaign_exports_is_read_as_it_was(form: str) -> None:
    row = format_pair(PAIR | {"prompt": PAIR["prompt"] + " "} if form == "implicit" else PAIR, form)
    prompt = read_prompt(row, ["prompt"]) if "prompt" in row else None
    assert pair_texts(read_preference(row["chosen"], row["rejected"], prompt)) == tuple(PAIR.values())


@pytest.mark.parametrize(
    "row",
    [
        {"chosen": "\n\nHuman: Joke?\n\nAssistant: Sure.", "rejected": "\n\nHuman: Joke?\n\nAssistant: No."},
        {"prompt": "Human: Joke?\n\nAssistant:", "chosen": "Sure.", "rejected": "No."},
        {"prompt": "Joke?", "chosen": {"from": "gpt", "value": "Sure."}, "rejected": {"from": "gpt", "value": "No."}},
        {"prompt": [{"from": "human", "value": "Joke?"}], "chosen": "Sure.", "rejected": "No."},
        {
            "prompt": "Joke?",
            "chosen": [{"role": "user", "content": "Joke?"}, {"role": "assistant", "content": "Sure."}],
            "rejected": [{"role": "user", "content": "Joke?"}, {"role": "assistant", "content": "No."}],
        },
        {
            "prompt": [{"role": "user", "content": "Joke?"}],
            "chosen": [{"role": "assistant", "content": "Sure."}],
            "rejected": '[{"role": "assistant", "content": "No."}]',
        },
    ],
)
def test_pairs_of_every_family_are_read(row: dict[str, Any]) -> None:
    prompt = read_prompt(row, ["prompt"]) if "prompt" in row else None
    assert read_preference(row["chosen"], row["rejected"], prompt) == Preference(
        (user("Joke?"),), (reply("Sure."),), (reply("No."),)
    )


def test_a_side_with_a_call_of_a_tool_keeps_its_turns() -> None:
    prompt = {"role": "user", "content": "Weather?"}
    first = [prompt, {"role": "assistant", "content": None, "tool_calls": [CALL]},
             {"role": "tool", "content": "sunny"}, {"role": "assistant", "content": "It is sunny."}]  # fmt: skip
    preference = read_preference(json.dumps(first), json.dumps([prompt, {"role": "assistant", "content": "No idea."}]))
    assert preference.prompt == (user("Weather?"),)
    assert preference.chosen == (reply('call weather(city="Paris")'), Message("tool", "sunny"), reply("It is sunny."))
    assert preference.rejected == (reply("No idea."),)
    assert "{" not in write_text(preference.chosen)


def test_a_system_column_and_a_history_stand_before_the_prompt() -> None:
    row = {"system": "Be brief.", "history": [["1?", "one"]], "instruction": "Add", "input": "1 and 2"}
    expected = (Message("system", "Be brief."), user("1?"), reply("one"), user("Add\n\n1 and 2"))
    assert read_prompt(row, ["instruction", "input"], "system") == expected
    assert read_prompt(row | {"history": '[["1?", "one"]]'}, ["instruction", "input"], "system") == expected
    assert read_prompt(row | {"input": "", "history": [], "system": ""}, ["instruction", "input"], "system") == (
        user("Add"),
    )
    with pytest.raises(Unreadable, match="turn 1 of the history"):
        read_prompt(row | {"history": [["1?"]]}, ["instruction"])


def test_a_dialogue_is_parted_after_its_last_shared_turn_of_the_assistant() -> None:
    before = "Human: Is tea hot?\nAssistant: Yes.\nHuman: How hot?\nAssistant:"
    preference = read_preference(f"{before} It is near boiling.", f"{before} It is fine.")
    assert pair_texts(preference) == (before, "It is near boiling.", "It is fine.")


def test_a_completion_that_goes_on_with_the_dialogue_is_read_in_turns() -> None:
    preference = read_preference("No.\n\nHuman: Why?\n\nAssistant: Because.", "Yes.", (user("Tea?"),))
    assert preference.chosen == (reply("No."), user("Why?"), reply("Because."))


def test_no_word_is_cut_where_two_texts_part() -> None:
    assert pair_texts(read_preference("The tea is green", "The tea is grey")) == ("The tea is", "green", "grey")
    assert pair_texts(read_preference("yes", "no")) == ("", "yes", "no")
    assert pair_texts(read_preference("again", "again and more")) == ("", "again", "again and more")


def test_two_equal_conversations_leave_a_completion() -> None:
    same = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert pair_texts(read_preference(same, same)) == ("Hi", "Hello", "Hello")
