"""The memory budget: least recently used, single flight, busy models stay."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from genai_lab.decoding import Completion, Delta
from genai_lab.errors import ModelError
from genai_lab.models import Card, Generator, Options, Prompt, Request, Source, Stream
from genai_lab.models.cache import ModelCache
from genai_lab.models.scorer import Scorer


class FakeStream:
    """Ends when `go` is set or it is cancelled."""

    rendered = ""

    def __init__(self) -> None:
        self.go, self.completions = threading.Event(), ()

    def __iter__(self) -> Iterator[Delta]:
        self.go.wait(5)
        self.completions: tuple[Completion, ...] = (Completion(0, "a", (), "end of text", 1, 0, 0.0, None),)
        yield Delta(0, "a")

    def cancel(self) -> None:
        self.go.set()

    def logits(self, completion: int, step: int) -> None:
        return None


class FakeGenerator:
    def __init__(self, card: Card) -> None:
        self.card, self.closed, self.streams = card, False, list[FakeStream]()

    def submit(self, requests: Sequence[Request]) -> list[Stream]:
        assert not self.closed
        streams = [FakeStream() for _ in requests]
        self.streams += streams
        return list(streams)

    def count_tokens(self, prompt: Prompt) -> int | None:
        return len(prompt.text)

    def tokenize(self, text: str) -> list[tuple[int, str]]:
        return list(enumerate(text))

    def context_ids(self, prompt: Prompt) -> tuple[int, ...]:
        return ()

    def token_text(self, token_id: int) -> str:
        assert not self.closed
        return str(token_id)

    def close(self) -> None:
        self.closed = True


class Loader:
    """Counts what is loaded; a model called 'broken' cannot be."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.loads: list[str] = []
        self.bases: list[Generator | None] = []
        self.made: list[FakeGenerator] = []
        self.seconds = seconds

    def __call__(self, card: Card, options: Options, base: Generator | None = None) -> Generator:
        self.loads.append(card.name)
        self.bases.append(base)
        time.sleep(self.seconds)
        if card.name == "broken":
            raise ModelError("broken cannot be loaded.")
        self.made.append(FakeGenerator(card))
        return self.made[-1]


def card(name: str, memory: int | None = 40, role: Any = "generate", **options: Any) -> Card:
    return Card(name, Source("local", name), role, "decoder-only", "Fake", memory_bytes=memory, **options)


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def cache(loader: Loader) -> Iterator[ModelCache]:
    new_cache = ModelCache(100, Options(), loader)
    yield new_cache
    new_cache.close()


def test_least_recently_used_makes_room(cache: ModelCache, loader: Loader) -> None:
    first = cache.acquire(card("a"))
    cache.acquire(card("b"))
    first.token_text(1)
    cache.acquire(card("c"))
    assert set(cache.loaded()) == {"a", "c"}
    assert cache.used_bytes == 80
    assert [g.card.name for g in loader.made if g.closed] == ["b"]


def test_what_cannot_fit_says_both_numbers_before_loading_and_disturbs_nothing(
    cache: ModelCache, loader: Loader
) -> None:
    cache.acquire(card("a"))
    with pytest.raises(ModelError, match=r"big needs 101 bytes of memory, but the budget for models is 100 bytes"):
        cache.acquire(card("big", 101))
    assert loader.loads == ["a"]
    assert set(cache.loaded()) == {"a"}


def test_busy_model_stays_and_the_newcomer_is_told_who_is_in_the_way(cache: ModelCache, loader: Loader) -> None:
    [stream] = cache.acquire(card("a", 70)).submit([Request(Prompt("a"))])
    assert cache.loaded()["a"].busy
    with pytest.raises(ModelError, match=r"b needs 70 bytes.*only 30 bytes can be freed while a is in use"):
        cache.acquire(card("b", 70))
    loader.made[0].streams[0].go.set()
    list(stream)
    assert not cache.loaded()["a"].busy
    cache.acquire(card("b", 70))
    assert set(cache.loaded()) == {"b"}


def test_stream_that_nobody_holds_or_that_has_ended_unwatched_does_not_keep_its_model(
    cache: ModelCache, loader: Loader
) -> None:
    cache.acquire(card("a")).submit([Request(Prompt("a"))])
    assert not cache.loaded()["a"].busy
    [generators] = cache.acquire(card("a")).submit([Request(Prompt("a"))])
    assert cache.loaded()["a"].busy
    inner = loader.made[0].streams[-1]
    inner.go.set()
    list(inner)
    assert len(generators.completions) == 1
    assert not cache.loaded()["a"].busy


