"""Templates filled with rows: plain and chat, shots, slots, columns, and what fits into a context."""

import pytest

from genai_lab import child_process
from genai_lab.data import Example
from genai_lab.errors import LabError
from genai_lab.models import Prompt
from genai_lab.prompts import Binding, Template, bind, fill, fitting, render
from genai_lab.prompts.library import LIBRARY
from tests.prompts.rows import Reviews, row

REVIEW = Template(
    system="Answer with {{ labels | join(' or ') }}.",
    instruction="Review: {{ text }}\nLabel:",
    shot="Review: {{ text }}\nLabel: {{ reference }}",
    separator="\n",
)
BINDING = Binding(labels=("bad", "good"))
ITEM = row(90, {"text": "Fine {{ 7 * 7 }}"})


def test_a_plain_prompt_is_system_shots_and_instruction_joined() -> None:
    shots = Reviews(2).rows
    rendered = render(REVIEW, [ITEM], [shots], chat=False, binding=BINDING)[0]
    assert rendered.text == (
        "Answer with bad or good.\nReview: Review of thing0\nLabel: good\nReview: Review of thing1\nLabel: bad\n"
        "Review: Fine {{ 7 * 7 }}\nLabel:"
    )
    assert rendered.messages == ()
    assert REVIEW.stop == ("\n",)


def test_a_chat_makes_a_turn_of_every_shot_that_begins_with_the_instruction() -> None:
    rendered = render(REVIEW, [ITEM], [Reviews(1).rows], chat=True, binding=BINDING)[0]
    assert [(message["role"], message["content"]) for message in rendered.messages] == [
        ("system", "Answer with bad or good."),
        ("user", "Review: Review of thing0\nLabel:"),
        ("assistant", "good"),
        ("user", "Review: Fine {{ 7 * 7 }}\nLabel:"),
    ]
    assert rendered.prompt() == Prompt(messages=rendered.messages, mode="chat")


def test_other_shots_stand_as_text_in_the_chat() -> None:
    template = Template(instruction="Now {{ text }}", shot="{{ text }} was {{ label }}", separator=" | ")
    rendered = render(template, [row(3, {"text": "this"})], [Reviews(1).rows], chat=True)[0]
    assert rendered.messages == ({"role": "user", "content": "Review of thing0 was good | Now this"},)


def test_an_empty_shot_is_the_instruction_with_its_reference() -> None:
    template = Template(instruction="{{ text }} ->", separator="\n")
    assert render(template, [ITEM], [Reviews(1).rows], chat=False)[0].text.startswith("Review of thing0 -> good\n")


def test_white_space_is_kept_and_lines_of_statements_leave_none() -> None:
    template = Template(instruction="  a\n{% if text %}\n b\n{% endif %}\n\n{{ text }} \n")
    assert render(template, [row(0, {"text": "x"})], chat=False)[0].text == "  a\n b\n\nx \n"


def test_what_all_rows_begin_with_is_counted() -> None:
    shots = Reviews(3).rows
    items = [row(50 + i, {"text": f"{i} words"}) for i in range(3)]
    rendered = render(REVIEW, items, [shots] * 3, chat=False, binding=BINDING)
    assert {item.shared for item in rendered} == {rendered[0].text.index("0 words")}
    assert rendered[0].prompt().shared == rendered[0].shared


def test_the_turns_that_all_chats_begin_with_are_counted() -> None:
    shots = Reviews(3).rows
    items = [row(50 + i, {"text": f"{i} words"}) for i in range(3)]
    chats = render(REVIEW, items, [shots] * 3, chat=True, binding=BINDING)
    turns = chats[0].messages
    assert {chat.shared for chat in chats} == {len(turns) - 1}
    assert chats[0].prompt("chat").shared == len(turns) - 1
    assert all(chat.messages[:-1] == turns[:-1] for chat in chats)
    own = render(REVIEW, items, [shots[:2], shots[:2], shots[1:]], chat=True, binding=BINDING)
    assert {chat.shared for chat in own} == {next(n for n, turn in enumerate(turns) if turn["role"] == "user")}


