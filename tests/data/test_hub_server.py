"""Datasets of the Hub through the real library, against a small Hub of the test's own."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.models.servers import SHA, serving

REPO, RESOLVE = "/api/datasets/owner/reviews", "/datasets/owner/reviews/resolve/"
CARD = """---
configs:
- config_name: default
  data_files:
  - {split: train, path: data/train.jsonl}
  - {split: test, path: data/test.jsonl}
---
"""
# The library reads HF_ENDPOINT once, when it is imported.
PROGRAM = """
import json
from genai_lab.data import guarded, hub
from genai_lab.errors import LabError
place = hub.HubDataset("owner/reviews")
said = []
for wrong in (hub.HubDataset("owner/none"), hub.HubDataset("owner/reviews", split="dev")):
    try:
        list(hub.rows(wrong))
    except LabError as problem:
        said.append(str(problem))
rows = [dict(row) for row in hub.rows(place)]
try:
    list(guarded.read_hub(hub.HubDataset("owner/none")))
except LabError as problem:
    said.append(str(problem))
apart = [dict(row) for row in guarded.read_hub(place)]
print(json.dumps([hub.configurations(place), hub.splits(place), rows, said, apart]))
"""


def handler(folder: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: Any) -> None:
            return

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if "owner/reviews" not in path:
                return self.give(b"", 401, {"X-Error-Code": "RepoNotFound"})
            if path in (REPO, f"{REPO}/revision/main", f"{REPO}/revision/{SHA}"):
                return self.send_json({"id": "owner/reviews", "sha": SHA, "siblings": [], "private": False, "tags": []})
            if path == f"{REPO}/tree/{SHA}/data":
                return self.send_json([self.entry(file) for file in sorted((folder / "data").iterdir())])
            file = folder / path.removeprefix(RESOLVE).partition("/")[2]
            if not path.startswith(RESOLVE) or not file.is_file():
                return self.give(b"", 404, {"X-Error-Code": "EntryNotFound"})
            body, expected = file.read_bytes(), self.headers.get("Range")
            options = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": SHA}
            if expected is None:
                return self.give(body, 200, options)
            first, _, last = expected.removeprefix("bytes=").partition("-")
            part = body[int(first) : int(last) + 1 if last else None]
            ends = f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}"
            return self.give(part, 206, options | {"Content-Range": ends})

        def entry(self, file: Path) -> dict[str, Any]:
            return {"type": "file", "path": f"data/{file.name}", "size": file.stat().st_size, "oid": SHA}

        def send_json(self, value: Any) -> None:
            self.give(json.dumps(value).encode(), 200, {"Content-Type": "application/json"})

        def give(self, body: bytes, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "repo/data").mkdir(parents=True)
    (tmp_path / "repo/README.md").write_text(CARD)
    for split, count in (("train", 6), ("test", 3)):
        lines = [json.dumps({"text": f"{split} {n}", "label": n % 2}) for n in range(count)]
        (tmp_path / f"repo/data/{split}.jsonl").write_text("\n".join(lines) + "\n")
    with serving(handler(tmp_path / "repo")) as url:
        yield url


def test_rows_come_with_their_split_and_refusals_are_one_sentence(address: str, tmp_path: Path) -> None:
    env = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}
    process = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True)
    configurations, splits, rows, answer, separate = json.loads(process.stdout)
    assert (configurations, splits) == (["default"], ["train", "test"])
    assert rows == [
        {"text": f"{split} {n}", "label": n % 2, "split": split}
        for split, count in (("train", 6), ("test", 3))
        for n in range(count)
    ]
    assert separate == rows  # in the process under limits
    assert answer[2] == answer[0]
    assert "owner/none was not found on the Hub" in answer[0]
    assert "Available splits: ['train', 'test']" in answer[1]
