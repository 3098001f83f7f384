"""A small server with the ranking page's contract in memory, and switches that make it fail in the ways servers do."""

import json
import mimetypes
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from genai_lab.web.paths import SHARED, STATIC

FOLDERS = {"/rank/static/": STATIC / "ranking", "/lab-assets/": SHARED}
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'"
Item = dict[str, Any]


class RankingServer:
    """`trouble`: None, 'fail' (answers 503) or 'drop' (saves the answer, then drops the connection)."""

    def __init__(self, items: list[Item], **campaign: Any) -> None:
        plain = {"title": "Helpfulness", "criterion": "Which completion helps more?", "guidelines": ""}
        self.campaign = {**plain, "kind": "pairwise", "ties": True, "both_bad": True, **campaign}
        self.items = {item["key"]: {"revision": 0, **item} for item in items}
        self.answers: dict[str, list[Item]] = {}
        self.status, self.valid = "open", True
        self.trouble: str | None = None
        self.arrived: list[tuple[str, int]] = []
        self.lock = threading.Lock()
        self.port = 0
        self.start()

    def start(self) -> None:
        self.http = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/rank/k3f9/"

    def latest(self) -> dict[str, Item]:
        return {key: revisions[-1] for key, revisions in self.answers.items()}

    # The contract
    def state(self) -> tuple[int, Item]:
        header = {"campaign": self.campaign, "annotator": {"name": "Ada"}, "pace": {"seconds_per_item": 20.0}}
        return 200, {**header, **self.standing()}

    def standing(self) -> Item:
        answered = len(self.answers)
        return {"status": self.status, "done": answered, "left": len(self.items) - answered}

    def next(self, request: Item) -> tuple[int, Item]:
        free = [item for key, item in self.items.items() if key not in self.answers and key not in request["have"]]
        return 200, {"cards": free[: request["want"]] if self.status == "open" else [], **self.standing()}

    def answer(self, sent: Item) -> tuple[int, Item]:
        with self.lock:
            self.arrived.append((sent["key"], sent["revision"]))
            revisions = self.answers.setdefault(sent["key"], [])
            revision = {name: value for name, value in sent.items() if name not in ("have", "want")}
            if sent["revision"] == len(revisions):
                revisions.append(revision)
            elif sent["revision"] > len(revisions) or revisions[sent["revision"]] != revision:
                return 409, {"error": "The answer was changed elsewhere.", "revision": len(revisions) - 1}
        return 200, {"saved": True, "key": sent["key"], "revision": sent["revision"], **self.next(sent)[1]}

    def answered(self) -> tuple[int, Item]:
        listed = [{**self.items[key], **answer, "at": "2026-01-02T10:00:00Z"} for key, answer in self.latest().items()]
        return 200, {"answers": listed[::-1]}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def reply(self, code: int, body: bytes, kind: str) -> None:
                self.send_response(code)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.send_header("Content-Security-Policy", POLICY)
                self.end_headers()
                self.wfile.write(body)

            def act(self, work: Callable[[], tuple[int, Item]]) -> None:
                if not server.valid:
                    return self.send({"error": "This link is no longer valid."}, 403)
                if server.trouble == "fail":
                    return self.send({"error": "down"}, 503)
                code, data = work()
                if server.trouble == "drop":
                    self.close_connection = True
                    return None
                return self.send(data, code)

            def send(self, data: Item, code: int = 200) -> None:
                self.reply(code, json.dumps(data).encode(), "application/json")

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                actions = {"state": server.state, "answers": server.answered}
                if path == "/rank/k3f9/":
                    return self.file(STATIC / "ranking/rank.html")
                for prefix, folder in FOLDERS.items():
                    if path.startswith(prefix):
                        return self.file(folder / path.removeprefix(prefix))
                return self.act(actions[path.rpartition("/")[2]])

            def file(self, path: Path) -> None:
                self.reply(200, path.read_bytes(), mimetypes.guess_type(path.name)[0] or "font/woff2")

            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                work = {"next": server.next, "answer": server.answer}[self.path.rpartition("/")[2]]
                self.act(lambda: work(message))

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def items(count: int, candidates: int = 2) -> list[Item]:
    return [
        {
            "key": f"card{n}",
            "prompt": f"Explain idea {n} in one sentence.",
            "candidates": [{"text": f"Completion {'ABCDEF'[c]} of idea {n}."} for c in range(candidates)],
        }
        for n in range(count)
    ]
