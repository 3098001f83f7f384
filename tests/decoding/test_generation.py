"""The loop against `generate`, and what shares a batch against what runs alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration

from genai_lab.decoding import Completion, Sampling
from genai_lab.decoding.soft_prompt import SoftPrompt
from genai_lab.models import Card, Options, Prompt, Request, Source
from genai_lab.models.transformers import LocalGenerator, load_local
from tests.decoding.conftest import SMALL, generator_of

PROMPTS = ["Once upon a time", "a", "The dog found a very long red rope in the garden", "Hello, you!", "12 34 56"]
ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT / "../shared/data/models/stories260K-hf", *sorted((ROOT / "genai_lab/starter/weights").glob("*"))]


def run(generator: LocalGenerator, requests: list[Request], **options: Any) -> list[tuple[Completion, ...]]:
    streams = generator.submit(requests, **options)
    for stream in streams:
        figures_by_name = {}
        for delta in stream:
            figures_by_name[delta.completion] = figures_by_name.get(delta.completion, "") + delta.text
        assert all(figures_by_name.get(completion.index, "") == completion.text for completion in stream.completions)
    return [stream.completions for stream in streams]


def texts(generator: LocalGenerator, requests: list[Request], **options: Any) -> list[list[str]]:
    return [[completion.text for completion in completions] for completions in run(generator, requests, **options)]


def ids_of(completion: Completion) -> list[int]:
    return [token.id for token in completion.tokens if token.id is not None]


def expected_ids(generator: LocalGenerator, prompt: str, count: int, **options: Any) -> list[int]:
    """What transformers' `generate` says, without the end token."""
    read = torch.tensor([generator.tokenizer(prompt)["input_ids"]])
    skip = 1 if generator.seq2seq else read.shape[1]
    out = generator.module.generate(
        input_ids=read, attention_mask=torch.ones_like(read), do_sample=False, max_new_tokens=count, **options
    )
    return [token for token in out[0, skip:].tolist() if token not in generator._ends]


def varied(count: int, length: int = 24) -> list[Request]:
    """Requests that differ in prompt, settings and seed."""
    results = []
    for i in range(count):
        settings = {"temperature": 0.5 + i % 5 / 4, "top_k": (0, 20, 5)[i % 3], "top_p": (1.0, 0.9)[i % 2]}
        options = {
            "min_p": 0.02 * (i % 7 == 0),
            "repetition_penalty": 1.2 if i % 4 == 0 else 1.0,
            "greedy": i % 11 == 0,
        }
        prompt = Prompt(PROMPTS[i % len(PROMPTS)] + " x" * (i % 6))
        results.append(Request(prompt, Sampling(max_new_tokens=3 + i % length, seed=i, **settings, **options)))
    return results


def test_greedy_equals_generate(either: LocalGenerator) -> None:
    results = run(either, [Request(Prompt(p), Sampling(greedy=True, max_new_tokens=40, seed=0)) for p in PROMPTS])
    for prompt, [completion] in zip(PROMPTS, results, strict=True):
        assert ids_of(completion) == expected_ids(either, prompt, 40)


def test_a_decoder_of_absolute_positions_may_be_deeper_than_its_encoder() -> None:
    torch.manual_seed(0)
    sizes = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 64, "init_std": 0.3}
    config = BartConfig(**SMALL, **sizes, **heads, decoder_start_token_id=0, forced_eos_token_id=None)
    generator = generator_of(BartForConditionalGeneration(config), 64)
    results = run(generator, [Request(Prompt(p), Sampling(greedy=True, max_new_tokens=12, seed=0)) for p in PROMPTS])
    assert [ids_of(completion) for [completion] in results] == [
        expected_ids(generator, prompt, 12) for prompt in PROMPTS
    ]
    generator.close()


def test_a_traced_step_is_used_and_equals_the_module(either: LocalGenerator) -> None:
    requests = varied(12)
    quick = texts(either, requests)
    network = either.scheduler.network
    step, network.quick = network.quick, None
    try:
        assert step is not None
        assert texts(either, requests) == quick
    finally:
        network.quick = step


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_greedy_equals_generate_on_trained_models(folder: Path) -> None:
    if not (folder / "model.safetensors").exists():
        pytest.skip(f"{folder.name} is not here")
    if "toxicity" in folder.name:
        pytest.skip("a classifier generates nothing")
    card = Card(folder.name, Source("local", str(folder)), "generate", "decoder-only", "any")
    generator = load_local(folder, card, Options(device="cpu"))
    prompts = ["Once upon a time", "Review: I liked the soup.\nSentiment:", "summarize: Tom: Hi! Ann: Hello."]
    results = run(generator, [Request(Prompt(p), Sampling(greedy=True, max_new_tokens=48, seed=0)) for p in prompts])
    for prompt, [completion] in zip(prompts, results, strict=True):
        assert ids_of(completion) == expected_ids(generator, prompt, 48)
    generator.close()


def test_neighbours_never_change_a_text(either: LocalGenerator) -> None:
    requests = varied(100)
    together = texts(either, requests)
    alone = [texts(either, [request])[0] for request in requests]
    assert together == alone
    assert either.scheduler.largest > 30


def test_rows_join_and_leave_between_steps(either: LocalGenerator) -> None:
    requests = varied(12, 40)
    alone = [texts(either, [request])[0] for request in requests]
    streams = []
    for request in requests:
        streams += either.submit([request])
        next(iter(streams[-1]), None)
    for stream in streams:
        for _ in stream:
            continue
    assert [[completion.text for completion in stream.completions] for stream in streams] == alone


