"""Datasets of conversations: what is asked, what is answered, what is preferred, and rows that cannot be read."""

import json
from pathlib import Path
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.data import BadRows
from genai_lab.data.conversations import Message
from genai_lab.errors import LabError
from genai_lab.prompts import Template, bind, render
from genai_lab.services import datasets
from genai_lab.services.feedback import sources
from genai_lab.services.training.resolution import VersionSource
from genai_lab.training.preference_data import read_votes

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "2 and 2?"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "And one more?"},
    {"role": "assistant", "content": "5"},
]
SHAREGPT = [
    {"from": {"user": "human", "assistant": "gpt"}.get(item["role"], item["role"]), "value": item["content"]}
    for item in TALK
]


def imported(lab: LabContext, rows: list[dict[str, Any]], name: str, **options: Any) -> datasets.VersionView:
    return datasets.import_rows(lab, rows, name, {"kind": "rows"}, **options)


@pytest.mark.parametrize("row", [{"messages": TALK}, {"conversations": SHAREGPT}], ids=["OpenAI", "ShareGPT"])
def test_a_conversation_asks_with_its_turns_and_is_answered_by_its_last(lab: LabContext, row: dict[str, Any]) -> None:
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


def test_a_template_does_not_show_the_answer_of_a_conversation(lab: LabContext) -> None:
    view = imported(lab, [{"messages": TALK}] * 4, "talk-answer")
    with pytest.raises(LabError, match="which is the answer that the model should find"):
        bind(Template(instruction="{{ messages }}"), view.column_names, view.roles)


def test_a_system_column_comes_before_the_prompt(lab: LabContext) -> None:
    rows = [{"system": "One word.", "question": f"Town {n}?", "answer": f"T{n}"} for n in range(4)]
    view = imported(lab, rows, "with-system")
    assert view.roles == {"system": ("system",), "reference": ("answer",), "input": ("question",)}
    (example,) = datasets.pick(lab, view.id, [1])
    template = Template(instruction="{{ input }}")
    binding = bind(template, view.column_names, view.roles)
    assert render(template, [example], chat=False, binding=binding)[0].text == "One word.\n\nTown 1?"
    assert [message["role"] for message in render(template, [example], chat=True, binding=binding)[0].messages] == [
        "system",
        "user",
    ]
    own_template = Template(system="Speak up.", instruction="{{ input }}")
    assert render(own_template, [example], chat=False, binding=binding)[0].text == "Speak up.\n\nTown 1?"


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
def test_pairs_keep_their_system_text(lab: LabContext, row: dict[str, Any]) -> None:
    view = imported(lab, [row] * 4, f"pairs-{'-'.join(row)}")
    vote = read_votes(VersionSource(lab, view), datasets.examples(lab, view.id))[0]
    assert (vote.prompt, vote.chosen, vote.rejected) == ("Be brief.\n\nTea?", "Yes.", "No.")
    assert vote.turns is not None
    assert [item.role for item in vote.turns.prompt] == ["system", "user"]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Tea?", "chosen": [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Yes."}],
         "rejected": [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "No."}]},
        {"chosen": "\n\nHuman: Tea?\n\nAssistant: Yes.", "rejected": "\n\nHuman: Tea?\n\nAssistant: No."},
        {"conversations": [{"from": "human", "value": "Tea?"}], "chosen": {"from": "gpt", "value": "Yes."},
         "rejected": {"from": "gpt", "value": "No."}},
        {"prompt": [{"role": "user", "content": "Tea?"}],
         "completions": [[{"role": "assistant", "content": "Yes."}], [{"role": "assistant", "content": "No."}]]},
    ],
    ids=["UltraFeedback", "HH", "LLaMA-Factory", "TRL"],
)  # fmt: skip
def test_annotators_see_texts_of_every_form(row: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join([json.dumps(row)] * 2))
    for task in sources.read(path, sources.Columns())[0]:
        assert (task.prompt, [option.text for option in task.options]) == ("Tea?", ["Yes.", "No."])


def test_what_annotators_cannot_be_shown_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": "Tea?", "chosen": "Yes.", "rejected": [{"role": "narrator", "content": "x"}]}] * 2
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(LabError, match=r"^Row 1: message 1 has the role 'narrator'"):
        list(sources.read(path, sources.Columns())[0])


def test_an_import_names_conversations_that_cannot_be_read(lab: LabContext, tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    rows: list[dict[str, Any]] = [{"messages": TALK}] * 4
    path.write_text("\n".join(map(json.dumps, [*rows, {"messages": [{"role": "user"}]}])))
    with pytest.raises(BadRows, match=r"Row 5, column 'messages': message 1 has no content"):
        datasets.import_file(lab, path, "talk-bad")
    view = datasets.import_file(lab, path, "talk-bad", drop_bad=True)
    assert (view.rows, view.left_out_count) == (4, 1)


def test_pairs_that_teach_nothing_are_counted(lab: LabContext) -> None:
    rows = [{"question": f"{n}?", "chosen": "yes", "rejected": "yes" if n == 2 else "no"} for n in range(4)]
    view = imported(lab, rows, "equal-pairs")
    assert view.notes == (
        "1 of 4 rows prefer a text to itself, so that nothing is learned of them; the first is row 3.",
    )
    assert len(read_votes(VersionSource(lab, view), datasets.examples(lab, view.id))) == 3


def test_a_pair_that_cannot_be_read_is_named_by_its_row(lab: LabContext) -> None:
    rows: list[dict[str, Any]] = [{"prompt": f"{n}?", "chosen": [TALK[2]], "rejected": [TALK[4]]} for n in range(4)]
    rows[2]["chosen"] = [{"role": "assistant", "content": [{"type": "image_url"}]}]
    with pytest.raises(BadRows, match=r"Row 3, column 'chosen': message 1 holds a part"):
        imported(lab, rows, "unreadable-pair")
