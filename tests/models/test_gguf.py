"""GGUF files in llama.cpp: the contract of a model, seeds that replay whatever else is decoded, and bad files."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genai_lab.config import Config
from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, LabError, ModelError, PromptTooLong
from genai_lab.models import BACKENDS, Card, Generator, Options, Prompt, Request, detect_source, gguf
from genai_lab.models.cache import ModelCache
from genai_lab.models.gguf_generator import GgufGenerator, drawn_with
from genai_lab.models.gguf_header import read_header
from genai_lab.models.gguf_vocabulary import GgufVocabulary
from genai_lab.models.llama_server import first_error, is_installed
from genai_lab.services import generation, microscope, models
from genai_lab.training import architecture_of
from tests.models.gguf_files import write_gguf
from tests.tiny import open_new, random_model

needs_engine = pytest.mark.skipif(not is_installed(), reason="xllamacpp is not installed")
GREEDY = Sampling(greedy=True, seed=0, max_new_tokens=12)
DRAWN = Sampling(seed=5, max_new_tokens=24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model as transformers has it, and the same weights as tiny.gguf."""
    folder = tmp_path_factory.mktemp("gguf")
    write_gguf(random_model(folder / "tiny", chat=True), folder / "tiny.gguf")
    return folder


@pytest.fixture(scope="module")
def options(folder: Path) -> Options:
    return Options("cpu", "float32", (folder,))


@pytest.fixture(scope="module")
def card(folder: Path, options: Options) -> Card:
    source = detect_source(str(folder / "tiny.gguf"), options)
    return BACKENDS.get(source.backend).inspect(source, "tiny", options)


@pytest.fixture(scope="module")
def generator(card: Card, options: Options) -> Iterator[Generator]:
    if not is_installed():
        pytest.skip("xllamacpp is not installed")
    generator = BACKENDS.get("gguf").load(card, options)
    yield generator
    generator.close()


def completed(generator: Generator, *prompts: str, sampling: Sampling = GREEDY, trace: int = 0) -> list[Any]:
    """One completion a prompt, all of them asked for together."""
    streams = generator.submit([Request(Prompt(prompt), sampling, trace) for prompt in prompts])
    for stream in streams:
        list(stream)
    return [stream.completions[0] for stream in streams]


def test_a_card_is_read_from_the_header(card: Card, folder: Path) -> None:
    assert (card.engine, card.family, card.dtype, card.context) == ("llama.cpp", "decoder-only", "F32", 512)
    assert card.modes == ("chat", "completion")
    assert card.path == folder / "tiny.gguf"
    assert not card.has_weights
    # 2 layers of 4 heads of 8 numbers, keys and values in two bytes each, of 8,192 tokens.
    assert card.cache_bytes == 2 * 2 * 4 * 8 * 2 * 8192
    assert card.memory_bytes == (card.disk_bytes or 0) + card.cache_bytes + gguf.SCRATCH


def test_greedy_text_and_its_probabilities_are_those_of_torch(
    generator: Generator, folder: Path, options: Options
) -> None:
    local = BACKENDS.get("local")
    copy = local.load(local.inspect(detect_source(str(folder / "tiny"), options), "copy", options), options)
    try:
        prompt = "Once upon a time there was"
        [ours], [theirs] = completed(copy, prompt, trace=5), completed(generator, prompt, trace=5)
        assert generator.tokenize(prompt) == copy.tokenize(prompt)
        chat = Prompt(messages=({"role": "user", "content": "Hello"},), mode="chat")
        assert generator.context_ids(chat) == copy.context_ids(chat)
    finally:
        copy.close()
    assert theirs.text == ours.text
    assert [token.text for token in theirs.tokens] == [token.text for token in ours.tokens]
    told = [(mine, other) for mine, other in zip(theirs.tokens, ours.tokens, strict=True) if mine.logprob is not None]
    # llama.cpp keeps tokens of an incomplete character to itself.
    assert len(told) > 5
    for mine, other in told:
        assert mine.logprob == pytest.approx(other.logprob, abs=0.02)
        assert mine.probability == 1
        assert mine.stages[0].probabilities == pytest.approx(other.stages[0].probabilities, abs=0.005)
        assert mine.stages[0].ids[0] == mine.id


