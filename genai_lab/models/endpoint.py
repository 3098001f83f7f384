"""A server that speaks the OpenAI protocol: vLLM, Ollama, llama.cpp, text-generation-inference, hosted ones.

The protocol's standard fields are sent and nothing else; a setting that it does not have is refused by name.
"""

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, ModelError
from genai_lab.models import (
    BACKENDS,
    Backend,
    Card,
    Generator,
    Options,
    Prompt,
    Request,
    Source,
    SourceField,
    Stream,
)
from genai_lab.models.checks import bearer
from genai_lab.models.connections import async_client, clear_errors, client, refuse_encoded, refuse_link_local
from genai_lab.models.endpoint_events import UNREADABLE, count, json_value
from genai_lab.models.endpoint_scorer import EndpointScorer
from genai_lab.models.endpoint_stream import EndpointStream, Limits, Server, status_sentence
from genai_lab.models.scorer import Scorer

NOT_IN_PROTOCOL = ("top_k", "min_p", "typical_p", "repetition_penalty", "no_repeat_ngram_size", "num_beams")
LONGEST_LIST = 4 * 2**20


class Endpoint(Backend):
    name = "endpoint"
    title = "Endpoint"
    has_files = False
    served = True
    precedence = 20
    fields = (
        SourceField("location", "Address", "http://127.0.0.1:11434/v1", "Of vLLM, Ollama, llama.cpp ...", True),
        SourceField("remote_name", "Model name at the endpoint", "llama3.2", "Empty takes the only one that it lists."),
        SourceField("key_env", "Key variable", "none", "The variable's name, not the key."),
    )

    def detect(self, text: str, options: Options) -> Source | None:
        return Source(self.name, text) if text.lower().startswith(("http://", "https://")) else None

    def inspect(self, source: Source, name: str, options: Options) -> Card:
        """Asks the server for its models; a server without such a list is believed."""
        address = base_url(source)
        if not source.remote_name:
            raise ModelError("The model's name at the endpoint is empty; give the one that the server lists.")
        listed = listed_models(source, options)
        if listed and source.remote_name not in listed:
            raise ModelError(
                f"{address} has no model called {source.remote_name!r}. It lists: {', '.join(sorted(listed)[:8])}."
            )
        context = listed.get(source.remote_name) if listed else None
        about = f"{source.remote_name} at {address}"
        return Card(
            name, source, "generate", "endpoint", "OpenAI-compatible", memory_bytes=0, context=context, about=about,
            chat=True,
        )  # fmt: skip

    def load_scorer(self, card: Card, options: Options) -> Scorer:
        refuse_link_local(base_url(card.source), options.allow_link_local)
        return EndpointScorer(card, base_url(card.source), options.timeout)

    def load(self, card: Card, options: Options, base: Generator | None = None) -> Generator:
        refuse_link_local(base_url(card.source), options.allow_link_local)
        return EndpointGenerator(card, options.timeout)


def base_url(source: Source) -> str:
    """The address up to and with /v1, which is added where the address has no path; http and https only."""
    text = source.location.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ModelError(
            f"The address {text[:200]!r} cannot be read; write it like http://127.0.0.1:8000/v1."
        ) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ModelError(f"The address {text[:200]!r} must begin with http:// or https:// and name a host.")
    if parts.username or parts.password:
        raise ModelError("The address holds a user name or password; put the key into an environment variable.")
    if parts.query or parts.fragment:
        raise ModelError(f"The address {text[:200]!r} must end after its path; leave out what follows ? or #.")
    return text if parts.path else f"{text}/v1"


