"""What a stream gives: text in whole characters, stop strings, ends, traces, cancelling, errors."""

import math
import threading
from typing import Any

import pytest
import torch
from tokenizers import Regex, pre_tokenizers

from genai_lab.decoding import Sampling, Token
from genai_lab.decoding.detokenizer import Detokenizer
from genai_lab.decoding.numpy_processors import processor_stages
from genai_lab.decoding.sequences import DecodingSequence, TokenStream
from genai_lab.errors import BadSetting, LabError, ModelError, PromptTooLong
from genai_lab.models import Prompt, Request
from genai_lab.models.transformers import LocalGenerator
from tests.decoding.conftest import byte_tokenizer, generator_of, tiny_llama
from tests.decoding.test_generation import ids_of, run


def row_of(sampling: Sampling, ends: frozenset[int] = frozenset({1})) -> DecodingSequence:
    tokenizer = byte_tokenizer()
    return DecodingSequence(
        [4],
        [],
        stream=TokenStream(1, ""),
        index=0,
        sampling=sampling,
        context=[4],
        before=[4],
        decode=lambda ids: str(tokenizer.decode(ids, skip_special_tokens=True)),
        ends=ends,
        room=sampling.max_new_tokens,
    )


def stream_text(sampling: Sampling, text: str) -> tuple[list[str], Any]:
    """What the stream says after each byte of the text, and the completion."""
    row = row_of(sampling)
    row._told = -math.inf
    for byte in text.encode():
        row.push(Token(4 + byte, "?"))
        row._told = -math.inf
    row.close("length")
    return [delta.text for delta in row.stream], row.stream.completions[0]


def test_characters_of_several_tokens_come_whole() -> None:
    text = "né 👩‍👩‍👧 日本 🎉"
    deltas, completion = stream_text(Sampling(), text)
    assert "".join(deltas) == completion.text == text
    assert not any("\ufffd" in delta for delta in deltas)


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        ("", "end of text", "the model ended it at once"),
        (" \n", "end of text", "only white space or special tokens before it ended"),
        ("  ", "length", "allow more new tokens"),
        ("###", "stop string", "began with a stop string"),
        ("", "cancelled", "stopped before its first character"),
        ("a", "end of text", None),
    ],
)
def test_an_empty_completion_says_why(text: str, reason: Any, message: str | None) -> None:
    row = row_of(Sampling(stop=("###",)))
    for byte in text.encode():
        row.push(Token(4 + byte, "?"))
    row.close(reason)
    notes = row.stream.completions[0].notes
    assert message in notes[0] if message else notes == ()


def test_a_coarse_dtype_says_that_a_replay_may_differ() -> None:
    generator = generator_of(tiny_llama().bfloat16())
    [stream] = generator.submit([Request(Prompt("ab"), Sampling(max_new_tokens=2, seed=1))])
    assert list(stream)
    assert "bfloat16" in stream.completions[0].notes[-1]
    assert "a replay may give another text" in stream.completions[0].notes[-1]
    generator.close()


def test_an_incomplete_character_at_the_end_is_shown_as_such() -> None:
    row = row_of(Sampling())
    for byte in "a🎉".encode()[:-1]:
        row.push(Token(4 + byte, "?"))
    row.close("cancelled")
    assert row.stream.completions[0].text == "a\ufffd"


def test_a_continued_character_is_whole_in_the_continuation() -> None:
    tokenizer, ids = byte_tokenizer(), [4 + byte for byte in "é".encode()]
    assert Detokenizer(lambda some: str(tokenizer.decode(some)), ids[:1]).push(ids[1]) == "é"


def test_decoding_looks_back_on_few_tokens() -> None:
    longest = 0
    tokenizer = byte_tokenizer()

    def decode(ids: list[int]) -> str:
        nonlocal longest
        longest = max(longest, len(ids))
        return str(tokenizer.decode(ids))

    detokenizer = Detokenizer(decode, [])
    assert "".join(detokenizer.push(4 + byte) for byte in b"abc" * 500) == "abc" * 500
    assert longest < 12


