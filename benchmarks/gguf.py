"""`python -m benchmarks.gguf FILE.gguf`: the lab's backend for GGUF files beside llama.cpp's wheel used by itself.

Speed at one text and at sixteen together, by turns in one process, medians of rounds; what the lab's run service leaves
of it; load time; memory of a process of its own beside what the card foresees; and whether a seed gives one text alone,
together and behind a kept prefix. `FILE` lies in a folder that the lab may read.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.decoding import Sampling
from genai_lab.memory import peak, resident
from genai_lab.models import BACKENDS, Card, Generator, Options, Prompt, Request, Source
from genai_lab.models.llama_server import threads

ROUNDS, TOKENS, STREAMS, SLOT = 3, 48, 16, 512
PROMPT = "Once upon a time there was a small boy who"
Speed = Callable[[int], tuple[int, float]]


def card_of(path: Path) -> tuple[Card, Options]:
    options = Options(roots=(path.parent,))
    return BACKENDS.get("gguf").inspect(Source("gguf", str(path)), path.stem, options), options


def prompts(count: int) -> list[str]:
    return [PROMPT if count == 1 else f"Story {number}. {PROMPT}" for number in range(count)]


def plain_server(path: Path, slots: int) -> Any:
    """llama.cpp's server with its own settings, but for the number of threads and the room of a slot."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx, parameters.n_parallel = slots * SLOT, slots
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads()
    parameters.verbosity = 0
    server = xllamacpp.Server(parameters)
    # One that is closed before it has begun to work waits for itself for ever.
    server.handle_completions({"prompt": [0], "n_predict": 1, "stream": True}, lambda event: False)
    return server


def plain_side(servers: dict[int, Any]) -> Speed:
    """(new tokens, seconds) of so many texts at once, each asked for from a thread of its own."""

    def measure(count: int) -> tuple[int, float]:
        tokens = [0] * count

        def one(place: int, prompt: str) -> None:
            def take(event: dict[str, Any]) -> bool:
                tokens[place] = event.get("usage", {}).get("completion_tokens", tokens[place])
                return False

            request = {"prompt": prompt, "n_predict": TOKENS, "temperature": 0, "stream": True}
            servers[count].handle_completions(request, take)

        asking = [threading.Thread(target=one, args=pair) for pair in enumerate(prompts(count))]
        began = time.perf_counter()
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        return sum(tokens), time.perf_counter() - began

    return measure


def lab_side(generator: Generator, trace: int) -> Speed:
    def measure(count: int) -> tuple[int, float]:
        sampling = Sampling(greedy=True, seed=0, max_new_tokens=TOKENS)
        began = time.perf_counter()
        streams = generator.submit([Request(Prompt(prompt), sampling, trace) for prompt in prompts(count)])
        for stream in streams:
            list(stream)
        seconds = time.perf_counter() - began
        return sum(stream.completions[0].completion_tokens for stream in streams), seconds

    return measure


def service_side(lab: Any, name: str) -> Speed:
    """Through the service that the playground, the API and the command line call; the run is saved."""
    from genai_lab.services import generation

    def measure(count: int) -> tuple[int, float]:
        sampling = Sampling(greedy=True, seed=0, max_new_tokens=TOKENS)
        began = time.perf_counter()
        view = generation.generate(lab, name, Prompt(PROMPT), sampling)
        return view.completions[0].completion_tokens, time.perf_counter() - began

    return measure


def compare(sides: dict[str, Speed], count: int) -> None:
    """Tokens a second of each side, and their ratios to llama.cpp's within a round."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for measure in sides.values():
        measure(count)
    for turn in range(ROUNDS):
        for name in list(sides) if turn % 2 else list(sides)[::-1]:
            tokens, seconds = sides[name](count)
            rates[name].append(tokens / seconds)
    plain = rates["llama.cpp"]
    ratios = {
        name: [round(value, 2) for value in _spread([a / b for a, b in zip(values, plain, strict=True)])]
        for name, values in rates.items()
        if name != "llama.cpp"
    }
    found = {name: round(statistics.median(values), 1) for name, values in rates.items()}
    print(json.dumps({"texts": count, "tokens/s": found, "of llama.cpp's (least, median, most)": ratios}), flush=True)


def _spread(values: list[float]) -> tuple[float, float, float]:
    return min(values), statistics.median(values), max(values)


def loading(path: Path, card: Card, options: Options) -> None:
    lab, plain = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        BACKENDS.get("gguf").load(card, options).close()
        lab.append(time.perf_counter() - began)
        began = time.perf_counter()
        server = plain_server(path, 4)
        del server
        plain.append(time.perf_counter() - began)
    print(
        json.dumps(
            {"load s": {"lab": round(statistics.median(lab), 2), "llama.cpp": round(statistics.median(plain), 2)}}
        )
    )


def memory(path: Path) -> None:
    """In a process of its own: what the model takes at most, through every shape of its slots."""
    card, options = card_of(path)
    before = resident()
    generator = BACKENDS.get("gguf").load(card, options)
    for prompt, count in ((PROMPT, 16), ("time and " * 1050, 1), (PROMPT, 4)):
        streams = generator.submit([Request(Prompt(prompt), Sampling(max_new_tokens=8, seed=0), 8)] * count)
        for stream in streams:
            list(stream)
    most = peak() - before
    generator.close()
    foreseen = card.memory_bytes or 0
    print(
        json.dumps(
            {"MB": {"foreseen": foreseen // 10**6, "most": most // 10**6, "after": (resident() - before) // 10**6}}
        )
    )


def seeds(generator: Generator) -> None:
    """Of 16 short and 4 long prompts, how many have the same text and the same log-probabilities again."""
    long = "The river ran past the old mill where the miller kept his cat and two dogs. " * 12
    texts = [*prompts(STREAMS), *(f"{long}{prompt}" for prompt in prompts(4))]
    requests = [Request(Prompt(text), Sampling(seed=place, max_new_tokens=24)) for place, text in enumerate(texts)]

    def drawn(groups: list[list[Request]]) -> list[list[Any]]:
        found = []
        for group in groups:
            streams = generator.submit(group)
            for stream in streams:
                list(stream)
            found += [[(token.id, token.logprob) for token in stream.completions[0].tokens] for stream in streams]
        return found

    alone = drawn([[request] for request in requests])
    for name, groups in (("again", [[request] for request in requests]), ("together", [requests])):
        same = sum(a == b for a, b in zip(alone, drawn(groups), strict=True))
        print(json.dumps({f"equal {name}": f"{same} of {len(texts)}"}), flush=True)


def main() -> None:
    path = Path(sys.argv[1]).resolve()
    print(subprocess.check_output([sys.executable, "-m", "benchmarks.gguf", str(path), "memory"], text=True).strip())
    card, options = card_of(path)
    loading(path, card, options)
    generator = BACKENDS.get("gguf").load(card, options)
    plain = plain_side({1: plain_server(path, 1), STREAMS: plain_server(path, STREAMS)})
    with tempfile.TemporaryDirectory() as home:
        lab = bootstrap.open_lab(Config(home=Path(home), model_roots=(path.parent,)))
        try:
            from genai_lab.services import models

            models.add(lab, card.name, card.source)
            backend = {
                "llama.cpp": plain,
                "backend": lab_side(generator, 0),
                "backend, 8 alternatives": lab_side(generator, 8),
            }
            compare({**backend, "run service": service_side(lab, card.name)}, 1)
            compare(backend, STREAMS)
        finally:
            lab.close()
    seeds(generator)
    generator.close()


if __name__ == "__main__":
    memory(Path(sys.argv[1])) if sys.argv[2:] == ["memory"] else main()