def test_slots_are_found_and_bound_to_columns_and_roles() -> None:
    template = Template(
        system="{% set n = 2 %}{{ n }} {{ tone }}", instruction="{{ input }} {% for l in labels %}{{ l }}{% endfor %}"
    )
    assert template.slots == ("input", "tone")
    binding_found = bind(template, ["Tone", "head", "body"], {"input": ["head", "body"]}, ("a", "b"))
    text = render(template, [row(1, {"Tone": "warm", "head": "H", "body": "B"})], chat=False, binding=binding_found)[
        0
    ].text
    assert text == "2 warm\n\nH\nB ab"
    assert render(Template(instruction="{{ input }}"), [Example(0, {}, input="I")], chat=False)[0].text == "I"
    with pytest.raises(LabError, match=r"asks for 'tone', which the dataset does not have\. It has: head, input"):
        bind(template, ["head"], {"input": ["head"]})


def test_a_role_wins_over_a_column_of_its_name() -> None:
    columns, roles = ["instruction", "input", "output"], {"input": ("instruction",), "context": ("input",)}
    template = next(item.template for item in LIBRARY if item.name == "instruction-context")
    binding = bind(template, columns, roles)
    assert binding.columns == {"input": ("instruction",), "context": ("input",)}
    rows = [row(n, {"instruction": "Add", "input": text, "output": "3"}) for n, text in enumerate(("1 and 2", ""))]
    assert [item.text for item in render(template, rows, chat=False, binding=binding)] == ["Add\n\n1 and 2", "Add"]


@pytest.mark.parametrize("instruction", ["{{ summary }}", "{{ reference }}", "{{ label }}"])
def test_an_instruction_does_not_give_the_answer_away(instruction: str) -> None:
    with pytest.raises(LabError, match="that the model should find; only the shot may hold it"):
        bind(Template(instruction=instruction), ["text", "summary"], {"reference": ["summary"]})


def test_a_missing_column_names_the_row() -> None:
    with pytest.raises(LabError, match=r"The instruction asks for what is not there: 'text' is undefined \(row 8\)\."):
        render(Template(instruction="{{ text }}"), [row(6, {"text": "a"}), row(7, {})], chat=False)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"instruction": " "}, "The instruction is empty"),
        ({"instruction": "\ud800"}, "half a character"),
        ({"instruction": "a", "separator": "-" * 1001}, "at most 1,000 characters"),
        ({"instruction": "a", "colour": "red"}, "one of system, instruction, shot, separator"),
    ],
)
def test_bad_parts_are_refused(parts: dict[str, str], message: str) -> None:
    with pytest.raises(LabError, match=message):
        Template.from_dict(parts)


def word_count(prompt: Prompt) -> int:
    return len(prompt.text.split())


def test_fitting_says_how_many_shots_the_context_holds() -> None:
    filled = fill(REVIEW, [ITEM, row(91, {"text": "x " * 20})], [Reviews(8).rows] * 2, chat=False, binding=BINDING)
    fitted = fitting(filled, word_count, room=44)
    assert [(item.k, item.wanted) for item in fitted] == [(5, 8), (2, 8)]
    assert all(item.tokens is not None and item.tokens <= 44 for item in fitted)
    assert [item.tokens + 6 > 44 for item in fitted if item.tokens is not None] == [True, True]
    assert [item.k for item in fitting(filled, word_count, room=44, same=True)] == [2, 2]
    assert [item.k for item in fitting(filled, word_count, room=None)] == [8, 8]
    assert [(item.k, item.tokens) for item in fitting(filled, word_count, room=5)] == [(0, 13), (0, 27)]


def test_a_whole_dataset_is_rendered_by_the_process_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, shots = Reviews(500, "test", 1000).rows, Reviews(8).rows
    render(REVIEW, rows[:1], chat=False, binding=BINDING)
    monkeypatch.setattr(child_process.subprocess, "Popen", None)
    assert len(render(REVIEW, rows, [shots] * 500, chat=False, binding=BINDING)) == 500
