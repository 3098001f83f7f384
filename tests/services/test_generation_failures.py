"""Runs whose model or record fails: none stays under way, and the text that came is kept."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from genai_lab.context import LabContext
from genai_lab.decoding import Completion, Delta, Sampling, Token
from genai_lab.errors import LabError
from genai_lab.models import Prompt, Request
from genai_lab.models.fake import FakeGenerator, FakeStream
from genai_lab.services import datasets, generation, matrix
from genai_lab.services.evaluation import MetricSpec
from genai_lab.services.matrix import reading
from storage.runs import finish_run
from tests.services.test_matrix import worked


class OddStream(FakeStream):
    """Says the usual words; what is then known of them is changed by `change`."""

    change: ClassVar[dict[str, Any]] = {}
    fails: Exception | None = None

    def __iter__(self) -> Iterator[Delta]:
        yield from super().__iter__()
        if self.fails is not None:
            raise self.fails

    @property
    def completions(self) -> tuple[Completion, ...]:
        return tuple(replace(completion, **self.change) for completion in super().completions)


@pytest.fixture
def odd(lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> type[OddStream]:
    """The lab's models all say what OddStream says."""

    class Stream(OddStream):
        pass

    class Odd(FakeGenerator):
        def submit(self, requests: Any) -> list[FakeStream]:
            return [Stream(request, self) for request in requests]

    monkeypatch.setattr("genai_lab.services.models.load", lambda lab, name, *_: Odd())
    return Stream


UNSAVABLE: dict[str, dict[str, Any]] = {
    "a number beyond any": {"prompt_tokens": 10**20},
    "seconds that are none": {"seconds": "soon"},
    "half a character": {"text": "half \ud83d"},
    "tokens that are none": {"tokens": (Token(None, "a", logprob=complex(1)),)},  # type: ignore[arg-type]
    "notes that are none": {"notes": (object(),)},
}


@pytest.mark.parametrize("case", UNSAVABLE)
def test_run_that_cannot_be_saved_whole_fails_and_keeps_its_text(
    case: str, lab: LabContext, odd: type[OddStream]
) -> None:
    odd.change = UNSAVABLE[case]
    live = generation.start(lab, "tiny", Prompt("Once"), Sampling(max_new_tokens=4, seed=1), return_logits=False)
    with pytest.raises(LabError, match=r"could not be saved whole .*; its text is kept\."):
        live.wait()
    assert live.status == "failed"
    assert live.run_id not in generation.active_generations(lab)
    view = generation.run(lab, live.run_id)
    assert view.status == "failed"
    assert view.error is not None
    assert "could not be saved whole" in view.error
    [completion] = view.completions
    assert completion.finish_reason == "error"
    assert completion.text == live.completions[0].text.replace("\ud83d", "\ufffd")
    assert len(completion.text) > 4


def test_model_that_fails_in_its_own_way_ends_its_run(lab: LabContext, odd: type[OddStream]) -> None:
    odd.fails = RuntimeError("the device is gone")
    live = generation.start(lab, "tiny", Prompt("Once"), Sampling(max_new_tokens=4, seed=1), return_logits=False)
    with pytest.raises(LabError, match=r"not foreseen \(RuntimeError: the device is gone\)"):
        live.wait()
    view = generation.run(lab, live.run_id)
    assert (view.status, view.completions[0].text) == ("failed", live.completions[0].text)


def test_watching_several_runs_ends_where_one_fails(lab: LabContext, odd: type[OddStream]) -> None:
    odd.change = {"prompt_tokens": 10**20}
    jobs = [generation.GenerationSpec("tiny", Prompt("Once"), Sampling(max_new_tokens=2, seed=seed)) for seed in (1, 2)]
    lives = generation.start_many(lab, jobs)
    ends = [item for _, item in generation.merge_streams(lives) if not isinstance(item, Delta)]
    assert len(ends) == 2
    assert all("could not be saved whole" in str(end) for end in ends)
    stream = odd(Request(Prompt("Once"), Sampling(max_new_tokens=2)), FakeGenerator())
    stream.fails = RuntimeError("gone")
    [end] = [item for _, item in generation.merge_streams([stream]) if not isinstance(item, Delta)]  # type: ignore[list-item]
    assert isinstance(end, LabError)


def test_database_that_takes_nothing_at_first_gets_the_text_at_the_second_try(
    lab: LabContext, odd: type[OddStream], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def flaky(*args: Any, **fields: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("disk I/O error")
        finish_run(*args, **fields)

    monkeypatch.setattr("storage.runs.finish_run", flaky)
    live = generation.start(lab, "tiny", Prompt("Once"), Sampling(max_new_tokens=4, seed=1), return_logits=False)
    with pytest.raises(LabError, match="disk I/O error"):
        live.wait()
    assert generation.run(lab, live.run_id).completions[0].text == live.completions[0].text


def test_notes_and_reasoning_are_kept_with_the_run(lab: LabContext, odd: type[OddStream]) -> None:
    odd.change = {"notes": ("The server takes no seed.",), "reasoning_tokens": 7, "finish_reason": "content filter"}
    view = generation.generate(lab, "tiny", Prompt("Once"), Sampling(max_new_tokens=4, seed=1))
    [completion] = view.completions
    assert (completion.notes, completion.reasoning_tokens) == (("The server takes no seed.",), 7)
    assert completion.finish_reason == "content filter"
    stats = generation.stats_of(lab, view)
    assert stats.completion_tokens == 4


@pytest.fixture
def rows(lab: LabContext) -> str:
    supplied = [{"text": f"review {n}", "sentiment": "good"} for n in range(4)]
    roles = {"input": ["text"], "label": ["sentiment"]}
    return datasets.import_rows(lab, supplied, "odd-reviews", {"kind": "test"}, mapping=roles).name


@pytest.mark.parametrize(
    ("change", "fails", "error", "score"),
    [
        ({"text": "good", "prompt_tokens": 10**20}, None, None, 1.0),
        ({"text": "half \ud83d"}, None, None, 0.0),
        ({"text": "good", "finish_reason": "content filter"}, None, "content filter", 0.0),
        ({"text": "good"}, RuntimeError("gone"), "RuntimeError", 0.0),
        ({"text": "good"}, LabError("out of memory"), "out of memory", 0.0),
    ],
)
def test_cell_keeps_what_came_and_scores_whole_answers_alone(
    change: dict[str, Any],
    fails: Exception | None,
    error: str | None,
    score: float,
    lab: LabContext,
    odd: type[OddStream],
    rows: str,
) -> None:
    odd.change, odd.fails = change, fails
    settings = (Sampling(greedy=True, max_new_tokens=4),)
    plan = matrix.MatrixPlan(
        dataset=rows, models=("tiny",), templates=("classify-review",), shots=(0,), samplings=settings, rows=4,
        metrics=(MetricSpec("exact_match"),), use_cache=False,
    )  # fmt: skip
    started_matrix = matrix.start(lab, plan)
    worked(lab, started_matrix)
    view = matrix.show(lab, started_matrix.run_id)
    assert view.cells[0].system.status == "finished"
    predictions = reading.predictions(lab, view, view.cells[0].system.id, reading.figures(view)[0])
    assert [item.text for item in predictions] == [change["text"].replace("\ud83d", "\ufffd")] * 4
    assert [item.value for item in predictions] == [score] * 4
    assert all((item.error is None) if error is None else (error in (item.error or "")) for item in predictions)
