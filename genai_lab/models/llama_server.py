"""llama.cpp in this process, by the wheel xllamacpp: texts in slots that are decoded together.

Its server listens on this machine's own address, which cannot be turned off; a key drawn here keeps others out of it,
and only texts are cut into tokens there. Completions are asked for without HTTP.
"""

import importlib.util
import json
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai_lab.errors import ModelError
from genai_lab.models.connections import clear_errors, client

PACKAGE = "xllamacpp"
# Tokens that are read between two looks at whether a text is cancelled, and those that are computed together. More than
# 63 of the latter take another way through attention, whose rounding depends on what is read together: reading a prompt
# costs a quarter more time, and a seed gives one text whatever else is read.
READ_AT_ONCE, COMPUTED_AT_ONCE = 128, 32
SECONDS = 30.0


@dataclass(frozen=True)
class Shape:
    """How many texts have a slot at once, and how many tokens each slot holds."""

    slots: int
    tokens: int


def is_installed() -> bool:
    return importlib.util.find_spec(PACKAGE) is not None


def require_installed(name: str) -> None:
    """Raises ModelError where this machine has no llama.cpp."""
    if not is_installed():
        raise ModelError(
            f"{name} is a GGUF file, which llama.cpp reads by the package {PACKAGE}, and that is not installed here; "
            f"run pip install {PACKAGE}, or use a copy of the model for torch."
        )


def threads() -> int:
    """Cores less one. Its threads wait for each other without sleeping, so that one that gets no core holds all up."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, there - 1)


class LlamaServer:
    """A file, loaded for one shape. Raises ModelError where llama.cpp does not take it."""

    def __init__(self, path: Path, name: str, shape: Shape) -> None:
        import xllamacpp

        self.name, self.shape = name, shape
        key = secrets.token_hex(32)
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx = shape.slots * shape.tokens
        parameters.n_parallel = shape.slots
        # Each slot has cells of its own: what else is decoded then changes nothing of a text.
        parameters.kv_unified = False
        parameters.n_batch, parameters.n_ubatch = READ_AT_ONCE, COMPUTED_AT_ONCE
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads()
        # No second copy of prompts beside the slots, no pages, and nothing said on the terminal.
        parameters.cache_ram_mib = 0
        parameters.endpoint_slots = parameters.ui = parameters.warmup = parameters.fit_params = False
        parameters.verbosity = 0
        parameters.n_threads_http = 1
        parameters.api_keys = [key]
        try:
            self._server = xllamacpp.Server(parameters)
        except Exception as problem:
            raise ModelError(f"{name} cannot be loaded by llama.cpp ({str(problem).rstrip('.')}).") from None
        # A server that is closed before it has begun to work waits for itself for ever.
        self.complete([0], {"n_predict": 1}, lambda event: False)
        self._address = str(self._server.listening_address)
        self._client = client(self._address, SECONDS, headers={"Authorization": f"Bearer {key}"})

    def tokenize(self, text: str, *, start: bool) -> list[int]:
        """The ids of the text, special tokens in it among them; with `start` the model's own first ones before it."""
        body = {"content": text.encode("utf-8", "replace").decode(), "add_special": start, "parse_special": True}
        with clear_errors(self._address, SECONDS):
            answer = self._client.post(f"{self._address}/tokenize", json=body)
            ids = answer.json().get("tokens") if answer.status_code == 200 else None
        if not isinstance(ids, list):
            raise ModelError(f"The tokenizer of {self.name} cannot read this text.")
        return [int(token) for token in ids]

    def complete(self, ids: Sequence[int], settings: dict[str, Any], take: Callable[[dict[str, Any]], bool]) -> None:
        """Hands every event of the completion to `take`, until it answers True or the completion ends."""
        self._server.handle_completions({"prompt": list(ids), "stream": True, **settings}, take)

    @property
    def closed(self) -> bool:
        return self._server is None

    def close(self) -> None:
        """Frees the memory; no completion may be under way."""
        self._client.close()
        self._server = None


def first_error(log: str) -> str:
    """Why a model was refused, in llama.cpp's own words; "" where its log says nothing."""
    for line in log.splitlines():
        _, found, words = line.partition("error loading model: ")
        if found:
            return words.strip().rstrip(".")[:300]
    return ""


def check_file(path: Path) -> None:
    """`python -m genai_lab.models.llama_server FILE`: loads the file and writes one token, in a process of its own."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx, parameters.n_parallel, parameters.n_batch, parameters.n_ubatch = 256, 1, 64, 64
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.cache_ram_mib, parameters.verbosity, parameters.n_threads_http = 0, 2, 1
    parameters.warmup = parameters.fit_params = parameters.ui = False
    parameters.api_keys = [secrets.token_hex(32)]
    server = xllamacpp.Server(parameters)
    answers: list[Any] = []
    server.handle_completions({"prompt": "a b", "n_predict": 1, "n_probs": 1, "stream": True}, answers.append)
    failed = [answer["error"] for answer in answers if "error" in answer]
    print(json.dumps({"problem": str(failed[0].get("message"))[:300] if failed else ""}))


if __name__ == "__main__":
    import sys

    check_file(Path(sys.argv[1]))
