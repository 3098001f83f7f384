"""Runs: what is recorded of one, played again, stopped, interrupted, and run together with others."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.decoding.sequences import DecodingSequence
from genai_lab.errors import BadSetting, LabError
from genai_lab.models import Prompt
from genai_lab.services import generation, models, runs
from storage import runs as queries
from storage.tables import RunInput
from tests.tiny import loaded_generator
from tests.waiting import until

NAUGHTY = Path(__file__).resolve().parents[2] / "../shared/corpora/blns.json"


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No completion goes beyond its second token until somebody has ended it."""
    draw = DecodingSequence.uniform

    def wait_for_end(sequence: DecodingSequence) -> float:
        if len(sequence.tokens) >= 2:
            until(lambda: sequence.finished is not None)
        return draw(sequence)

    monkeypatch.setattr(DecodingSequence, "uniform", wait_for_end)


def test_a_run_records_what_it_takes_to_repeat_it(lab: LabContext) -> None:
    settings = Sampling(max_new_tokens=6, temperature=1.3, top_k=9, seed=5)
    view = generation.generate(lab, "tiny", Prompt("Once upon"), settings)
    assert (view.status, view.model, view.prompt.text) == ("finished", "tiny", "Once upon")
    assert (view.sampling, view.seed) == (settings, 5)
    assert view.model_hash == models.show(lab, "tiny").card.content_hash
    assert view.code_revision
    assert {"torch", "transformers"} <= view.packages.keys()
    completion = view.completions[0]
    assert completion.completion_tokens == len(completion.tokens) == 6
    assert completion.finish_reason == "length"


def test_replay_gives_the_same_text(lab: LabContext) -> None:
    settings = Sampling(max_new_tokens=12, temperature=1.5, num_return_sequences=3)
    first = generation.generate(lab, "tiny", Prompt("Once"), settings)
    assert first.sampling.seed == first.seed is not None
    again = generation.replay(lab, first.id)
    assert [c.text for c in again.wait()] == [c.text for c in first.completions]
    assert len({c.text for c in first.completions}) == 3
    assert generation.run(lab, again.run_id).parent_run_id == first.id


def test_a_run_goes_on_from_where_another_ended(lab: LabContext) -> None:
    full_text = generation.generate(lab, "tiny", Prompt("Once"), Sampling(max_new_tokens=8, greedy=True)).completions[0]
    prefix = tuple(token.id for token in full_text.tokens[:3] if token.id is not None)
    rest_sampling = generation.generate(
        lab, "tiny", Prompt("Once", prefix=prefix), Sampling(max_new_tokens=5, greedy=True)
    )
    assert [t.id for t in rest_sampling.completions[0].tokens] == [t.id for t in full_text.tokens[3:]]


@pytest.mark.usefixtures("endless")
def test_stop_keeps_what_was_there(lab: LabContext) -> None:
    live = generation.start(lab, "tiny", Prompt("Once"), Sampling(max_new_tokens=400, seed=3))
    for _ in live:
        generation.cancel(lab, live.run_id)
    view = generation.run(lab, live.run_id)
    assert view.status == "cancelled"
    assert view.completions[0].finish_reason == "cancelled"
    assert 1 <= view.completions[0].completion_tokens < 400
    assert live.run_id not in generation.active_generations(lab)


@pytest.mark.usefixtures("endless")
def test_leaving_the_page_stops_the_run(lab: LabContext) -> None:
    live = generation.start(lab, "tiny", Prompt("Once"), Sampling(max_new_tokens=400, seed=4))
    watching = iter(live)
    next(watching)
    watching.close()  # type: ignore[attr-defined]
    assert generation.run(lab, live.run_id).status == "cancelled"