def test_generator_that_made_room_loads_itself_again(cache: ModelCache, loader: Loader) -> None:
    first = cache.acquire(card("a", 70))
    second = cache.acquire(card("b", 70))
    assert first.token_text(3) == "3"
    assert second.token_text(4) == "4"
    assert loader.loads == ["a", "b", "a", "b"]


def test_many_callers_load_once() -> None:
    loader = Loader(seconds=0.2)
    cache = ModelCache(100, Options(), loader)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: cache.acquire(card("a")).token_text(1), range(8)))
    assert loader.loads == ["a"]
    assert cache.loaded()["a"].seconds_to_load >= 0.2
    cache.close()


def test_two_models_load_side_by_side_within_the_budget() -> None:
    loader = Loader(seconds=0.2)
    cache = ModelCache(100, Options(), loader)
    with ThreadPoolExecutor(3) as pool:
        pending = [pool.submit(cache.acquire, card(name, 40)) for name in ("a", "b", "c")]
        outcomes = [work.exception() for work in pending]
    assert sum(isinstance(problem, ModelError) for problem in outcomes) == 1
    assert cache.used_bytes <= 100
    cache.close()


def test_failed_load_reaches_every_waiter_and_leaves_no_trace() -> None:
    loader = Loader(seconds=0.1)
    cache = ModelCache(100, Options(), loader)
    with ThreadPoolExecutor(4) as pool:
        pending = [pool.submit(cache.acquire, card("broken")) for _ in range(4)]
        assert all(isinstance(work.exception(), ModelError) for work in pending)
    assert len(loader.loads) <= 2
    assert cache.used_bytes == 0
    cache.acquire(card("a", 100))
    cache.close()


def test_unload_ends_streams_and_another_content_under_the_name_is_loaded_anew(
    cache: ModelCache, loader: Loader
) -> None:
    [stream] = cache.acquire(card("a", content_hash="1")).submit([Request(Prompt("a"))])
    cache.unload("a")
    assert loader.made[0].closed
    assert loader.made[0].streams[0].go.is_set()
    assert list(stream)
    cache.acquire(card("a", content_hash="1"))
    cache.acquire(card("a", content_hash="2"))
    assert loader.loads == ["a", "a", "a"]
    cache.unload("nothing")


def above(name: str, memory: int = 5, base: str = "a", **options: Any) -> Card:
    return Card(
        name, Source("adapter", name, base=base), "generate", "decoder-only", "Fake", memory_bytes=memory, **options
    )


def closed(loader: Loader) -> list[str]:
    return [generator.card.name for generator in loader.made if generator.closed]


def test_adapters_stand_on_one_loaded_base_and_count_their_own_bytes(cache: ModelCache, loader: Loader) -> None:
    for name in ("x", "y", "x"):
        cache.acquire(above(name), card("a")).token_text(1)
    cache.acquire(card("a")).token_text(1)
    assert loader.loads == ["a", "x", "y"]
    assert loader.bases == [None, loader.made[0], loader.made[0]]
    assert cache.used_bytes == 50


def test_base_of_a_busy_adapter_stays(cache: ModelCache, loader: Loader) -> None:
    [stream] = cache.acquire(above("x"), card("a")).submit([Request(Prompt("a"))])
    assert cache.loaded()["a"].busy
    cache.acquire(card("b"))
    with pytest.raises(ModelError, match=r"c needs 70 bytes.*only 55 bytes can be freed while a, x is in use"):
        cache.acquire(card("c", 70))
    loader.made[1].streams[0].go.set()
    list(stream)
    cache.acquire(card("c", 70))
    assert closed(loader) == ["a", "x", "b"]
    assert set(cache.loaded()) == {"c"}


def test_adapters_make_room_before_their_base_and_end_with_it(cache: ModelCache, loader: Loader) -> None:
    ended: list[str] = []
    generators = [cache.acquire(above(name, 30), card("a")) for name in ("x", "y")]
    for result in loader.made:
        result.close = lambda name=result.card.name: ended.append(name)  # type: ignore[method-assign,misc]
    cache.acquire(card("b", 30))
    assert ended == ["x"]
    cache.unload("a")
    assert ended == ["x", "y", "a"]
    assert set(cache.loaded()) == {"b"}
    assert generators[1].count_tokens(Prompt("abc")) == 3
    assert loader.loads == ["a", "x", "y", "b", "a", "y"]


