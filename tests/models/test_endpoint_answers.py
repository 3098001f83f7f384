"""What servers really send, read leniently: each answer comes in pieces of seven bytes."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from genai_lab.decoding import Completion, Sampling
from genai_lab.errors import ModelError
from genai_lab.models import BACKENDS, Options, Prompt, Request, Source
from genai_lab.models.endpoint import EndpointGenerator
from genai_lab.models.endpoint_events import count, words_of, words_of_body
from genai_lab.models.endpoint_stream import Limits
from tests.models.servers import SmallEndpoint, begin_events, serving

CHAT = Prompt(messages=({"role": "user", "content": "Hi"},), mode="chat")
SMALL = Limits(first_token=60, whole=120, characters=200)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[SmallEndpoint, EndpointGenerator]]:
    endpoint, backend = SmallEndpoint(), BACKENDS.get("endpoint")
    with serving(endpoint.handler()) as address:
        card = backend.inspect(Source("endpoint", address, remote_name="tiny"), "remote", Options(timeout=20.0))
        generator = EndpointGenerator(card, 20.0, limits=SMALL)
        yield endpoint, generator
        generator.close()


@pytest.fixture
def endpoint(served: tuple[SmallEndpoint, EndpointGenerator]) -> SmallEndpoint:
    served[0].answer, served[0].received = None, []
    served[1].server.refused.clear()
    return served[0]


@pytest.fixture
def generator(served: tuple[SmallEndpoint, EndpointGenerator]) -> EndpointGenerator:
    return served[1]


def pieces(body: str | bytes, kind: str = "text/event-stream", status: int = 200) -> Any:
    full = body.encode() if isinstance(body, str) else body

    def answer(handler: BaseHTTPRequestHandler, received: dict[str, Any]) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.end_headers()
        for start in range(0, len(full), 7):
            handler.wfile.write(full[start : start + 7])
            handler.wfile.flush()

    return answer


def data(*values: Any, done: bool = True) -> str:
    lines = [f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n" for value in values]
    return "".join(lines) + ("data: [DONE]\n\n" if done else "")


def says(content: Any = None, reason: str | None = None, **options: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    return {"choices": [{"index": 0, "delta": delta | options.pop("delta", {}), "finish_reason": reason, **options}]}


def completed(generator: EndpointGenerator, trace: int = 0, **sampling: Any) -> tuple[Completion, str | None]:
    """The completion, and the error where the stream ends with one."""
    [stream] = generator.submit([Request(CHAT, Sampling(**sampling), trace)])
    error = None
    try:
        streamed = "".join(delta.text for delta in stream)
    except ModelError as problem:
        error = str(problem)
    else:
        assert streamed == stream.completions[0].text
    return stream.completions[0], error


STOP = says(reason="stop")
WHOLE = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}
GOOD: dict[str, tuple[str, str]] = {
    "usage without choices": (data(says("Hel"), says("lo"), STOP, {"usage": {"prompt_tokens": 3}}), "end of text"),
    "choices that are null": (data(says("Hel"), {"choices": None}, says("lo"), STOP), "end of text"),
    "no finish reason": (data(says("Hel"), says("lo"), {"choices": [], "usage": {}}), "end of text"),
    "finish reason without an end": (data(says("Hel"), says("lo"), STOP, done=False), "end of text"),
    "parts": (data(says([{"type": "text", "text": "Hel"}]), says(["l", {"text": "o"}]), STOP), "end of text"),
    "empty data": ("id: 1\ndata:\n\n" + data(says("Hel"), says("lo"), STOP), "end of text"),
    "values that are no events": (data("null", says("Hel"), "[]", '"ping"', "1", says("lo"), STOP), "end of text"),
    "events of several lines": (
        data(json.dumps(says("Hello"), indent=1).replace("\n", "\ndata: "), STOP), "end of text",
    ),
    "comments and carriage returns": (": hi\r\n\r\n" + data(says("Hello"), STOP).replace("\n", "\r\n"), "end of text"),
    "no blank lines": (data(says("Hel"), says("lo"), STOP).replace("\n\n", "\n"), "end of text"),
    "byte order mark": ("\ufeff" + data(says("Hello"), STOP), "end of text"),
    "empty log-probabilities": (data(says("Hello", logprobs={"content": []}), STOP), "end of text"),
    "strange log-probabilities": (
        data(says("Hello", logprobs={"content": [{"token": 3}]}), STOP), "end of text",
    ),
    "numbers that are none": (
        data(says("Hel"), '{"choices": [{"delta": {"content": "lo"}, "logprobs": {"content": [{"token": "lo", '
             '"logprob": -Infinity}]}, "x": NaN}]}', STOP), "end of text",
    ),
    "other choices": (data({"choices": [{"index": 1, "text": "no"}]}, says("Hello"), STOP), "end of text"),
    "the whole message at the end": (data(says("Hello"), WHOLE), "end of text"),
    "not streamed": (json.dumps(WHOLE), "end of text"),
    "not streamed, indented": ("\n" + json.dumps(WHOLE, indent=2) + "\n", "end of text"),
    "not streamed, as text": (json.dumps({"choices": [{"text": "Hello", "finish_reason": "length"}]}), "length"),
    "refusal": (data(says(delta={"content": None, "refusal": "Hello"}), STOP), "end of text"),
    "content filter": (data(says("Hello"), says(reason="content_filter")), "content filter"),
    "length": (data(says("Hello"), says(reason="max_tokens")), "length"),
    "stop string": (data(says("Hello"), says(reason="stop", stop_reason="x")), "stop string"),
    "stop reason that is no string of ours": (
        data(says("Hello"), says(reason="stop", stop_reason="end_turn")), "end of text",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
def test_answer_is_read_whole(case: str, endpoint: SmallEndpoint, generator: EndpointGenerator) -> None:
    body, reason = GOOD[case]
    endpoint.answer = pieces(body)
    text_read, error = completed(generator, trace=2, stop=("x",))
    assert (text_read.text, text_read.finish_reason, error) == ("Hello", reason, None)
    assert "".join(token.text for token in text_read.tokens) == "Hello"


@pytest.mark.parametrize(
    "thinking",
    [
        {"reasoning_content": "Let me"},
        {"reasoning": "Let me"},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Let me"}]}]},
    ],
)
def test_reasoning_is_counted_and_named(
    thinking: dict[str, Any], endpoint: SmallEndpoint, generator: EndpointGenerator
) -> None:
    endpoint.answer = pieces(data(says(delta=thinking), says(delta=thinking), says(reason="length")))
    text_read, error = completed(generator)
    assert (text_read.text, text_read.finish_reason, text_read.reasoning_tokens, error) == ("", "length", 2, None)
    assert text_read.first_token_seconds is not None
    [note] = text_read.notes
    assert note.startswith("All 2 tokens went into reasoning")
    usage = {"usage": {"completion_tokens_details": {"reasoning_tokens": 40}}}
    endpoint.answer = pieces(data(says(delta=thinking), says("Hello"), STOP, usage))
    text_read, _ = completed(generator)
    assert (text_read.text, text_read.reasoning_tokens) == ("Hello", 40)
    assert text_read.notes == ("40 tokens of reasoning came before the answer.",)


def test_filtered_answer_says_so(endpoint: SmallEndpoint, generator: EndpointGenerator) -> None:
    endpoint.answer = pieces(data(says("Hel"), says(reason="content_filter")))
    assert completed(generator)[0].notes == ("The server's content filter cut the answer off.",)
    endpoint.answer = pieces(data(says(reason="content_filter")))
    assert completed(generator)[0].notes == ("The server's content filter held the answer back.",)


BROKEN: dict[str, tuple[str, str]] = {
    "end without an end": (data(says("Hel"), done=False), "in the middle"),
    "error": (data(says("Hel"), {"error": {"message": "out of memory"}}), "error: out of memory"),
    "error in a list": (data(says("Hel"), [{"error": {"code": 5, "message": "full"}}]), "error: full"),
    "error event": (data(says("Hel")) [:-14] + 'event: error\ndata: {"message": "bad"}\n\n', "error: bad"),
    "error line": (data(says("Hel"), done=False) + 'error: {"message": "bad"}\n\n', "error: bad"),
    "error object": (data(says("Hel"), {"object": "error", "message": "bad"}), "error: bad"),
    "error in a choice": (data(says("Hel"), says(reason="error", error={"message": "bad"})), "error: bad"),
    "finish reason that is a failure": (data(says("Hel"), says(reason="abort")), "for the reason 'abort'"),
    "no JSON": (data(says("Hel"), "{oops"), "not valid JSON"),
    "text that is none": (data(says("Hel"), says(5)), "text is not text"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_text_that_came_is_kept_where_the_end_is_odd(
    case: str, endpoint: SmallEndpoint, generator: EndpointGenerator
) -> None:
    body, message = BROKEN[case]
    endpoint.answer = pieces(body)
    text_read, error = completed(generator)
    assert (text_read.text, text_read.finish_reason) == ("Hel", "error")
    assert error is not None
    assert message in error


def test_answers_without_choices_say_what_they_hold(endpoint: SmallEndpoint, generator: EndpointGenerator) -> None:
    for body, message in ((b'{"message": "try later"}', "no choices: try later"), (b"<h1>Welcome</h1>", "Welcome")):
        endpoint.answer = pieces(body)
        text_read, error = completed(generator)
        assert text_read.text == ""
        assert error is not None
        assert message in error


@pytest.mark.parametrize("number", ["99999999999999999999", "9" * 4500, "-1", "true", '"7"', "7.5", "null", "1e400"])
def test_counts_that_are_none_are_left_out(number: str, endpoint: SmallEndpoint, generator: EndpointGenerator) -> None:
    usage = f'{{"choices": [], "usage": {{"prompt_tokens": {number}, "completion_tokens_details": 4}}}}'
    endpoint.answer = pieces(data(says("Hello"), STOP, usage))
    text_read, error = completed(generator)
    assert (text_read.text, text_read.prompt_tokens, text_read.reasoning_tokens, error) == ("Hello", 0, 0, None)


def test_count_is_a_whole_number_that_everything_can_keep() -> None:
    assert [count(value) for value in (0, 5, 2**31 - 1)] == [0, 5, 2**31 - 1]
    assert [count(value) for value in (2**31, -1, True, 1.0, "5", None)] == [None] * 6


def endless(event: bytes, pause: float = 0.0) -> Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]:
    def answer(handler: BaseHTTPRequestHandler, received: dict[str, Any]) -> None:
        begin_events(handler)
        while True:
            handler.wfile.write(event)
            handler.wfile.flush()
            time.sleep(pause)

    return answer


def test_endless_words_end_at_a_number_of_characters(endpoint: SmallEndpoint, generator: EndpointGenerator) -> None:
    endpoint.answer = endless(data(says("word "), done=False).encode())
    text_read, error = completed(generator)
    assert (text_read.finish_reason, error) == ("length", None)
    assert text_read.text.startswith("word word")
    assert len(text_read.text) <= SMALL.characters + 5
    assert "beyond 200 characters" in text_read.notes[0]


def test_trickling_answers_end_in_time_and_keep_what_came(
    endpoint: SmallEndpoint, generator: EndpointGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "limits", replace(SMALL, first_token=0.6))
    endpoint.answer = endless(b": keep-alive\n\n", 0.05)
    text_read, error = completed(generator)
    assert (text_read.text, text_read.finish_reason) == ("", "error")
    assert error is not None
    assert "sent no text for 0.6 s" in error
    monkeypatch.setattr(generator, "limits", replace(SMALL, whole=3))
    endpoint.answer = endless(data(says("a"), done=False).encode(), 0.05)
    text_read, error = completed(generator)
    assert text_read.text.startswith("aaa")
    assert error is not None
    assert "still sending after 3 s" in error


def test_limits_follow_from_the_settings() -> None:
    limits = Limits.of(Request(CHAT, Sampling(max_new_tokens=100)), timeout=30)
    assert limits == Limits(first_token=300, whole=700, characters=16_400)


EXTRA = {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}
WORDS: dict[str, tuple[Any, str]] = {
    "extra field": (EXTRA, "seed: Extra inputs are not permitted"),
    "message in an error": ({"error": {"message": "bad key", "type": "auth"}}, "bad key"),
    "text for an error": ({"error": "model missing"}, "model missing"),
    "detail in a message": ({"message": {"detail": [{"loc": ["body", "n"], "msg": "too large"}]}}, "n: too large"),
    "list around an error": ([{"error": {"code": 400, "message": "bad request"}}], "bad request"),
    "JSON within text": ({"error": {"message": '{"detail": "no such model"}'}}, "no such model"),
    "several": ({"errors": ["one", {"message": "two"}]}, "one; two"),
    "object": ({"object": "error", "message": "too long", "code": 40303}, "too long"),
    "nothing": ({"code": 7, "ok": False}, ""),
    "plain text": (b"upstream\n connect  error", "upstream connect error"),
    "gateway": (
        b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1><hr>nginx</body></html>",
        "502 Bad Gateway",
    ),
    "page without a title": (b"<p>It <b>is</b> asleep &amp; slow</p><script>1</script>", "It is asleep & slow"),
}  # fmt: skip


@pytest.mark.parametrize("case", WORDS)
def test_servers_own_words_are_shown(case: str) -> None:
    value, message = WORDS[case]
    assert words_of_body(value if isinstance(value, bytes) else json.dumps(value).encode()) == message


def test_words_of_deep_or_strange_errors_end() -> None:
    deep: Any = "down"
    for _ in range(50):
        deep = {"error": deep}
    assert words_of(deep) == ""
    assert len(words_of_body(b"<" * 100_000)) < 1000


def picky(refused: tuple[str, ...], body: Any = None, status: int = 422) -> Any:
    """A server that takes no field of `refused`, and says so as `body`, or by the names."""

    def answer(handler: BaseHTTPRequestHandler, received: dict[str, Any]) -> None:
        if unknown := [name for name in refused if name in received]:
            rows = [{"loc": ["body", name], "msg": "Extra inputs are not permitted"} for name in unknown]
            output = json.dumps({"detail": rows} if body is None else body)
            return pieces(output, "application/json", status)(handler, received)
        return pieces(data(says("Hello"), STOP))(handler, received)

    return answer


def test_optional_fields_are_left_out_once_and_the_run_is_told(
    endpoint: SmallEndpoint, generator: EndpointGenerator
) -> None:
    endpoint.answer = picky(("seed", "stream_options"))
    text_read, error = completed(generator, trace=2)
    assert (text_read.text, error) == ("Hello", None)
    assert text_read.notes == ("The server takes no seed, so that a replay may give another text.",)
    [first, again] = [body for _, body in endpoint.received]
    assert set(first) - set(again) == {"seed", "stream_options"}
    assert again["top_logprobs"] == 2
    text_read, _ = completed(generator)
    assert len(endpoint.received) == 3, "what is known of the server is not asked again"
    assert text_read.notes == ("The server takes no seed, so that a replay may give another text.",)


def test_log_probabilities_are_left_out_together(endpoint: SmallEndpoint, generator: EndpointGenerator) -> None:
    endpoint.answer = picky(("logprobs",), {"error": {"message": "logprobs are not supported"}}, 400)
    text_read, error = completed(generator, trace=2)
    assert (text_read.text, error, text_read.notes) == (
        "Hello",
        None,
        ("The server gives no probabilities of tokens.",),
    )
    assert {"logprobs", "top_logprobs"} & set(endpoint.received[-1][1]) == set()
    assert "seed" in endpoint.received[-1][1]


def test_refusal_without_a_name_leaves_all_optional_fields_out(
    endpoint: SmallEndpoint, generator: EndpointGenerator
) -> None:
    endpoint.answer = picky(("seed",), {"error": "unknown field"}, 400)
    assert completed(generator)[0].text == "Hello"
    assert set(endpoint.received[-1][1]) == {"model", "max_tokens", "temperature", "stream", "messages"}


def test_what_is_refused_twice_is_told_in_the_servers_words(
    endpoint: SmallEndpoint, generator: EndpointGenerator
) -> None:
    endpoint.answer = pieces(json.dumps(EXTRA), "application/json", 422)
    text_read, error = completed(generator)
    assert text_read.finish_reason == "error"
    assert error is not None
    assert error.endswith("answered with error 422: seed: Extra inputs are not permitted.")
    assert len(endpoint.received) == 2
    assert not generator.server.refused, "nothing is known of a server that refuses everything"
