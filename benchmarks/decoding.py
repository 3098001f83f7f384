"""The decode loop against transformers' `generate`: speed at batch 1 and 16, trace, shared prefix, independence.

`python -m benchmarks.decoding --out FILE`, for each benchmark model that is at hand. Both sides of a figure run in turn
in one process, on the same model, prompts and number of threads; figures are medians. Beside the clock stands the
processor time of the process, which other programs on the machine disturb less.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.support.bench_models import NAMES, SMOLLM2, STARTER, at_hand
from genai_lab.decoding import Sampling
from genai_lab.models import Card, Options, Prompt, Request, Source
from genai_lab.models.transformers import LocalGenerator, load_local

ROUNDS, TOKENS, REQUESTS = 7, 96, 1000
# A step of a large model takes so long that less must do.
LARGE_ROUNDS, LARGE_TOKENS, LARGE_REQUESTS = 2, 16, 16
# Least ratios to `generate` by batch; a large model's step is mostly the reading of its weights.
AIMS = {STARTER: {1: 2.0, 16: 1.2}, SMOLLM2: {1: 1.5, 16: 1.15}}
SETTINGS: dict[str, Any] = {"temperature": 0.8, "top_k": 50, "top_p": 0.95}
TEXT = "Once there was a boy called Felix who wanted a kite and asked his old friend for help near the river"
WORDS = TEXT.split(" ")
Timed = tuple[float, float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--models", nargs="*", default=[], choices=NAMES)
    parser.add_argument("--large", action="store_true", help="random weights in the shape of a Llama of 135M instead")
    parser.add_argument("--tokens", type=int, help=f"new tokens a row (default: {TOKENS}, {LARGE_TOKENS} of a large)")
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}, {LARGE_ROUNDS} for a large model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--requests", type=int, help="for alone against batched")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = {}
    if options.large:
        results["random, 135M"] = measured("random, 135M", large_model(), options)
    else:
        for name, folder in at_hand(options.models):
            results[name] = measured(name, opened(name, folder), options)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({"threads": options.threads, "models": results}, indent=1) + "\n")
    return 0


def measured(name: str, generator: LocalGenerator, options: argparse.Namespace) -> dict[str, Any]:
    """All figures of one model, printed as they come; it is closed in the end."""
    size = sum(weight.numel() for weight in generator.module.parameters())
    large = size > 30_000_000
    tokens = options.tokens or (LARGE_TOKENS if large else TOKENS)
    rounds = options.rounds or (LARGE_ROUNDS if large else ROUNDS)
    requests = options.requests or (LARGE_REQUESTS if large else REQUESTS)
    # No side may end early: every row generates all its tokens.
    generator._ends = frozenset()
    generator.module.generation_config.eos_token_id = None
    # The scheduler's thread has a number of its own; both sides are to have the same.
    generator.scheduler.call(lambda: torch.set_num_threads(options.threads))
    generator.prepare()
    about = f"{name}, {size / 1e6:.1f}M parameters, float32, CPU, {tokens} tokens a row"
    print(f"{about}; {options.threads} thread(s), {rounds} rounds, medians")
    figures = []
    for kind in ("sampled", "greedy"):
        figures += [speed(generator, kind, batch, rounds, tokens, AIMS.get(name, {})) for batch in (1, 4, 16)]
    if not large:
        figures += [*traces(generator, rounds), shared_prefix(generator, rounds)]
    for row in figures:
        print(line(row), flush=True)
    cancel = cancel_seconds(generator, rounds)
    print(f"cancel to end of stream, worst: {cancel * 1000:.1f} ms (at most 300)")
    different = differences(generator, requests)
    print(f"requests whose text differs alone and in a batch: {different} of {requests} (aim: 0)", flush=True)
    generator.close()
    return {
        "model": about, "rounds": rounds, "figures": figures, "cancel_seconds": cancel, "different_texts": different,
        "requests": requests,
    }  # fmt: skip


def opened(name: str, folder: Path) -> LocalGenerator:
    card = Card(name, Source("local", str(folder)), "generate", "decoder-only", "Llama")
    return load_local(folder, card, Options(device="cpu"))


def large_model() -> LocalGenerator:
    """The shape of SmolLM2-135M, so that nothing has to be downloaded."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from genai_lab.starter.tokenizer import build_tokenizer

    torch.manual_seed(0)
    sizes = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "vocab_size": 49_152}
    heads = {"num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 8192}
    module = LlamaForCausalLM(LlamaConfig(**sizes, **heads, tie_word_embeddings=True)).eval()
    card = Card("random", Source("local", "random"), "generate", "decoder-only", "Llama")
    return LocalGenerator(card, module, build_tokenizer("causal", 0), 8192)


def speed(
    generator: LocalGenerator, kind: str, size: int, rounds: int, tokens: int, aims: dict[int, float]
) -> dict[str, Any]:
    requests = some_requests(size, greedy=kind == "greedy", tokens=tokens)
    sides = {"generate": theirs(generator, requests), "ours": ours(generator, requests)}
    aim = f"at least {aims[size]}x" if size in aims else "no aim"
    return compared(f"batch {size}, {kind}", sides, size * tokens, rounds, aim)


def traces(generator: LocalGenerator, rounds: int) -> list[dict[str, Any]]:
    """8 alternatives of each of the four stages of every token."""
    results = []
    for size in (1, 16):
        plain, traced = some_requests(size), some_requests(size, trace=8)
        sides = {"plain": ours(generator, plain), "traced": ours(generator, traced)}
        results.append(compared(f"trace, batch {size}", sides, size * TOKENS, rounds, "at least 0.75x"))
    return results


def shared_prefix(generator: LocalGenerator, rounds: int) -> dict[str, Any]:
    """64 prompts behind the same 8 shots, 8 new tokens each, as classification by examples has."""
    shots = "".join(f"Review: the {w} was good and the {w} was fine.\nSentiment: positive\n\n" for w in WORDS[4:12])
    texts = [f"{shots}Review: the {WORDS[i % 20]} number {i} was bad.\nSentiment:" for i in range(64)]
    sampling = Sampling(max_new_tokens=8, seed=0, **SETTINGS)
    plain = [Request(Prompt(text), sampling) for text in texts]
    shared = [Request(Prompt(text, shared=len(shots)), sampling) for text in texts]

    def forgetful() -> None:
        generator.scheduler.network.forget_prefixes()
        drain(generator, shared)

    sides = {"without": ours(generator, plain), "shared": forgetful}
    return compared("8 shots, 64 prompts", sides, 64 * 8, rounds, "at least 1.8x")


def cancel_seconds(generator: LocalGenerator, rounds: int) -> float:
    """From `cancel` to the end of iteration, in a batch of 16, the worst of all rounds."""
    worst = 0.0
    for _ in range(rounds):
        streams = generator.submit(some_requests(16, tokens=400))
        next(iter(streams[0]))
        began = time.perf_counter()
        for stream in streams:
            stream.cancel()
        for stream in streams:
            for _delta in stream:
                continue
        worst = max(worst, time.perf_counter() - began)
    return worst


def differences(generator: LocalGenerator, count: int) -> int:
    """How many of `count` varied requests get another text alone than in batches of up to 64."""
    requests = []
    for i in range(count):
        prompt = " ".join(WORDS[(i * 7 + j) % len(WORDS)] for j in range(1 + i % 30))
        settings = {"temperature": 0.5 + i % 6 / 4, "top_k": (0, 40)[i % 2], "top_p": (1.0, 0.9, 0.6)[i % 3]}
        requests.append(
            Request(Prompt(prompt), Sampling(max_new_tokens=8 + i % 33, seed=i, greedy=i % 10 == 0, **settings))
        )
    together = drain(generator, requests)
    alone = [drain(generator, [request])[0] for request in requests]
    return sum(a != b for a, b in zip(together, alone, strict=True))


def some_requests(size: int, greedy: bool = False, trace: int = 0, tokens: int = TOKENS) -> list[Request]:
    """Prompts of the same 20 words in turned order, so that `generate` needs little or no padding."""
    texts = [" ".join(WORDS[i:] + WORDS[:i]) for i in range(size)]
    settings = {"greedy": True} if greedy else SETTINGS
    return [Request(Prompt(t), Sampling(max_new_tokens=tokens, seed=i, **settings), trace) for i, t in enumerate(texts)]


def ours(generator: LocalGenerator, requests: Sequence[Request]) -> Callable[[], Any]:
    return lambda: drain(generator, requests)


def drain(generator: LocalGenerator, requests: Sequence[Request]) -> list[str]:
    streams = generator.submit(requests)
    for stream in streams:
        for _ in stream:
            continue
    return [stream.completions[0].text for stream in streams]


def theirs(generator: LocalGenerator, requests: Sequence[Request]) -> Callable[[], Any]:
    texts = [request.prompt.text for request in requests]
    sampling = requests[0].sampling
    selection = {"do_sample": False} if sampling.greedy else {"do_sample": True, **SETTINGS}
    tokenizer = generator.tokenizer

    def run() -> list[str]:
        read = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left")
        ids, mask = read["input_ids"], read["attention_mask"]
        pad = tokenizer.pad_token_id or 0
        out = generator.module.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=sampling.max_new_tokens, pad_token_id=pad, **selection
        )
        result: list[str] = tokenizer.batch_decode(out[:, ids.shape[1] :])
        return result

    return run


