"""Servers of the tests' own: a small Hub and an OpenAI-compatible endpoint, on the standard library alone."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SHA = "0123456789abcdef0123456789abcdef01234567"


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that hang up are part of the tests."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = QuietServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class SmallHub:
    """One repository, `owner/small`, at one commit. Its attributes can be changed while it serves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token: str | None = None
        self.gated = False
        self.bytes_per_second: float | None = None
        self.break_after: int | None = None
        self.spoil = False
        self.asked: list[tuple[str, str | None]] = []

    def siblings(self) -> list[dict[str, Any]]:
        rows = []
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            body = path.read_bytes()
            row: dict[str, Any] = {"rfilename": str(path.relative_to(self.folder)), "size": len(body)}
            row["blobId"] = hashlib.sha1(f"blob {len(body)}\0".encode() + body).hexdigest()
            if path.suffix in (".safetensors", ".gguf"):
                row["lfs"] = {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 130}
            rows.append(row)
        return [*rows, {"rfilename": "../escape.json", "size": 3}, {"rfilename": "onnx/model.onnx", "size": 9**9}]

    def handler(hub) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words: Any) -> None:
                return

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                hub.asked.append((path, self.headers.get("Range")))
                if "owner/small/" not in f"{path}/":
                    return self.refuse(401, "RepoNotFound")
                if path.startswith("/api/models/"):
                    existing = path.endswith(("/revision/main", f"/revision/{SHA}"))
                    return self.describe() if existing else self.refuse(404, "RevisionNotFound")
                if hub.gated and self.headers.get("Authorization") != f"Bearer {hub.token}":
                    return self.refuse(401, "GatedRepo")
                file = hub.folder / path.partition(f"/resolve/{SHA}/")[2]
                if not file.is_file() or f"/resolve/{SHA}/" not in path:
                    return self.refuse(404, "EntryNotFound")
                self.give(file)

            def describe(self) -> None:
                body = json.dumps(
                    {
                        "id": "owner/small",
                        "sha": SHA,
                        "gated": "manual" if hub.gated else False,
                        "cardData": {"license": "mit"},
                        "siblings": hub.siblings(),
                    }
                ).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def refuse(self, status: int, code: str) -> None:
                self.send_response(status)
                self.send_header("X-Error-Code", code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def give(self, file: Path) -> None:
                body, first = file.read_bytes(), 0
                if (expected := self.headers.get("Range")) is not None:
                    first = int(expected.removeprefix("bytes=").rstrip("-"))
                self.send_response(206 if expected else 200)
                self.send_header("Content-Length", str(len(body) - first))
                self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
                self.send_header("X-Repo-Commit", SHA)
                self.end_headers()
                large = file.suffix in (".safetensors", ".gguf")
                remainder = bytes(len(body)) if hub.spoil and large else body
                for start in range(first, len(body), 4096):
                    if large and hub.break_after is not None and start - first >= hub.break_after:
                        self.close_connection = True
                        return
                    self.wfile.write(remainder[start : start + 4096])
                    if large and hub.bytes_per_second:
                        time.sleep(4096 / hub.bytes_per_second)

        return Handler


Answer = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


class SmallEndpoint:
    """Speaks the OpenAI protocol; `answer` can be put in place of the good stream. `received` keeps what was sent."""

    def __init__(self) -> None:
        self.words = ["Hello", " there", ",", " friend"]
        self.delay = 0.0
        self.together: threading.Barrier | None = None
        self.answer: Answer | None = None
        self.models: Any = {"data": [{"id": "tiny", "max_model_len": 128}, {"id": "other"}]}
        self.status = 200
        self.key: str | None = None
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.hung_up = threading.Event()
        self.encoding: str | None = None
        self.accepted: list[str | None] = []

    def handler(endpoint) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: Any) -> None:
                return

            def do_GET(self) -> None:
                endpoint.accepted.append(self.headers.get("Accept-Encoding"))
                self.send_json(endpoint.status, endpoint.models)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.received.append((self.path, body))
                if endpoint.key and self.headers.get("Authorization") != f"Bearer {endpoint.key}":
                    return self.send_json(401, {"error": {"message": "no such key"}})
                try:
                    (endpoint.answer or stream_words)(self, body)
                except OSError:
                    endpoint.hung_up.set()

            def send_json(self, status: int, value: Any) -> None:
                if endpoint.key and self.headers.get("Authorization") != f"Bearer {endpoint.key}":
                    status, value = 401, {"error": {"message": "no such key"}}
                body = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if endpoint.encoding:
                    self.send_header("Content-Encoding", endpoint.encoding)
                self.end_headers()
                self.wfile.write(body)

        def stream_words(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
            if endpoint.together is not None:
                endpoint.together.wait(60)
            begin_events(handler)
            chat = "messages" in body
            arguments = [*endpoint.words, f" {body['seed']}"]
            for index, word in enumerate(arguments):
                last = index == len(arguments) - 1
                send_event(handler, chunk(word, chat, "stop" if last else None, bool(body.get("logprobs"))))
                time.sleep(endpoint.delay)
            if body.get("stream_options", {}).get("include_usage"):
                send_event(handler, {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": len(arguments)}})
            handler.wfile.write(b"data: [DONE]\n\n")

        return Handler


def begin_events(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.end_headers()


def send_event(handler: BaseHTTPRequestHandler, value: Any) -> None:
    handler.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
    handler.wfile.flush()


def chunk(word: str, chat: bool, reason: str | None, logprobs: bool) -> dict[str, Any]:
    if chat:
        top = [{"token": word, "logprob": -0.5}, {"token": " else", "logprob": -1.5}]
        report = {"content": [{"token": word, "logprob": -0.5, "top_logprobs": top}]}
        inner: dict[str, Any] = {"delta": {"content": word}}
    else:
        report = {"tokens": [word], "token_logprobs": [-0.5], "top_logprobs": [{word: -0.5, " else": -1.5}]}
        inner = {"text": word}
    return {"choices": [{"index": 0, **inner, "finish_reason": reason, "logprobs": report if logprobs else None}]}
