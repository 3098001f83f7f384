"""The endpoint backend against a server of the tests' own that speaks the OpenAI protocol."""

import itertools
import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, ModelError
from genai_lab.models import BACKENDS, Generator, Options, Prompt, Request, Source
from tests.models.servers import SmallEndpoint, begin_events, send_event, serving

CHAT = Prompt(messages=({"role": "user", "content": "Hi"},), mode="chat")
TEXT = Prompt(text="Hi")


@pytest.fixture
def server() -> Iterator[tuple[SmallEndpoint, Source]]:
    endpoint = SmallEndpoint()
    with serving(endpoint.handler()) as address:
        yield endpoint, Source("endpoint", address, remote_name="tiny")


@pytest.fixture
def endpoint(server: tuple[SmallEndpoint, Source]) -> SmallEndpoint:
    return server[0]


@pytest.fixture
def generator(server: tuple[SmallEndpoint, Source]) -> Iterator[Generator]:
    made = open_model(server[1])
    yield made
    made.close()


def open_model(source: Source, timeout: float = 2.0) -> Generator:
    backend, options = BACKENDS.get("endpoint"), Options(timeout=timeout)
    return backend.load(backend.inspect(source, "remote", options), options)


def test_card_comes_from_the_list_of_models(server: tuple[SmallEndpoint, Source]) -> None:
    endpoint, source = server
    card = BACKENDS.get("endpoint").inspect(source, "remote", Options())
    assert (card.family, card.context, card.memory_bytes, card.modes) == ("endpoint", 128, 0, ("chat", "completion"))
    endpoint.status = 404
    assert BACKENDS.get("endpoint").inspect(source, "remote", Options()).context is None


@pytest.mark.parametrize(("prompt", "path"), [(CHAT, "/v1/chat/completions"), (TEXT, "/v1/completions")])
def test_stream_gives_tokens_with_probabilities(
    prompt: Prompt, path: str, endpoint: SmallEndpoint, generator: Generator
) -> None:
    sampling = Sampling(max_new_tokens=9, temperature=0.5, top_p=0.9, seed=4, stop=("x",))
    [stream] = generator.submit([Request(prompt, sampling, trace=2)])
    deltas = list(stream)
    assert "".join(delta.text for delta in deltas) == "Hello there, friend 4"
    [completion] = stream.completions
    assert (completion.text, completion.finish_reason, completion.seed, completion.prompt_tokens) == (
        "Hello there, friend 4", "end of text", 4, 7,
    )  # fmt: skip
    assert completion.tokens[0].logprob == -0.5
    [stage] = completion.tokens[0].stages
    assert stage.filter == "model"
    assert [(a.text, a.probability) for a in stage.alternatives] == [
        ("Hello", math.exp(-0.5)),
        (" else", math.exp(-1.5)),
    ]
    [(where, sent)] = endpoint.received
    assert where == path
    assert {key: sent[key] for key in ("model", "max_tokens", "temperature", "top_p", "seed", "stop")} == {
        "model": "tiny", "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "seed": 4, "stop": ["x"],
    }  # fmt: skip
    assert list(stream) == []


def test_several_completions_are_several_calls_with_seeds_counting_up(
    endpoint: SmallEndpoint, generator: Generator
) -> None:
    endpoint.together = threading.Barrier(4)
    [stream] = generator.submit([Request(CHAT, Sampling(num_return_sequences=4, seed=10))])
    list(stream)
    assert [completion.text[-3:] for completion in stream.completions] == [" 10", " 11", " 12", " 13"]


def test_greedy_is_temperature_zero_and_nothing_unknown_is_sent(endpoint: SmallEndpoint, generator: Generator) -> None:
    [stream] = generator.submit([Request(TEXT, Sampling(greedy=True, seed=1))])
    list(stream)
    [(_, sent)] = endpoint.received
    assert sent["temperature"] == 0
    assert set(sent) == {
        "model", "max_tokens", "temperature", "top_p", "seed", "stream", "stream_options", "prompt",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [("top_k", 5), ("min_p", 0.1), ("typical_p", 0.5), ("repetition_penalty", 1.2), ("num_beams", 2)]
)
def test_setting_that_the_protocol_lacks_is_refused_by_name(name: str, value: float, generator: Generator) -> None:
    with pytest.raises(BadSetting, match=name.replace("_", " ").capitalize()):
        generator.submit([Request(TEXT, Sampling(**{name: value}))])


