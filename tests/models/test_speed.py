"""Which dtype is taken by itself, and how a model's speed is read from what its engine reports."""

from dataclasses import replace
from typing import Any

import pytest

from genai_lab.decoding import Completion, Token
from genai_lab.errors import LabError, ModelError
from genai_lab.models import Card, Generator, Options, Source
from genai_lab.models.inspect import inspect_folder
from genai_lab.models.sizing import placed_card
from genai_lab.models.speed import (
    ROUNDS,
    Speed,
    candidates,
    class_of,
    fastest,
    measurable,
    measure_all,
    measure_text,
    speed_of,
)
from tests.tiny import random_model


def speed(dtype: str, read: float, written: float, device: str = "cpu") -> Speed:
    return Speed(dtype, device, read, written)


def completion(tokens: int, first: float, seconds: float) -> Completion:
    """One that read 100 tokens."""
    return Completion(0, "", (Token(1, "a"),) * tokens, "length", 100, 0, seconds, first)


def card(**fields: Any) -> Card:
    return Card("m", Source("local", "/m"), "generate", "decoder-only", "LlamaForCausalLM", **fields)


def test_a_clearly_faster_float_dtype_is_taken_and_packed_ones_never() -> None:
    exact, coarse, packed = speed("float32", 100, 10), speed("bfloat16", 300, 18), speed("int8", 900, 90)
    assert fastest([packed, coarse, exact]) == coarse
    assert fastest([packed]) is None
    assert fastest([]) is None


def test_float32_is_kept_where_another_dtype_is_hardly_faster_or_slower() -> None:
    exact = speed("float32", 100, 10)
    assert fastest([exact, speed("bfloat16", 110, 11)]) == exact
    assert fastest([exact, speed("bfloat16", 50, 5)]) == exact


def test_reading_and_writing_are_weighed_as_one_text() -> None:
    # Reads three times as fast but writes at half the speed: 256 / 300 + 48 / 5 is more than 256 / 100 + 48 / 10.
    assert fastest([speed("float32", 100, 10), speed("bfloat16", 300, 5)]) == speed("float32", 100, 10)


def test_the_device_is_part_of_the_choice() -> None:
    gpu = speed("bfloat16", 9000, 90, "cuda")
    assert fastest([speed("float32", 100, 10), gpu, speed("float32", 4000, 60, "cuda")]) == gpu
    assert ("int8", "cuda") not in candidates(("cuda", "cpu"), packed=True)
    assert {dtype for dtype, _ in candidates(("cpu",), packed=False)} == {"float32", "bfloat16"}


def test_models_of_one_size_share_a_class() -> None:
    assert class_of(card(parameters=135_000_000)) == class_of(card(parameters=124_000_000))
    assert class_of(card(parameters=3_700_000)) != class_of(card(parameters=135_000_000))
    assert class_of(card(parameters=9_000_000_000)) == "decoder-only, above 4B"
    assert not measurable(card(parameters=1))


def test_best_round_counts_and_a_text_that_ended_at_once_does_not() -> None:
    loaded = card(loaded_dtype="float32", device="cpu")

    class Model:
        card = loaded

    model: Any = Model()
    rounds = [completion(11, 0.5, 2.5), completion(1, 0.25, 0.25), completion(21, 1.0, 3.0)]
    assert speed_of(model, rounds, 7) == Speed("float32", "cpu", 400.0, 10.0, 7)
    assert speed_of(model, [completion(1, 0.25, 0.25)]) is None


def test_every_round_reads_a_text_of_its_own_by_turns(fake_model: Any) -> None:
    models = [fake_model("a"), fake_model("b")]
    measured = measure_all([lambda m=m: m for m in models], True, lambda card: None)  # type: ignore[misc]
    assert [len(result[1]) for result in measured if not isinstance(result, LabError)] == [ROUNDS, ROUNDS]
    texts = [prompt.text for prompt in models[0].prompts]
    assert len(set(texts)) == ROUNDS + 1, "a kept prefix would make a round faster"
    assert len({text.split()[0] for text in texts}) == ROUNDS + 1
    assert fake_model.order == ["a", "a", "b", "b", "a", "b", "a", "b"]


def test_what_a_model_makes_between_texts_is_made_before_it_is_timed(fake_model: Any) -> None:
    model = fake_model("a")
    model.prepare = lambda: fake_model.order.append("prepared")
    measure_all([lambda: model], True, lambda card: None)
    assert fake_model.order == ["a", "prepared", *["a"] * ROUNDS]


def test_what_cannot_be_loaded_is_its_error_and_keeps_nothing_else(fake_model: Any) -> None:
    def refuse() -> Generator:
        raise ModelError("too large")

    good = fake_model("a")
    refused, measured = measure_all([refuse, lambda: good], False, lambda card: None)
    assert isinstance(refused, ModelError)
    assert not isinstance(measured, LabError)


def test_a_text_fits_into_a_short_context(tmp_path: Any) -> None:
    from genai_lab.models.transformers import load_local

    folder = random_model(tmp_path / "small")
    options = Options(device="cpu", roots=(tmp_path,))
    inspected = inspect_folder(folder, "small", Source("local", str(folder)), options)
    generator: Any = load_local(folder, inspected, options)
    completion = measure_text(generator, 1)
    assert completion.completion_tokens
    assert completion.prompt_tokens + completion.completion_tokens <= (inspected.context or 0)
    generator.close()


def test_memory_follows_the_dtype(tmp_path: Any) -> None:
    folder = random_model(tmp_path / "small")
    inspected = inspect_folder(folder, "small", Source("local", str(folder)), Options(device="cpu", roots=(tmp_path,)))
    coarse = placed_card(inspected, "bfloat16", "cpu")
    assert (coarse.loaded_dtype, coarse.device) == ("bfloat16", "cpu")
    assert coarse.cache_bytes == (inspected.cache_bytes or 0) // 2
    assert (coarse.memory_bytes or 0) < (inspected.memory_bytes or 0)
    assert placed_card(inspected, "float32", "cpu").memory_bytes == inspected.memory_bytes


@pytest.fixture
def fake_model() -> Any:
    order: list[str] = []

    class Stream:
        completions = (completion(11, 0.5, 2.0),)

        def __iter__(self) -> Any:
            return iter(())

    class Model:
        def __init__(self, name: str) -> None:
            self.card, self.prompts = replace(card(), name=name, loaded_dtype=name), []

        def count_tokens(self, prompt: Any) -> int:
            return len(prompt.text.split())

        def submit(self, requests: Any) -> Any:
            order.append(self.card.name)
            self.prompts += [request.prompt for request in requests]
            return [Stream()]

    def make(name: str) -> Any:
        return Model(name)

    make.order = order  # type: ignore[attr-defined]
    return make