def test_a_seed_gives_one_text_alone_among_others_and_behind_a_kept_prefix(generator: Generator) -> None:
    prompts = [f"Once upon a time there was a small model. {number} time" for number in range(12)]
    prompts.append("Once upon a time there was a small model. " * 6)
    alone = [completed(generator, prompt, sampling=DRAWN)[0] for prompt in prompts]
    again = [completed(generator, prompt, sampling=DRAWN)[0] for prompt in prompts]
    together = completed(generator, *prompts, sampling=DRAWN)
    for others in (again, together):
        assert [other.text for other in others] == [one.text for one in alone]
        for one, other in zip(alone, others, strict=True):
            told = [token.logprob for token in one.tokens if token.logprob is not None]
            assert [t.logprob for t in other.tokens if t.logprob is not None] == pytest.approx(told, abs=1e-4)
    assert len({one.text for one in alone}) > 1


@needs_engine
def test_a_model_can_be_closed_as_soon_as_it_is_loaded(card: Card, options: Options) -> None:
    for _ in range(3):
        generator = BACKENDS.get("gguf").load(card, options)
        generator.close()
        with pytest.raises(ModelError, match="has been unloaded"):
            generator.count_tokens(Prompt("Once"))


def test_completions_of_a_prompt_count_their_seeds_up(generator: Generator) -> None:
    [stream] = generator.submit([Request(Prompt("Once"), replace(DRAWN, num_return_sequences=3))])
    deltas = list(stream)
    assert [completion.seed for completion in stream.completions] == [5, 6, 7]
    for completion in stream.completions:
        assert "".join(d.text for d in deltas if d.completion == completion.index) == completion.text
        assert completion.tokens == tuple(t for d in deltas if d.completion == completion.index for t in d.tokens)
    [second] = completed(generator, "Once", sampling=replace(DRAWN, seed=6))
    assert second.text == stream.completions[1].text


def test_a_text_ends_for_each_reason(generator: Generator) -> None:
    [whole] = completed(generator, "Once upon", sampling=DRAWN)
    assert (whole.finish_reason, whole.completion_tokens) == ("length", 24)
    stop = whole.text[8:11]
    [stopped] = completed(generator, "Once upon", sampling=replace(DRAWN, stop=(stop,)))
    assert stopped.finish_reason == "stop string"
    assert stopped.text == whole.text[: whole.text.index(stop)]
    [stream] = generator.submit([Request(Prompt("Once upon"), replace(DRAWN, max_new_tokens=400))])
    next(iter(stream))
    stream.cancel()
    list(stream)
    assert stream.completions[0].finish_reason == "cancelled"
    assert whole.text.startswith(stream.completions[0].text[:5])


def test_a_text_goes_on_from_tokens(generator: Generator) -> None:
    [whole] = completed(generator, "Once upon")
    ids = tuple(token.id for token in whole.tokens)
    [stream] = generator.submit([Request(Prompt("Once upon", prefix=ids[:4]), replace(GREEDY, max_new_tokens=8))])
    list(stream)
    assert [token.id for token in stream.completions[0].tokens] == list(ids[4:])
    assert generator.prefix_text(Prompt("Once upon", prefix=ids[:4])) + stream.completions[0].text == whole.text


def test_what_llama_cpp_lacks_and_what_is_too_long_are_refused(generator: Generator) -> None:
    for setting in ({"num_beams": 2}, {"no_repeat_ngram_size": 3}):
        with pytest.raises(BadSetting, match=r"since llama\.cpp has none"):
            generator.submit([Request(Prompt("Once"), Sampling(**setting))])  # type: ignore[arg-type]
    with pytest.raises(PromptTooLong, match="512"):
        generator.submit([Request(Prompt("time " * 600), GREEDY)])
    with pytest.raises(LabError, match="prompt is empty"):
        generator.submit([Request(Prompt(""), GREEDY)])