@pytest.mark.parametrize(
    ("stop", "text", "remaining"),
    [
        (("STOP",), "go on STOP here", "go on "),
        (("ab", "b"), "xxab", "xx"),
        (("aab",), "aaaab", "aa"),
        (("never",), "nevermind no", ""),
        (("\n\n",), "a\nb\n\nc", "a\nb"),
        (("zz",), "az", "az"),
    ],
)
def test_text_ends_before_a_stop_string(stop: tuple[str, ...], text: str, remaining: str) -> None:
    deltas, completion = stream_text(Sampling(stop=stop), text)
    assert completion.text == "".join(deltas) == remaining
    assert completion.finish_reason == ("length" if remaining == text else "stop string")


def test_generation_ends_at_a_stop_string(llama: LocalGenerator) -> None:
    sampling = Sampling(seed=1, max_new_tokens=60, temperature=1.5)
    [[free]] = run(llama, [Request(Prompt("Once"), sampling)])
    stop = free.text[10:12]
    [[completion]] = run(
        llama, [Request(Prompt("Once"), Sampling(seed=1, max_new_tokens=60, temperature=1.5, stop=(stop,)))]
    )
    assert completion.text == free.text[: free.text.index(stop)]
    assert completion.finish_reason == "stop string"


def test_the_trace_holds_the_distribution_of_every_stage(either: LocalGenerator) -> None:
    sampling = Sampling(seed=5, max_new_tokens=8, temperature=0.7, top_k=9, top_p=0.8, repetition_penalty=1.2)
    request = Request(Prompt("Once upon"), sampling, trace=5, return_logits=True)
    [stream] = either.submit([request])
    for _ in stream:
        continue
    completion = stream.completions[0]
    history = list(either.context_ids(request.prompt))
    for step, token in enumerate(completion.tokens):
        stages = processor_stages(stream.logits(0, step), history, sampling)
        assert [s.filter for s in token.stages] == [s.filter for s in stages]
        assert token.logprob == pytest.approx(stages[0].log_probabilities[token.id], abs=1e-4)
        assert token.probability == pytest.approx(math.exp(stages[-1].log_probabilities[token.id]), abs=1e-5)
        for mine, full_stage in zip(token.stages, stages, strict=True):
            assert mine.removed == full_stage.removed
            assert len(mine.alternatives) <= 5
            for item in mine.alternatives:
                assert item.probability == pytest.approx(math.exp(full_stage.log_probabilities[item.id]), abs=1e-5)
            shares = [alternative.probability for alternative in mine.alternatives]
            assert shares == sorted(shares, reverse=True)
            assert shares[0] == pytest.approx(math.exp(max(full_stage.log_probabilities)), abs=1e-5)
        history.append(token.id or 0)


def test_a_trace_changes_no_text(either: LocalGenerator) -> None:
    sampling = Sampling(seed=5, max_new_tokens=20, typical_p=0.8, top_p=0.9)
    [[plain]] = run(either, [Request(Prompt("Once"), sampling)])
    [[traced]] = run(either, [Request(Prompt("Once"), sampling, trace=8)])
    assert ids_of(plain) == ids_of(traced)


def test_a_prefix_goes_on_where_a_completion_stood(either: LocalGenerator) -> None:
    sampling = Sampling(greedy=True, max_new_tokens=20, seed=0)
    [[full]] = run(either, [Request(Prompt("Once upon"), sampling)])
    prefix = tuple(ids_of(full)[:8])
    rest_sampling = Sampling(greedy=True, max_new_tokens=12, seed=0)
    [[completion]] = run(either, [Request(Prompt("Once upon", prefix=prefix), rest_sampling)])
    assert ids_of(completion) == ids_of(full)[8:]


def test_cancelling_ends_a_stream_at_once(either: LocalGenerator) -> None:
    either._ends, ends = frozenset(), either._ends
    submitted, cancelled = threading.Event(), threading.Event()
    try:
        either.scheduler.call(lambda: submitted.wait(60))
        [stream] = either.submit([Request(Prompt("Once"), Sampling(max_new_tokens=240, seed=1))])
        # After the first steps the model is busy until the stream has ended.
        either.scheduler.call(lambda: cancelled.wait(60))
        submitted.set()
        next(iter(stream))
        stream.cancel()
        for _ in stream:
            continue
        [completion] = stream.completions
    finally:
        cancelled.set()
        either._ends = ends
    assert completion.finish_reason == "cancelled"
    assert 0 < len(completion.tokens) < 240


