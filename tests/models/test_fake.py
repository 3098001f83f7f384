"""The fake model keeps the contract of a real one, through the services and without torch."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError, ModelError, PromptTooLong, UnknownName
from genai_lab.metrics import METRICS
from genai_lab.models import Prompt, Request, Source
from genai_lab.models.fake import FakeGenerator, fake_card
from genai_lab.models.fake_tokens import token_text, tokenize
from genai_lab.services import generation, microscope, models, rewards, scorers

SCRIPT = 'fake:{"kind": "completion", "answers": {"capital of France": "Paris, naïve", "sum": "4"}}'


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabContext]:
    lab = bootstrap.open_lab(Config(home=tmp_path))
    yield lab
    lab.close()


def scripted(script: str = SCRIPT) -> FakeGenerator:
    return FakeGenerator(fake_card(script))


def text_of(prompt: Prompt, sampling: Sampling, generator: FakeGenerator | None = None) -> list[str]:
    [stream] = (generator or FakeGenerator()).submit([Request(prompt, sampling)])
    list(stream)
    return [completion.text for completion in stream.completions]


def test_the_same_request_gives_the_same_text() -> None:
    request = Request(Prompt("Hello"), Sampling(seed=3, max_new_tokens=6, num_return_sequences=2))
    first_result, two = FakeGenerator().submit([request, request])
    texts = [delta.text for delta in first_result if delta.completion == 1]
    assert list(two)
    assert "".join(texts) == first_result.completions[1].text == two.completions[1].text
    assert [completion.seed for completion in first_result.completions] == [3, 4]
    assert first_result.completions[0].text != first_result.completions[1].text
    assert text_of(Prompt("Hello"), Sampling(seed=9)) != text_of(Prompt("Hullo"), Sampling(seed=9))


def test_a_text_goes_on_from_tokens_stops_and_is_cancelled() -> None:
    generator, sampling = FakeGenerator(), Sampling(seed=3, max_new_tokens=6)
    [stream] = generator.submit([Request(Prompt("Hello"), sampling)])
    list(stream)
    ids = tuple(token.id for token in stream.completions[0].tokens if token.id is not None)
    [rest_sampling] = text_of(Prompt("Hello", prefix=ids[:2]), Sampling(seed=3, max_new_tokens=4))
    assert stream.completions[0].text.endswith(rest_sampling)
    stop = stream.completions[0].tokens[3].text.strip()
    [stopped] = generator.submit([Request(Prompt("Hello"), Sampling(seed=3, max_new_tokens=6, stop=(stop,)))])
    assert stop not in "".join(delta.text for delta in stopped)
    assert stopped.completions[0].finish_reason == "stop string"
    [cancelled] = generator.submit([Request(Prompt("Hello"), sampling)])
    next(iter(cancelled))
    cancelled.cancel()
    list(cancelled)
    assert cancelled.completions[0].finish_reason == "cancelled"
    [never_read] = generator.submit([Request(Prompt("Hello"), sampling)])
    never_read.cancel()
    assert never_read.completions[0].finish_reason == "cancelled"


def test_a_script_answers_and_fails_as_it_says() -> None:
    generator = scripted()
    assert text_of(Prompt("The capital of France?"), Sampling(greedy=True), generator) == ["Paris, naïve"]
    assert text_of(Prompt("The sum?"), Sampling(seed=0), generator) == ["4"]
    [stream] = scripted('fake:{"failure": "The disk is full."}').submit([Request(Prompt("Hi"))])
    with pytest.raises(LabError, match="disk is full"):
        list(stream)
    assert stream.completions[0].finish_reason == "error"
    for script in ("fake:{", 'fake:{"kind": "bird"}', 'fake:{"anwsers": {}}'):
        with pytest.raises(LabError, match="script of a fake model"):
            scripted(script)


def test_probabilities_pass_through_every_processor() -> None:
    sampling = Sampling(temperature=0.7, top_k=5, top_p=0.9, repetition_penalty=1.2, seed=1, max_new_tokens=4)
    [stream] = FakeGenerator().submit([Request(Prompt("Once upon"), sampling, trace=3, return_logits=True)])
    list(stream)
    token = stream.completions[0].tokens[0]
    assert [stage.filter for stage in token.stages] == ["model", "repetition penalty", "temperature", "top-k", "top-p"]
    assert token.stages[0].probabilities[0] >= token.stages[0].probabilities[1] > 0
    assert 0 < (token.probability or 0) <= 1
    assert (token.logprob or 0) < 0
    assert stream.logits(0, 0).argmax() == token.stages[0].ids[0]


def test_greedy_and_beams_need_no_seed() -> None:
    greedy = Sampling(greedy=True, max_new_tokens=5)
    assert text_of(Prompt("Once"), greedy) == text_of(Prompt("Once"), greedy)
    texts = text_of(Prompt("Once"), Sampling(num_beams=3, num_return_sequences=3, max_new_tokens=5))
    assert len(set(texts)) == 3
    with pytest.raises(LabError, match="at most the 2 beams"):
        text_of(Prompt("Once"), Sampling(num_beams=2, num_return_sequences=3))


@pytest.mark.parametrize("text", ["Once upon a time", "naïve 你好\n\t x", " the dog  ran", ""])
def test_tokens_make_up_the_text_again(text: str) -> None:
    pieces = FakeGenerator().tokenize(text)
    assert len(pieces) == len(tokenize(text))
    if text.isascii():
        assert "".join(map(token_text, tokenize(text))) == text


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(PromptTooLong):
        text_of(Prompt("x" * 20), Sampling(), scripted('fake:{"context": 16}'))
    with pytest.raises(LabError, match="empty"):
        text_of(Prompt(""), Sampling())


def test_services_run_on_it_though_no_catalogue_lists_it(lab: LabContext) -> None:
    run = generation.generate(lab, "fake", Prompt("Once"), Sampling(seed=1, max_new_tokens=5), trace=4)
    assert run.status == "finished"
    assert run.completions[0].tokens[0].stages
    live = generation.replay(lab, run.id)
    live.wait()
    assert live.completions[0].text == run.completions[0].text
    view = microscope.microscope(lab, live.run_id, 0, 2, Sampling(top_k=4))
    assert view.chosen is not None
    assert "fake" not in [view.card.name for view in models.catalogue(lab)]
    assert "fake" in [view.card.name for view in models.catalogue(lab, hidden=True)]
    assert models.show(lab, "fake").card.modes == ("chat", "completion")
    models.add(lab, "parrot", Source("fake", SCRIPT))
    prompt = models.prompt_for(lab, "parrot", "The capital of France is")
    assert generation.generate(lab, "parrot", prompt, Sampling(greedy=True)).completions[0].text == "Paris, naïve"
    with pytest.raises(UnknownName, match="starter"):
        models.show(lab, "fakes")
    with pytest.raises(ModelError, match="not valid JSON"):
        models.show(lab, "fake:{")


def test_it_scores_by_its_role(lab: LabContext) -> None:
    toxic = scorers.CachedScorer(lab, models.show(lab, "fake-classifier").card).scores(["a", "b", "a"])
    assert toxic[0] == toxic[2] != toxic[1]
    assert (
        rewards.score(lab, "fake-reward", ["p", "p"], ["x", "y"])[0]
        != rewards.score(lab, "fake-reward", ["q"], ["x"])[0]
    )
    [likely] = scorers.CachedScorer(lab, models.show(lab, "fake").card).log_probabilities(["the small dog"])
    assert likely.total < 0 < likely.tokens
    with pytest.raises(ModelError, match="is not a classifier"):
        scorers.CachedScorer(lab, models.show(lab, "fake").card).scores(["a"])
    with pytest.raises(ModelError, match="no log-probabilities"):
        scorers.CachedScorer(lab, models.show(lab, "fake-reward").card).log_probabilities(["a"])
    assert set(lab.models.loaded()) == {"fake-classifier", "fake-reward", "fake (judge)"}


def test_a_metric_refuses_a_model_of_another_role(lab: LabContext) -> None:
    classifier, reward = (METRICS.get(name).settings for name in ("toxicity", "reward"))
    toxic = scorers.scorer_for(lab, "toxicity", classifier(model="fake-reward"))
    with pytest.raises(ModelError, match="fake-reward is not a classifier"):
        toxic.scores(["a"])  # type: ignore[union-attr]
    best = scorers.scorer_for(lab, "reward", reward(model="fake-classifier"), ["p"])
    with pytest.raises(ModelError, match="fake-classifier is not a reward model"):
        best.scores(["a"])  # type: ignore[union-attr]


def test_it_needs_no_torch() -> None:
    code = """
import sys
from genai_lab.decoding import Sampling
from genai_lab.models import Prompt, Request
from genai_lab.models.fake import FakeGenerator
[stream] = FakeGenerator().submit([Request(Prompt("Once"), Sampling(seed=1, top_p=0.9), trace=5)])
print(len(list(stream)) > 3, "torch" in sys.modules)
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["True", "False"]