def test_repetition_penalty_looks_back_on_the_prompt_and_the_text(generator: Generator) -> None:
    [plain] = completed(generator, "Once upon a time", sampling=replace(GREEDY, max_new_tokens=40))
    [varied] = completed(
        generator, "Once upon a time", sampling=replace(GREEDY, max_new_tokens=40, repetition_penalty=3.0)
    )
    assert len({token.id for token in varied.tokens}) > len({token.id for token in plain.tokens})


def test_the_drawn_probability_is_said_only_where_it_is_known() -> None:
    best = [(7, -0.5), (8, -1.5), (9, -2.5)]
    assert drawn_with(Sampling(greedy=True), 7, -0.5, best) == 1
    assert drawn_with(Sampling(temperature=1.0), 8, -1.5, best) == pytest.approx(0.2231, abs=1e-4)
    assert drawn_with(Sampling(temperature=0.5, top_k=2), 8, -1.5, best) == pytest.approx(1 / (1 + 7.389), abs=1e-3)
    assert drawn_with(Sampling(temperature=1.0, top_k=2, top_p=0.5), 7, -0.5, best) == 1
    assert drawn_with(Sampling(temperature=0.5), 8, -1.5, best) is None
    assert drawn_with(Sampling(temperature=0.5, top_k=2, min_p=0.1), 8, -1.5, best) is None


def test_a_model_is_counted_in_the_budget_and_freed(card: Card, options: Options, generator: Generator) -> None:
    memory = card.memory_bytes or 0
    cache = ModelCache(memory + 1, options)
    held = cache.acquire(card)
    assert cache.used_bytes == memory
    assert held.count_tokens(Prompt("Once upon")) == generator.count_tokens(Prompt("Once upon"))
    [stream] = held.submit([Request(Prompt("Once"), replace(DRAWN, max_new_tokens=400))])
    next(iter(stream))
    cache.unload("tiny")
    list(stream)
    assert stream.completions[0].finish_reason == "cancelled"
    assert cache.used_bytes == 0
    cache.close()
    with pytest.raises(ModelError, match="raise GENAI_LAB_MEMORY_GB"):
        ModelCache(memory - 1, options).acquire(card)


def test_through_the_lab_it_generates_and_says_what_needs_torch(
    folder: Path, tmp_path: Path, generator: Generator
) -> None:
    lab = open_new(Config(home=tmp_path / "home", model_roots=(folder,)))
    try:
        models.add(lab, "tiny", models.detect_source(lab, str(folder / "tiny.gguf")))
        prompt = models.prompt_for(lab, "tiny", "Once upon a time")
        assert prompt.mode == "chat"
        view = generation.generate(lab, "tiny", prompt, GREEDY, trace=3)
        assert view.completions[0].text
        shown = [token.stages[0].alternatives for token in view.completions[0].tokens if token.stages]
        assert {len(alternatives) for alternatives in shown} == {3}
        for refused in (
            lambda: microscope.microscope(lab, view.id, 0, 0, GREEDY),
            lambda: architecture_of(models.show(lab, "tiny").card),
            lambda: lab.models.scoring(models.show(lab, "tiny").card).__enter__(),
        ):
            with pytest.raises(LabError, match=r"tiny runs in llama\.cpp, and .* needs torch"):
                refused()
    finally:
        lab.close()


def test_files_that_do_not_fit_are_refused_in_a_sentence(folder: Path, options: Options, tmp_path: Path) -> None:
    whole = (folder / "tiny.gguf").read_bytes()
    cut = folder / "cut.gguf"
    cut.write_bytes(whole[:-1000])
    with pytest.raises(ModelError, match="lies outside the file"):
        inspect(cut, options)
    (tmp_path / "far.gguf").write_bytes(whole)
    with pytest.raises(ModelError, match="lies outside the folders"):
        inspect(tmp_path / "far.gguf", options)
    for name, metadata, why in (
        ("part", {"split__count": 2}, "one part of several"),
        ("bert", {"architecture": "bert"}, "does not write text"),
        ("words", {"tokenizer__ggml__model": "rwkv", "model": None}, "tokenizer of the kind 'rwkv'"),
    ):
        path = write_gguf(folder / "tiny", folder / f"{name}.gguf", **metadata)
        with pytest.raises(ModelError, match=why):
            inspect(path, options)


