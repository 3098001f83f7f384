"""Datasets of conversations: what is asked, what is answered, what is preferred, and rows that cannot be read."""

from typing import Any

import pytest

from genai_lab.data.conversations import Message
from genai_lab.errors import LabError
from genai_lab.lab import Lab
from genai_lab.prompts import Template, bind, render
from genai_lab.services import datasets
from genai_lab.services.training import preferences

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "2 and 2?"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "And one more?"},
    {"role": "assistant", "content": "5"},
]
SHAREGPT = [
    {"from": {"user": "human", "assistant": "gpt"}.get(one["role"], one["role"]), "value": one["content"]}
    for one in TALK
]


def imported(lab: Lab, rows: list[dict[str, Any]], name: str, **more: Any) -> datasets.VersionView:
    return datasets.import_rows(lab, rows, name, {"kind": "rows"}, **more)


@pytest.mark.parametrize("row", [{"messages": TALK}, {"conversations": SHAREGPT}], ids=["OpenAI", "ShareGPT"])
def test_a_conversation_asks_with_its_turns_and_is_answered_by_its_last(lab: Lab, row: dict[str, Any]) -> None:
    view = imported(lab, [row] * 4, f"talk-{next(iter(row))}")
    (example,) = datasets.pick(lab, view.id, [0])
    assert (example.references, example.input) == (("5",), "User: 2 and 2?\n\nAssistant: 4\n\nUser: And one more?")
    assert example.messages[0] == Message("system", "Be brief.")
    template = Template(instruction="{{ input }}")
    binding = bind(template, view.column_names, view.roles)
    plain = render(template, [example], chat=False, binding=binding)[0]
    assert plain.text == f"Be brief.\n\n{example.input}"
    chat = render(template, [example], chat=True, binding=binding)[0]
    assert list(chat.messages) == TALK[:-1]


def test_a_template_does_not_show_the_answer_of_a_conversation(lab: Lab) -> None:
    view = imported(lab, [{"messages": TALK}] * 4, "talk-answer")
    with pytest.raises(LabError, match="which is the answer that the model should find"):
        bind(Template(instruction="{{ messages }}"), view.column_names, view.roles)


def test_a_system_column_comes_before_the_prompt(lab: Lab) -> None:
    rows = [{"system": "One word.", "question": f"Town {n}?", "answer": f"T{n}"} for n in range(4)]
    view = imported(lab, rows, "with-system")
    assert view.roles == {"system": ("system",), "reference": ("answer",), "input": ("question",)}
    (example,) = datasets.pick(lab, view.id, [1])
    template = Template(instruction="{{ input }}")
    binding = bind(template, view.column_names, view.roles)
    assert render(template, [example], chat=False, binding=binding)[0].text == "One word.\n\nTown 1?"
    assert [one["role"] for one in render(template, [example], chat=True, binding=binding)[0].messages] == [
        "system",
        "user",
    ]
    own = Template(system="Speak up.", instruction="{{ input }}")
    assert render(own, [example], chat=False, binding=binding)[0].text == "Speak up.\n\nTown 1?"


@pytest.mark.parametrize(
    "row",
    [
        {"system": "Be brief.", "question": "Tea?", "chosen": "Yes.", "rejected": "No."},
        {
            "system": "Be brief.",
            "conversations": [{"from": "human", "value": "Tea?"}],
            "chosen": {"from": "gpt", "value": "Yes."},
            "rejected": {"from": "gpt", "value": "No."},
        },
        {
            "chosen": [TALK[0], {"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Yes."}],
            "rejected": [TALK[0], {"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "No."}],
        },
    ],
    ids=["system column", "LLaMA-Factory", "messages"],
)
def test_pairs_keep_their_system_text(lab: Lab, row: dict[str, Any]) -> None:
    view = imported(lab, [row] * 4, f"pairs-{'-'.join(row)}")
    vote = preferences.votes(view, datasets.examples(lab, view.id))[0]
    assert (vote.prompt, vote.chosen, vote.rejected) == ("Be brief.\n\nTea?", "Yes.", "No.")
    assert vote.turns is not None
    assert [one.role for one in vote.turns.prompt] == ["system", "user"]


def test_a_pair_that_cannot_be_read_is_named_by_its_row(lab: Lab) -> None:
    rows: list[dict[str, Any]] = [{"prompt": f"{n}?", "chosen": [TALK[2]], "rejected": [TALK[4]]} for n in range(4)]
    rows[2]["chosen"] = [{"role": "assistant", "content": [{"type": "image_url"}]}]
    view = imported(lab, rows, "unreadable-pair")
    with pytest.raises(LabError, match=r"Row 3 of unreadable-pair@1 cannot be read: message 1 holds a part"):
        preferences.votes(view, datasets.examples(lab, view.id))