def test_what_the_last_process_left_is_marked(lab: LabContext) -> None:
    with lab.database.session() as session:
        run = queries.add_run(
            session,
            [RunInput(role="model", model_id=models.show(lab, "tiny").id)],
            kind="generate",
            settings={"sampling": Sampling(seed=1).as_dict(), "prompt": {"text": "a", "messages": [], "prefix": []}},
            seed=1,
            status="running",
            code_revision="none",
            dirty=False,
            packages={},
            device="cpu",
        )
        run_id = run.id
    runs.end_interrupted(lab)
    view = generation.run(lab, run_id)
    assert view.status == "failed"
    assert "replay" in (view.error or "")


def test_two_watchers_share_a_batch_and_nothing_changes(lab: LabContext) -> None:
    """As two browsers do: each from a thread of its own."""
    settings = [Sampling(max_new_tokens=60, temperature=1.2, seed=seed) for seed in (11, 12)]
    alone = [generation.generate(lab, "tiny", Prompt("Once"), setting).completions[0].text for setting in settings]
    generator: Any = loaded_generator(lab.models, "tiny")
    scheduler = generator.scheduler
    scheduler.largest, both_wait = 0, threading.Event()
    scheduler.call(both_wait.wait)
    lives = [generation.start(lab, "tiny", Prompt("Once"), setting) for setting in settings]
    threads = [threading.Thread(target=live.wait) for live in lives]
    for thread in threads:
        thread.start()
    both_wait.set()
    for thread in threads:
        thread.join()
    assert [live.completions[0].text for live in lives] == alone
    assert scheduler.largest >= 2


def test_nothing_begins_unless_every_job_can(lab: LabContext) -> None:
    before = len(generation.active_generations(lab))
    jobs = [
        generation.GenerationSpec("tiny", Prompt(text), Sampling(max_new_tokens=4)) for text in ("Once", "a " * 3000)
    ]
    with pytest.raises(LabError, match="context holds 512"):
        generation.start_many(lab, jobs)
    assert len(generation.active_generations(lab)) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "empty"), ("a\ud800b", "position 1"), ("x" * 1_000_001, "1,000,001 characters")],
)
def test_a_prompt_that_cannot_be_read_is_refused(lab: LabContext, text: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        generation.start(lab, "tiny", Prompt(text), Sampling(max_new_tokens=1))


def test_settings_out_of_range_name_the_range() -> None:
    with pytest.raises(BadSetting, match=r"Temperature is 9, but it must be a number from 0.01 to 5"):
        Sampling(temperature=9)


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.full)])
def test_every_naughty_string_is_a_prompt(lab: LabContext, step: int) -> None:
    if not NAUGHTY.is_file():
        pytest.skip("needs ../shared/corpora/blns.json, the big list of naughty strings")
    strings = json.loads(NAUGHTY.read_text())[::step]
    started: list[tuple[str, generation.Live]] = []
    refused: list[str] = []
    for index, text in enumerate(strings):
        try:
            started.append(
                (text, generation.start(lab, "tiny", Prompt(text), Sampling(max_new_tokens=2, seed=1), trace=0))
            )
        except LabError as problem:
            refused.append(str(problem))
        if index % 32 == 31:
            [live.wait() for _, live in started[-32:]]
    result = [(text, live, live.wait()) for text, live in started]
    for text, live, completion in result:
        view = generation.run(lab, live.run_id)
        assert view.prompt.text == text
        assert [c.text for c in view.completions] == [c.text for c in completion]
    assert len(result) > 400 / step
    assert len(refused) <= 5
    assert not any("\n" in sentence for sentence in refused)


def test_seeds_count_up_and_wrap_at_what_a_database_holds(lab: LabContext) -> None:
    last = 2**31 - 1
    view = generation.generate(
        lab, "tiny", Prompt("Once"), Sampling(max_new_tokens=2, seed=last, num_return_sequences=2)
    )
    assert [completion.seed for completion in view.completions] == [last, 0]
    alone = generation.generate(lab, "tiny", Prompt("Once"), Sampling(max_new_tokens=2, seed=0))
    assert alone.completions[0].text == view.completions[1].text