def compared(name: str, sides: dict[str, Callable[[], Any]], tokens: int, rounds: int, aim: str) -> dict[str, Any]:
    """Runs both sides in turn; tokens/s of each, and the ratio of the second to the first."""
    times: dict[str, list[Timed]] = {side: [] for side in sides}
    for each in range(rounds + 1):
        for side, run in sides.items():
            clock, processor_time = time.perf_counter(), time.process_time()
            run()
            if each:
                times[side].append((time.perf_counter() - clock, time.process_time() - processor_time))
    clock_times = {side: statistics.median(t[0] for t in result) for side, result in times.items()}
    own_times = {side: statistics.median(t[1] for t in result) for side, result in times.items()}
    first, second = sides
    return {
        "figure": name,
        "aim": aim,
        "tokens_per_second": {side: tokens / seconds for side, seconds in clock_times.items()},
        "ratio": clock_times[first] / clock_times[second],
        "processor_ratio": own_times[first] / own_times[second],
    }


def line(row: dict[str, Any]) -> str:
    sides = "   ".join(f"{side} {speed:7.0f} tok/s" for side, speed in row["tokens_per_second"].items())
    ratios = f"{row['ratio']:5.2f}x by the clock, {row['processor_ratio']:5.2f}x in processor time"
    return f"{row['figure']:20} {sides}   {ratios} ({row['aim']})"


if __name__ == "__main__":
    sys.exit(main())