@needs_engine
def test_what_llama_cpp_refuses_is_told_in_its_words(folder: Path, options: Options) -> None:
    path = write_gguf(folder / "tiny", folder / "flat.gguf", layers=None)
    with pytest.raises(ModelError, match=r"llama\.cpp refuses it \(.*key not found in model: llama\.block_count"):
        inspect(path, options)


@needs_engine
def test_a_file_is_tried_out_once_as_long_as_it_stays_the_same(
    folder: Path, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(options, hashes=tmp_path / "hashes.json")
    path = folder / "tried.gguf"
    path.write_bytes((folder / "tiny.gguf").read_bytes())
    inspect(path, options)
    gguf._tried.clear()
    counted: list[Any] = []
    monkeypatch.setattr(
        gguf.subprocess,
        "run",
        lambda *_, **__: counted.append(1) or subprocess.CompletedProcess([], 0, '"problem": ""'),
    )
    inspect(path, options)
    assert counted == []
    path.write_bytes((folder / "tiny.gguf").read_bytes() + bytes(32))
    inspect(path, options)
    assert counted == [1]


def test_a_file_that_ends_its_reader_ends_no_lab(
    folder: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "deadly.gguf"
    path.write_bytes((folder / "tiny.gguf").read_bytes())
    monkeypatch.setattr(gguf, "is_installed", lambda: True)
    monkeypatch.setattr(gguf.metadata, "version", lambda name: "0")
    monkeypatch.setattr(
        gguf.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], -11, stdout="", stderr="")
    )
    with pytest.raises(ModelError, match=r"llama.cpp is ended by it \(signal 11\)"):
        inspect(path, options)


def test_without_the_package_a_file_is_added_and_loading_says_what_is_missing(
    folder: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf, "is_installed", lambda: False)
    monkeypatch.setattr("genai_lab.models.llama_server.is_installed", lambda: False)
    path = folder / "other.gguf"
    path.write_bytes((folder / "tiny.gguf").read_bytes())
    card = inspect(path, options)
    with pytest.raises(ModelError, match="pip install xllamacpp"):
        BACKENDS.get("gguf").load(card, options)


def test_tokens_that_llama_cpp_holds_back_are_told_by_their_bytes(folder: Path) -> None:
    vocabulary = GgufVocabulary(read_header(folder / "tiny.gguf"))
    bird = "🦜".encode()
    ids = vocabulary.ids_of(bird)
    assert b"".join(map(vocabulary.bytes_of, ids)) == bird
    assert vocabulary.text(ids) == "🦜"
    assert vocabulary.text(ids[:-1]) == "\ufffd"


def test_a_control_token_is_shown_where_the_text_goes_on_behind_it(generator: Generator) -> None:
    assert isinstance(generator, GgufGenerator)
    end, word = {"id": 0, "logprob": -1.0}, {"id": 5, "logprob": -2.0}
    for entries, reason, shown in (([word, end], "stop", 1), ([end, word], "stop", 2), ([word, end], "length", 2)):
        [row] = generator._rows(Request(Prompt("Once"), GREEDY))
        for entry in entries:
            generator._read(row, {"choices": [{"logprobs": {"content": [entry]}, "finish_reason": None}]})
        generator._read(row, {"choices": [{"logprobs": None, "finish_reason": reason}]})
        assert row.stream.completions[0].completion_tokens == shown


def test_an_error_is_found_in_a_log() -> None:
    assert first_error("a\n0.1 E llama_model_load: error loading model: unknown thing.\nb") == "unknown thing"
    assert first_error("nothing") == ""


def inspect(path: Path, options: Options) -> Card:
    return BACKENDS.get("gguf").inspect(detect_source(str(path), options), path.stem, options)