def test_given_tokens_cannot_be_continued(generator: Generator) -> None:
    with pytest.raises(ModelError, match="choose a local model"):
        generator.submit([Request(Prompt(text="a", prefix=(1,)))])


def test_cancel_ends_at_once_keeps_the_text_and_hangs_up(endpoint: SmallEndpoint, generator: Generator) -> None:
    ended = threading.Event()

    def endless(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        begin_events(handler)
        for number in itertools.count():
            send_event(handler, {"choices": [{"delta": {"content": f"word {number} "}}]})
            if number == 3:
                ended.wait(60)

    endpoint.answer = endless
    [stream] = generator.submit([Request(CHAT, Sampling(max_new_tokens=500))])
    observed = [delta.text for _, delta in zip(range(3), stream, strict=False)]
    stream.cancel()
    observed += [delta.text for delta in stream]
    ended.set()
    [completion] = stream.completions
    assert completion.finish_reason == "cancelled"
    assert completion.text == "".join(observed)
    assert "word 4" not in completion.text
    assert endpoint.hung_up.wait(60)


def test_cancel_works_before_anything_was_answered(endpoint: SmallEndpoint, generator: Generator) -> None:
    waiting, request = threading.Event(), threading.Event()
    endpoint.answer = lambda handler, body: (request.set(), waiting.wait(60), None)[2]
    for until_asked in (False, True):
        request.clear()
        [stream] = generator.submit([Request(CHAT)])
        assert not until_asked or request.wait(60)
        stream.cancel()
        assert list(stream) == []
        assert [completion.finish_reason for completion in stream.completions] == ["cancelled"]
    waiting.set()


def events(*values: Any) -> Any:
    def answer(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        begin_events(handler)
        for value in values:
            if isinstance(value, bytes):
                handler.wfile.write(value)
            else:
                send_event(handler, value)

    return answer


def says(status: int, body: bytes, **headers: str) -> Any:
    def answer(handler: BaseHTTPRequestHandler, received: dict[str, Any]) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def slow(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    begin_events(handler)
    send_event(handler, {"choices": [{"delta": {"content": "One"}}]})
    handler.connection.recv(1)  # until the client has closed the connection


WORD = {"choices": [{"delta": {"content": "One"}}]}
BAD: dict[str, tuple[Any, str]] = {
    "slow": (slow, "sent nothing for 0.4 s"),
    "refused": (says(401, b'{"error": {"message": "bad key"}}'), r"refused access \(401\)"),
    "unknown model": (says(404, b'{"error": "model missing"}'), "404.: model missing"),
    "too many": (says(429, b"{}"), "too many requests"),
    "broken": (says(500, b"<html>" + b"x" * 50_000), "error 500"),
    "compressed": (says(200, b"x" * 50, **{"Content-Encoding": "gzip, gzip"}), r"compressed \(gzip, gzip\)"),
    "compressed error": (says(500, b"x" * 50, **{"Content-Encoding": "br"}), r"error 500\."),
    "moved": (says(302, b"", Location="http://elsewhere/v1"), "elsewhere/v1, which is not followed"),
    "no events": (says(200, b"<html>hello</html>"), "did not stream events"),
    "no JSON": (events(b"data: {oops\n\n"), "not valid JSON"),
    "nothing but an event without text": (events({"hello": 1}), "in the middle"),
    "text is a number": (events({"choices": [{"delta": {"content": 5}}]}), "text is not text"),
    "an error in the middle": (events(WORD, {"error": {"message": "out of memory"}}), "out of memory"),
    "end in the middle": (events(WORD), "in the middle"),
    "one endless line": (events(b"data: " + b"x" * (5 * 2**20)), "too long"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_answer_gives_one_clear_sentence_and_breaks_nothing(
    case: str, server: tuple[SmallEndpoint, Source]
) -> None:
    endpoint, source = server
    generator = open_model(source, timeout=0.4 if case == "slow" else 60.0)
    endpoint.answer, message = BAD[case]
    [stream] = generator.submit([Request(CHAT, Sampling(num_return_sequences=2))])
    with pytest.raises(ModelError, match=message) as caught:
        list(stream)
    assert str(caught.value).endswith(".")
    assert [completion.finish_reason for completion in stream.completions] == ["error", "error"]
    endpoint.answer = None
    [stream] = generator.submit([Request(CHAT)])
    list(stream)
    assert stream.completions[0].text.startswith("Hello")
    generator.close()


def test_endpoint_that_is_down_says_so_when_added_and_when_used(server: tuple[SmallEndpoint, Source]) -> None:
    gone = Source("endpoint", "http://127.0.0.1:9", remote_name="tiny")
    with pytest.raises(ModelError, match="Nothing answers at"):
        open_model(gone)
    generator = open_model(server[1])
    generator.server = replace(generator.server, address="http://127.0.0.1:9/v1")  # type: ignore[attr-defined]
    [stream] = generator.submit([Request(CHAT)])
    with pytest.raises(ModelError, match="Nothing answers at"):
        list(stream)
    generator.close()


def test_key_is_read_from_its_variable_and_stays_out_of_the_card(
    server: tuple[SmallEndpoint, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, source = server
    endpoint.key = "sk-secret"
    with pytest.raises(ModelError, match="name of the environment variable with the key"):
        open_model(source)
    named = Source("endpoint", source.location, remote_name="tiny", key_env="LAB_TEST_API_KEY")
    with pytest.raises(ModelError, match="LAB_TEST_API_KEY is not set"):
        open_model(named)
    monkeypatch.setenv("LAB_TEST_API_KEY", "sk-wrong")
    with pytest.raises(ModelError, match="check the key in LAB_TEST_API_KEY") as caught:
        open_model(named)
    assert "sk-" not in str(caught.value)
    monkeypatch.setenv("LAB_TEST_API_KEY", "sk-secret")
    generator = open_model(named)
    [stream] = generator.submit([Request(CHAT)])
    list(stream)
    assert "sk-secret" not in repr(generator.card)
    generator.close()


@pytest.mark.parametrize(
    ("address", "remote", "key", "message"),
    [
        ("file:///etc/passwd", "tiny", None, "must begin with http"),
        ("http://user:word@host", "tiny", None, "user name or password"),
        ("http://host:99999", "tiny", None, "cannot be read"),
        ("http://host/v1?x=1", "tiny", None, r"what follows \?"),
        (None, "unlisted", None, "no model called 'unlisted'. It lists: other, tiny"),
        (None, None, None, "name at the endpoint is empty"),
        (None, "tiny", "HOME", "cannot name a key variable"),
    ],
)
def test_bad_address_name_or_key_gives_one_clear_sentence(
    address: str | None, remote: str | None, key: str | None, message: str, server: tuple[SmallEndpoint, Source]
) -> None:
    source = Source("endpoint", address or server[1].location, remote_name=remote, key_env=key)
    with pytest.raises(ModelError, match=message):
        open_model(source)


def test_compressed_list_of_models_is_refused_and_plain_text_is_asked_for(
    server: tuple[SmallEndpoint, Source],
) -> None:
    server[0].encoding = "gzip, gzip"
    with pytest.raises(ModelError, match=r"answered compressed \(gzip, gzip\)"):
        open_model(server[1])
    assert server[0].accepted == ["identity"]


@pytest.mark.parametrize("room", [10**20, -1, True, "128", 2**31, float("nan")])
def test_context_that_is_no_number_of_tokens_is_not_known(room: Any, server: tuple[SmallEndpoint, Source]) -> None:
    server[0].models = {"data": [{"id": "tiny", "max_model_len": room, "meta": {"n_ctx": room}}]}
    assert BACKENDS.get("endpoint").inspect(server[1], "remote", Options()).context is None


@pytest.mark.parametrize("models", [b"<html>", {"models": []}, {"data": [{"name": "a"}]}, []])
def test_malformed_list_of_models_is_refused(models: Any, server: tuple[SmallEndpoint, Source]) -> None:
    server[0].models = models
    with pytest.raises(ModelError, match=r"JSON|list of models"):
        open_model(server[1])


def test_unloading_ends_streams_and_the_thread(server: tuple[SmallEndpoint, Source]) -> None:
    endpoint, source = server
    endpoint.words, endpoint.delay = ["word "] * 500, 0.02
    generator = open_model(source)
    [stream] = generator.submit([Request(CHAT)])
    next(iter(stream))
    generator.close()
    list(stream)
    assert stream.completions[0].finish_reason == "cancelled"
    assert not [thread for thread in threading.enumerate() if thread.name == "endpoint remote"]
    with pytest.raises(ModelError, match="unloaded"):
        generator.submit([Request(CHAT)])