def test_cancelling_beam_search_frees_the_scheduler(llama: LocalGenerator) -> None:
    [stream] = llama.submit([Request(Prompt("Once"), Sampling(num_beams=8, max_new_tokens=200, seed=0))])
    stream.cancel()
    assert stream.completions[0].finish_reason == "cancelled"
    run(llama, [Request(Prompt("Once"), Sampling(max_new_tokens=2, seed=0))])


def test_what_fills_the_context_ends_with_length(llama: LocalGenerator) -> None:
    llama._ends, ends = frozenset(), llama._ends
    try:
        [[completion]] = run(llama, [Request(Prompt("x" * 250), Sampling(max_new_tokens=50, seed=0))])
    finally:
        llama._ends = ends
    assert completion.finish_reason == "length"
    assert completion.prompt_tokens + completion.completion_tokens == 256


def test_bad_requests_are_refused_before_anything_runs(either: LocalGenerator) -> None:
    good = Request(Prompt("Once"), Sampling(max_new_tokens=2, seed=0))
    with pytest.raises(PromptTooLong):
        either.submit([good, Request(Prompt("x" * 400))])
    with pytest.raises(BadSetting):
        either.submit([Request(Prompt("x"), Sampling(num_beams=2, num_return_sequences=3))])
    with pytest.raises(LabError, match="empty"):
        either.submit([Request(Prompt(""))])


def test_a_failure_reaches_its_stream_and_nothing_else(llama: LocalGenerator) -> None:
    network = llama.scheduler.network
    step, module = network.quick, network.module

    def broken(*args: Any, **options: Any) -> Any:
        raise ValueError("a bug")

    [stream] = llama.submit([Request(Prompt("Once"), Sampling(max_new_tokens=200, seed=0, temperature=0.01))])
    network.quick = broken
    try:
        with pytest.raises(ModelError, match="ValueError"):
            list(stream)
    finally:
        network.quick = step
    assert network.module is module
    assert stream.completions[0].finish_reason == "error"
    run(llama, [Request(Prompt("Once"), Sampling(max_new_tokens=2, seed=0))])


def test_chat_is_rendered_by_the_template(llama: LocalGenerator) -> None:
    prompt = Prompt(messages=({"role": "user", "content": "Hi"},), mode="chat")
    assert llama.render(prompt) == "<user> Hi\n<assistant> "
    assert llama.count_tokens(prompt) == len("<user> Hi\n<assistant> ")


def test_an_unloaded_model_says_so() -> None:
    torch.manual_seed(0)
    generator = generator_of(tiny_llama())
    [stream] = generator.submit([Request(Prompt("Once"), Sampling(max_new_tokens=200, seed=0))])
    generator.close()
    for _ in stream:
        continue
    assert stream.completions
    with pytest.raises(ModelError, match="unloaded"):
        generator.submit([Request(Prompt("Once"))])


def test_a_tokenizer_that_panics_costs_one_sentence_and_the_model_goes_on() -> None:
    """Oniguruma gives up on a pattern that backtracks without end, and tokenizers panics, which is no Exception."""
    generator = generator_of(tiny_llama())
    pattern = pre_tokenizers.Split(Regex("(a+)+$"), "isolated")
    generator.tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pattern, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    with pytest.raises(ModelError, match=r"The tokenizer of tiny failed on this text \(.*retry-limit.*\); change the"):
        generator.submit([Request(Prompt("a" * 24 + "b"), Sampling(max_new_tokens=2))])
    [stream] = generator.submit([Request(Prompt("ab"), Sampling(max_new_tokens=2))])
    assert list(stream)
    generator.close()


def test_a_panic_in_the_decoding_thread_ends_its_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def panic(ids: list[int]) -> str:
        raise PanicException("index out of range")

    generator = generator_of(tiny_llama())
    with monkeypatch.context() as patch:
        patch.setattr(generator, "_decode", panic)
        [broken] = generator.submit([Request(Prompt("ab"), Sampling(max_new_tokens=2))])
        with pytest.raises(ModelError, match="failed while generating"):
            list(broken)
    [stream] = generator.submit([Request(Prompt("ab"), Sampling(max_new_tokens=2))])
    assert list(stream)
    generator.close()