def listed_models(source: Source, options: Options) -> dict[str, int | None]:
    """{model: context length where told}; {} where the server keeps no list."""
    address, headers, timeout = base_url(source), bearer(source.key_env), options.timeout
    refuse_link_local(address, options.allow_link_local)
    body = b""
    with (
        clear_errors(address, timeout),
        client(address, timeout, follow_redirects=False) as asking,
        asking.stream("GET", f"{address}/models", headers={"Accept-Encoding": "identity", **headers}) as answer,
    ):
        refuse_encoded(address, answer.headers)
        ends = time.monotonic() + 2 * timeout
        for piece in answer.iter_raw():
            body += piece
            if len(body) > LONGEST_LIST:
                raise ModelError(f"{address} answered with a list of models that is too long to read.")
            if time.monotonic() > ends:
                raise ModelError(f"{address} was still sending its list of models after {2 * timeout:g} s.")
    if answer.status_code in (404, 405, 501):
        return {}
    if answer.status_code != 200:
        raise ModelError(status_sentence(address, answer.status_code, answer.headers, body, source.key_env))
    if (answered := json_value(body)) is UNREADABLE:
        raise ModelError(f"The answer of {address}/models is not valid JSON; check the address.")
    rows = answered["data"] or [] if isinstance(answered, dict) and "data" in answered else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in rows):
        raise ModelError(f"{address}/models did not answer with a list of models; is it an OpenAI-compatible server?")
    return {row["id"]: _context(row) for row in rows}


def _context(row: dict[str, Any]) -> int | None:
    """vLLM says max_model_len; llama.cpp says meta.n_ctx."""
    meta = row.get("meta")
    return count(row.get("max_model_len")) or (count(meta.get("n_ctx")) if isinstance(meta, dict) else None) or None


class EndpointGenerator:
    """Streams from the server; one thread with an event loop serves all of the model's requests."""

    def __init__(self, card: Card, timeout: float, parallel: int = 16, limits: Limits | None = None) -> None:
        self.card, self.limits = card, limits
        address = base_url(card.source)
        bearer(card.source.key_env)
        with clear_errors(address, timeout):
            asking = async_client(address, timeout, follow_redirects=False)
        self.server = Server(card, address, asking, asyncio.Semaphore(parallel), timeout)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"endpoint {card.name}", daemon=True)
        self._thread.start()
        self._streams: list[EndpointStream] = []
        self._closed = False

    def submit(self, requests: Sequence[Request]) -> list[Stream]:
        if self._closed:
            raise ModelError(f"{self.card.name} has been unloaded; load it again.")
        for request in requests:
            check_supported(request)
        headers = bearer(self.card.source.key_env)
        streams = [
            EndpointStream(self.server, headers, request, self.limits or Limits.of(request, self.server.timeout))
            for request in requests
        ]
        for stream in streams:
            stream.start(self._loop)
        self._streams = [old for old in self._streams if not old.ended] + streams
        return list(streams)

    def count_tokens(self, prompt: Prompt) -> int | None:
        return None

    def tokenize(self, text: str) -> list[tuple[int, str]]:
        """Empty: the protocol does not tell tokens."""
        return []

    def context_ids(self, prompt: Prompt) -> tuple[int, ...]:
        return ()

    def prefix_text(self, prompt: Prompt) -> str:
        return ""

    def token_text(self, token_id: int) -> str:
        return ""

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for stream in self._streams:
            stream.cancel()
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result(timeout=5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    async def _finish(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)
        await self.server.client.aclose()


def check_supported(request: Request) -> None:
    """Raises BadSetting for a setting that the protocol does not have, ModelError for a beginning given as tokens."""
    usual = Sampling()
    for name in NOT_IN_PROTOCOL:
        if (value := getattr(request.sampling, name)) != getattr(usual, name):
            raise BadSetting(
                name, value, f"{getattr(usual, name):g} (off) for an endpoint, whose protocol does not have it"
            )
    if request.prompt.prefix:
        raise ModelError("An endpoint cannot continue from given tokens; choose a local model to continue or branch.")
    if request.prompt.mode == "chat" and not request.prompt.messages:
        raise ModelError("A chat needs at least one message; type something first.")


BACKENDS.register("endpoint")(Endpoint())