def test_completions_count_their_seeds_up(either: LocalGenerator) -> None:
    [many] = run(either, [Request(Prompt("Once"), Sampling(seed=7, num_return_sequences=4, max_new_tokens=20))])
    singles = [run(either, [Request(Prompt("Once"), Sampling(seed=7 + i, max_new_tokens=20))])[0][0] for i in range(4)]
    assert [done.seed for done in many] == [7, 8, 9, 10]
    assert [done.text for done in many] == [done.text for done in singles]
    assert len({done.text for done in many}) > 1


def test_a_shared_prefix_gives_the_same_texts(llama: LocalGenerator) -> None:
    shots = "one two; three four; five six; "
    rests = ["seven", "a", "some more words here", "b c"]
    plain = [
        Request(Prompt(shots + remainder), Sampling(seed=i, max_new_tokens=20)) for i, remainder in enumerate(rests)
    ]
    shared = [Request(Prompt(r.prompt.text, shared=len(shots)), r.sampling) for r in plain]
    read = sum(len(ids) for _, ids in llama.scheduler.network._prefixes)
    assert texts(llama, shared) == texts(llama, plain)
    assert sum(len(ids) for _, ids in llama.scheduler.network._prefixes) > read


def test_turns_that_chats_share_are_read_once(llama: LocalGenerator) -> None:
    turns = ({"role": "user", "content": "one two"}, {"role": "assistant", "content": "three four"})
    chats = [(*turns, {"role": "user", "content": rest}) for rest in ("seven", "a", "some more words here", "b c")]
    plain = [
        Request(Prompt(messages=chat, mode="chat"), Sampling(seed=i, max_new_tokens=20)) for i, chat in enumerate(chats)
    ]
    shared = [Request(replace(request.prompt, shared=len(turns)), request.sampling) for request in plain]
    before = set(llama.scheduler.network._prefixes)
    assert texts(llama, shared) == texts(llama, plain)
    [(_, ids)] = set(llama.scheduler.network._prefixes) - before
    assert llama._decode(list(ids)).rstrip().startswith("<user> one two\n<assistant> three four")


def test_a_soft_prompt_comes_before_the_prompt(either: LocalGenerator) -> None:
    """Embeddings of tokens, given as a soft prompt, do what the tokens themselves do."""
    prompts, beginning = ["upon a time", "a b"], "Once "
    ids = either.tokenizer(beginning)["input_ids"]
    embedded = either.module.get_input_embeddings()(torch.tensor(ids)).detach()
    sampling = Sampling(seed=3, max_new_tokens=16)
    plain = texts(either, [Request(Prompt(beginning + p), sampling) for p in prompts])
    supplied = texts(either, [Request(Prompt(p), sampling) for p in prompts], soft=SoftPrompt(len(ids), embedded))
    assert supplied == plain


def test_rows_of_soft_prompts_and_plain_rows_share_a_batch(either: LocalGenerator) -> None:
    weights = either.module.get_input_embeddings().weight.detach()
    softs = [None, SoftPrompt(3, weights[5:8]), SoftPrompt(40, weights[:40] * 2), *([_keys(either, 2)] * 2)]
    requests = [varied(6)[i::2] for i in range(2) for _ in softs][: len(softs)]
    requests[-1] = [Request(replace(r.prompt, prefix=(20, 21)), r.sampling) for r in requests[-1]]
    alone = [[texts(either, [r], soft=soft)[0] for r in own] for own, soft in zip(requests, softs, strict=True)]
    rows = [row for own, soft in zip(requests, softs, strict=True) for r in own for row in either._rows(r, soft)]
    either.scheduler.submit(rows)
    for row in rows:
        for _ in row.stream:
            continue
    result = [[completion.text for completion in row.stream.completions] for row in rows]
    assert result == [text for soft in alone for text in soft]
    assert len({str(soft) for soft in alone}) == len(softs)


def _keys(generator: LocalGenerator, size: int) -> SoftPrompt:
    """Random keys and values before the decoder's."""
    layer = generator.module.config.get_text_config(decoder=True)
    heads = getattr(layer, "num_key_value_heads", None) or layer.num_attention_heads
    rng = torch.Generator().manual_seed(1)
    shape = (1, heads, size, 8)
    return SoftPrompt(
        size, None, tuple((torch.randn(shape, generator=rng), torch.randn(shape, generator=rng)) for _ in "ab")
    )


def test_beam_search_equals_generate(either: LocalGenerator) -> None:
    sampling = Sampling(num_beams=4, num_return_sequences=3, max_new_tokens=12, seed=0)
    [results] = run(either, [Request(Prompt("Once upon"), sampling)])
    assert ids_of(results[0]) == expected_ids(either, "Once upon", 12, num_beams=4)
    assert len(results) == 3


def test_a_batch_keeps_stepping_during_beam_search(llama: LocalGenerator) -> None:
    [slow] = llama.submit([Request(Prompt("Once"), Sampling(num_beams=4, max_new_tokens=120, seed=0))])
    [quick] = llama.submit([Request(Prompt("Once"), Sampling(greedy=True, max_new_tokens=5, seed=0))])
    for stream in (quick, slow):
        for _ in stream:
            continue
    assert quick.completions[0].seconds < slow.completions[0].seconds