def test_base_with_new_content_takes_its_adapters_with_it(cache: ModelCache, loader: Loader) -> None:
    first = cache.acquire(above("x"), card("a", content_hash="1"))
    cache.acquire(card("a", content_hash="2"))
    assert closed(loader) == ["a", "x"]
    cache.acquire(above("x"), card("a", content_hash="2"))
    assert loader.bases[-1] is loader.made[2]
    assert first.token_text(1) == "1"
    assert set(cache.loaded()) == {"a", "x"}


def test_adapter_that_does_not_fit_beside_its_base_is_refused_before_anything_is_loaded(
    cache: ModelCache, loader: Loader
) -> None:
    with pytest.raises(ModelError, match=r"x needs 105 bytes of memory with its base, but the budget"):
        cache.acquire(above("x", 65), card("a"))
    assert loader.loads == []


def test_many_callers_of_many_adapters_load_the_base_once_and_survive_unloading() -> None:
    loader = Loader(seconds=0.02)
    cache = ModelCache(100, Options(), loader)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: cache.acquire(above("xyz"[i % 3]), card("a")).token_text(1), range(24)))
        assert Counter(loader.loads) == {"a": 1, "x": 1, "y": 1, "z": 1}
        work = [pool.submit(cache.acquire, above("xyz"[i % 3]), card("a")) for i in range(24)]
        work += [pool.submit(cache.unload, "a") for _ in range(4)]  # type: ignore[arg-type]
        assert [item.exception() for item in work] == [None] * 28
    cache.close()
    assert all(generator.closed for generator in loader.made)


def test_endpoints_take_no_memory_and_closing_frees_everything(cache: ModelCache, loader: Loader) -> None:
    cache.acquire(card("a", 100))
    generators = cache.acquire(card("far", 0))
    assert set(cache.loaded()) == {"a", "far"}
    cache.close()
    assert all(generator.closed for generator in loader.made)
    with pytest.raises(ModelError, match="closing"):
        generators.token_text(1)


class Measured(FakeGenerator):
    """A generator whose tensors this process holds."""

    tensor_bytes = 30 * 2**20


def test_measured_memory_takes_the_place_of_the_estimate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([200 * 2**20, 250 * 2**20, 250 * 2**20, 251 * 2**20])
    monkeypatch.setattr("genai_lab.models.loaded_memory.resident", lambda: next(now))
    monkeypatch.setattr("genai_lab.models.loaded_memory.import_engine", lambda: None)
    cache = ModelCache(2**30, Options(), lambda card, options, base: Measured(card))
    for name, foreseen, expected in (("a", 40 * 2**20, 50 * 2**20), ("b", 90 * 2**20, 30 * 2**20)):
        cache.acquire(card(name, foreseen + 7, path=tmp_path, cache_bytes=7))
        state = cache.loaded()[name]
        assert (state.memory_bytes, state.measured) == (expected + 7, True)
    cache.close()


def test_a_judge_is_in_the_same_budget_and_makes_room(cache: ModelCache, loader: Loader) -> None:
    cache.acquire(card("a", 60))
    judge = card("toxicity", 60, role="classify")
    with cache.scoring(judge, loader) as first:
        assert set(cache.loaded()) == {"toxicity"}
        with pytest.raises(ModelError, match="only 40 bytes can be freed while toxicity is in use"):
            cache.acquire(card("a", 60))
    with cache.scoring(judge, loader) as again:
        assert again is first
    cache.acquire(card("a", 60))
    assert set(cache.loaded()) == {"a"}
    assert first.closed


def test_a_generator_that_judges_is_loaded_once_more_and_goes_with_its_name(loader: Loader) -> None:
    cache = ModelCache(2**30, Options(), loader)
    cache.acquire(card("a"))
    with cache.scoring(card("a", parameters=10), loader):
        assert set(cache.loaded()) == {"a", "a (judge)"}
    cache.unload("a")
    assert cache.loaded() == {}


def test_a_scorer_that_is_unloaded_while_it_scores_ends_its_call(cache: ModelCache) -> None:
    closed: list[str] = []

    class Judge(Scorer):
        def close(self) -> None:
            closed.append(self.card.name)

    with cache.scoring(card("a"), lambda card, options, base: Judge(card)):
        cache.unload("a")
        assert not closed
        assert not cache.used_bytes
    with cache.scoring(card("a"), lambda card, options, base: Judge(card)):
        pass
    cache.unload("a")
    assert closed == ["a (judge)"]
