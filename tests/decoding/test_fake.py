"""The fake keeps the contract of a generator."""

from genai_lab.decoding import Sampling
from genai_lab.models import Prompt, Request
from genai_lab.models.fake import FakeGenerator


def test_the_fake_says_the_same_for_the_same_request() -> None:
    request = Request(Prompt("Hello"), Sampling(seed=3, max_new_tokens=6, num_return_sequences=2))
    one, two = FakeGenerator().submit([request, request])
    said = [delta.text for delta in one if delta.completion == 1]
    assert list(two)
    assert "".join(said) == one.completions[1].text == two.completions[1].text
    assert [done.seed for done in one.completions] == [3, 4]


def test_the_fake_continues_stops_and_cancels() -> None:
    generator, sampling = FakeGenerator(), Sampling(seed=3, max_new_tokens=6)
    [stream] = generator.submit([Request(Prompt("Hello"), sampling)])
    list(stream)
    ids = tuple(token.id for token in stream.completions[0].tokens if token.id is not None)
    [rest] = generator.submit([Request(Prompt("Hello", prefix=ids[:2]), Sampling(seed=3, max_new_tokens=4))])
    list(rest)
    assert stream.completions[0].text.endswith(rest.completions[0].text)
    stop = stream.completions[0].tokens[3].text.strip()
    [stopped] = generator.submit([Request(Prompt("Hello"), Sampling(seed=3, max_new_tokens=6, stop=(stop,)))])
    assert stop not in "".join(delta.text for delta in stopped)
    [cancelled] = generator.submit([Request(Prompt("Hello"), sampling)])
    next(iter(cancelled))
    cancelled.cancel()
    list(cancelled)
    assert cancelled.completions[0].finish_reason == "cancelled"
