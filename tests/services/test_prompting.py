"""A template with a real row: datasets, samples, typed rows; the answer kept back; shots that fit."""

import pytest

from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.models import Card, Source
from genai_lab.prompts import Template
from genai_lab.prompts.few_shot import ShotSettings
from genai_lab.services import datasets, prompting, templates

REVIEW = Template(system="{{ labels | join('|') }}", instruction="{{ input }} ->", separator="\n")


@pytest.fixture(scope="module")
def dataset(lab: LabContext) -> str:
    rows = [
        {
            "Review Text": f"words {i}",
            "mood": ("good", "bad")[i % 2],
            "stars": i % 5,
            "part": "test" if i < 4 else "train",
        }
        for i in range(40)
    ]
    mapping = {"input": ["Review Text"], "label": ["mood"]}
    plan = SplitPlan(by="column", column="part")
    return datasets.import_rows(lab, rows, "moods", {"kind": "test"}, mapping=mapping, split=plan).name


def test_a_dataset_fills_the_template_and_its_shots_come_from_train(lab: LabContext, dataset: str) -> None:
    rows = prompting.rows_of(lab, dataset)
    assert (rows.split, rows.count, rows.labels) == ("test", 4, ("bad", "good"))
    preview = prompting.preview(REVIEW, rows, 1, shots=ShotSettings("balanced", 2, seed=1))
    assert preview.example.fields["Review Text"] == "words 1"
    assert {shot.split for shot in preview.shown} == {"train"}
    assert {shot.label for shot in preview.shown} == {"good", "bad"}
    assert preview.rendered.text.startswith("bad|good\nwords ")
    assert preview.rendered.text.endswith("\nwords 1 ->")
    by_column = Template(instruction="{{ review_text }} has {{ stars }} of {{ nothing_else or 5 }}")
    with pytest.raises(LabError, match="asks for 'nothing_else', which the dataset does not have"):
        prompting.preview(by_column, rows)
    for answer in ("{{ mood }}", "{{ label }}"):
        with pytest.raises(LabError, match="that the model should find"):
            prompting.preview(Template(instruction=answer), rows)
    assert dataset in [value for _, value in prompting.sources(lab)]


def test_every_shipped_template_suits_the_sample_of_its_task(lab: LabContext) -> None:
    samples = {"summarise": "summary", "classify": "sentiment", "translate": "translation", "dialogue": "reply"}
    for view in templates.find(lab):
        if view.message != "Shipped with the lab" or "input" not in view.slots or "context" in view.slots:
            continue
        rows = prompting.rows_of(lab, prompting.SAMPLE + samples.get(view.task, "qa"))
        for chat in (False, True):
            preview = prompting.preview(view.value, rows, chat=chat, shots=ShotSettings("random", 2))
            assert preview.filled.instruction.replace(preview.example.fields["input"], "").count("{{") == 0
            assert bool(preview.rendered.messages) is chat


def test_the_context_of_an_instruction_is_shown_where_there_is_one(lab: LabContext) -> None:
    view = templates.show(lab, "instruction-context")
    request = {"input": "Name the capital.", "context": "France"}
    for context, text in (("France", "Name the capital.\n\nFrance"), ("", "Name the capital.")):
        rows = prompting.rows_of(lab, prompting.TYPED, request | {"context": context})
        assert prompting.preview(view.value, rows).filled.instruction == text


def test_a_typed_row_goes_on_over_lines(lab: LabContext) -> None:
    typed = prompting.typed_row("input: Ann: Hi.\nBen: Hello.\n\nlabels: a, b\n", ("input",))
    assert typed == {"input": "Ann: Hi.\nBen: Hello.", "labels": "a, b"}
    rows = prompting.rows_of(lab, prompting.TYPED, typed)
    assert prompting.preview(REVIEW, rows).rendered.text == "a|b\nAnn: Hi.\nBen: Hello. ->"
    with pytest.raises(LabError, match="Shots come from a dataset"):
        prompting.preview(REVIEW, rows, shots=ShotSettings(k=1))


def test_the_shots_that_fit_are_counted_in_the_models_tokens(lab: LabContext, dataset: str) -> None:
    preview = prompting.preview(REVIEW, prompting.rows_of(lab, dataset), shots=ShotSettings(k=30))
    few = prompting.measure_prompts(lab, preview, "tiny", max_new_tokens=400)
    many = prompting.measure_prompts(lab, preview, "tiny", max_new_tokens=100)
    assert few.k < many.k < 30
    assert few.tokens is not None
    assert few.tokens <= 112
    assert few.rendered == preview.filled.rendered(few.k)


def test_the_form_follows_the_model() -> None:
    def card(family: str, chat: bool = False) -> Card:
        return Card("m", Source("fake", "m"), "generate", family, "none", context=100, chat=chat)  # type: ignore[arg-type]

    assert prompting.mode_of(card("decoder-only")) == "completion"
    assert prompting.mode_of(card("decoder-only", chat=True)) == "chat"
    assert prompting.mode_of(card("decoder-only", chat=True), "plain") == "completion"
    assert prompting.mode_of(card("encoder-decoder")) == "text-to-text"
    assert prompting.mode_of(card("endpoint")) == "chat"
    with pytest.raises(LabError, match="no chat template"):
        prompting.mode_of(card("encoder-decoder"), "chat")
    assert prompting.room_of(card("decoder-only"), 30) == 70
    assert prompting.room_of(card("encoder-decoder"), 30) == 99
    with pytest.raises(LabError, match="less than the 100 tokens"):
        prompting.room_of(card("decoder-only"), 100)
    assert prompting.stops(REVIEW, "completion", 2, Sampling(stop=("a",))).stop == ("a", "\n")
    assert prompting.stops(REVIEW, "chat", 2, Sampling()).stop == ()
