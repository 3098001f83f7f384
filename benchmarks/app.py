"""The app as a user meets it: start, memory, first page in Chromium, and 16 streams at once.

`python -m benchmarks.app --out FILE`. Streams are driven over HTTP as the browser drives them, round by round in turn
with the engine alone on the same model, prompts, settings and seeds, so that both give the same texts.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
MODEL = "starter-causal"
STREAMS, TOKENS, ROUNDS, STARTS, SLIDES = 16, 512, 5, 5, 12
# Hot, so that most stories last.
TEMPERATURE = 5.0
PROMPT = "Once there was a boy called Felix. He wanted a kite."
# Sets the top-k slider and waits for another chart; milliseconds.
SLIDE = """k => new Promise(done => {
  const box = document.querySelector('#pg-top-k input[type=number]');
  const chart = document.querySelector('#pg-microscope');
  // The chart's own text: Gradio counts the seconds of waiting beside it.
  const text = () => [...chart.querySelectorAll('svg text')].map(e => e.textContent).join('|');
  const seen = text(), began = performance.now();
  const watch = new MutationObserver(() => {
    if (text() === seen) return;
    watch.disconnect();
    done(performance.now() - began);
  });
  watch.observe(chart, {subtree: true, childList: true, characterData: true});
  box.value = k;
  for (const name of ['input', 'change']) box.dispatchEvent(new Event(name, {bubbles: true}));
})"""
Row = tuple[str, float | None, str, str]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


class App:
    """The real app in a process of its own, on the data home of the starts before it."""

    def __init__(self, home: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        began = time.perf_counter()
        env = {**os.environ, "GENAI_LAB_HOME": home}
        command = [sys.executable, "app.py", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while True:
            try:
                if httpx.get(self.url, timeout=10).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.02)
            if self.process.poll() is not None:
                raise SystemExit("the app did not start; run `python app.py` to see why")
        self.seconds = time.perf_counter() - began

    def memory(self) -> float:
        """Resident memory in MB."""
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@contextmanager
def chromium() -> Iterator[Any]:
    """A fresh page of a fresh Chromium; None where there is none."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser.new_page(viewport={"width": 1440, "height": 900})
        browser.close()


def page_seconds(url: str) -> float | None:
    """From the request to a usable Generate button, nothing of the page being cached."""
    with chromium() as page:
        if page is None:
            return None
        began = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.locator("#pg-run:not([disabled])").wait_for(timeout=60_000)
        return time.perf_counter() - began


def slider_seconds(url: str) -> list[float]:
    """From a new value of a slider to the redrawn chart, as the browser sees it; empty where there is no Chromium."""
    with chromium() as page:
        if page is None:
            return []
        page.goto(f"{url}/?model={MODEL}")
        is_chosen = "name => document.querySelector('#pg-model input')?.value === name"
        page.wait_for_function(is_chosen, arg=MODEL, timeout=60_000)
        page.locator("#pg-prompt textarea").fill(PROMPT)
        page.locator("#pg-run").click()
        page.locator("#pg-stats", has_text="finished").wait_for(timeout=60_000)
        page.locator("#pg-tokens [data-n='3']").click()
        page.locator("#pg-microscope", has_text="before any filter").wait_for(timeout=60_000)
        page.wait_for_timeout(1000)
        return [float(page.evaluate(SLIDE, k)) / 1000 for k in range(3, 3 + SLIDES)][1:]


def streams(app: App, count: int) -> dict[str, float]:
    """`count` browsers that press Generate together: seconds for all, first-token times, updates a second."""
    browser = _Browser(app)
    with ThreadPoolExecutor(count) as pool, ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=app.url, timeout=120)) for _ in range(count)]
        sessions = list(pool.map(browser.opened, clients))
        began = time.perf_counter()
        results = list(pool.map(browser.generated, clients, sessions, range(count)))
        seconds = time.perf_counter() - began
    first = sorted(row["first"] for row in results)
    return {
        "seconds": seconds,
        "first_p95": first[min(count - 1, round(0.95 * count))],
        "updates_per_second": max(row["updates"] / row["seconds"] for row in results),
    }


class _Browser:
    """The requests that a page makes, by the app's own description of its events."""

    def __init__(self, app: App) -> None:
        result = httpx.get(f"{app.url}/config", timeout=30).json()
        named = {c["props"].get("elem_id"): c["id"] for c in result["components"]}
        self._values = {c["id"]: c["props"] for c in result["components"]}
        self._button, model = named["pg-run"], named["pg-model"]
        events = result["dependencies"]
        # The click itself belongs to the browser, which moves the prompt into the box that the run reads.
        click = next(d for d in events if [self._button, "click"] in [list(t) for t in d["targets"]])
        self._run = next(d for d in events if d["trigger_after"] == click["id"] and d["backend_fn"])
        self._open = next(d for d in events if model in d["outputs"] and "load" in dict(d["targets"]).values())

    def opened(self, client: httpx.Client) -> str:
        """A session whose page has opened: its menus know their models."""
        session = uuid.uuid4().hex[:10]
        _send(client, session, self._open["id"], [None] * len(self._open["inputs"]), None)
        _watch(client, session, 0.0)
        return session

    def generated(self, client: httpx.Client, session: str, seed: int) -> dict[str, Any]:
        began = time.perf_counter()
        values = [_value(self._values[item], seed) for item in self._run["inputs"]]
        _send(client, session, self._run["id"], values, self._button)
        return _watch(client, session, began)


def _send(client: httpx.Client, session: str, event: int, data: list[Any], button: int | None) -> None:
    body = {"data": data, "fn_index": event, "session_hash": session, "trigger_id": button}
    client.post("/gradio_api/queue/join", json=body).raise_for_status()


def _watch(client: httpx.Client, session: str, began: float) -> dict[str, Any]:
    first, updates = 0.0, 0
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as lines:
        for line in lines.iter_lines():
            if not line.startswith("data:"):
                continue
            message = json.loads(line[5:])
            if message["msg"] == "process_generating":
                updates += 1
                first = first or (time.perf_counter() - began if updates > 1 else 0.0)
            if message["msg"] == "process_completed":
                if not message.get("success", True):
                    raise RuntimeError(f"The app answered a stream with an error: {message['output']}.")
                break
    seconds = time.perf_counter() - began
    return {"first": first or seconds, "updates": updates, "seconds": seconds}


def _value(props: dict[str, Any], seed: int) -> Any:
    values_by_id = {
        "pg-model": MODEL,
        "pg-mode": "completion",
        "pg-prompt": PROMPT,
        "pg-sending": PROMPT,
        "pg-max-new-tokens": TOKENS,
        "pg-seed": seed,
        "pg-stop": "",
        "pg-temperature": TEMPERATURE,
        "pg-repetition-penalty": 1.0,
    }
    return values_by_id.get(props.get("elem_id", ""), props.get("value"))


@contextmanager
def engine() -> Iterator[Callable[[], tuple[float, int]]]:
    """The same requests without the app: a function that gives the seconds and the number of tokens."""
    from genai_lab import bootstrap
    from genai_lab.config import Config
    from genai_lab.decoding import Sampling
    from genai_lab.models import Prompt, Request
    from genai_lab.services import models

    def run() -> tuple[float, int]:
        settings: dict[str, Any] = {"max_new_tokens": TOKENS, "temperature": TEMPERATURE}
        requests = [
            Request(Prompt(PROMPT), Sampling(seed=seed, **settings), trace=8, return_logits=True)
            for seed in range(STREAMS)
        ]
        began = time.perf_counter()
        result = generator.submit(requests)
        for stream in result:
            for _ in stream:
                continue
        return time.perf_counter() - began, sum(stream.completions[0].completion_tokens for stream in result)

    with tempfile.TemporaryDirectory() as home:
        lab = bootstrap.open_lab(Config.from_environment({}, home=Path(home)))
        generator = models.load(lab, MODEL)
        try:
            yield run
        finally:
            lab.close()


def openings() -> list[Row]:
    """Starts on one data home, of which the first, which creates it, does not count."""
    starts, memory, ready = [], [], []
    with tempfile.TemporaryDirectory() as home:
        App(home).close()
        for _ in range(STARTS):
            app = App(home)
            starts.append(app.seconds)
            memory.append(app.memory())
            if (seconds := page_seconds(app.url)) is not None:
                ready.append(seconds)
            app.close()
    return [
        ("start to first page", _median(starts), "s", "under 6"),
        ("idle memory, no model loaded", _median(memory), "MB", "under 400"),
        ("page ready in Chromium, cold", _median(ready), "s", "under 2.5"),
    ]


def streaming() -> list[Row]:
    """Rounds through the app and through the engine in turn, so that both meet the same machine."""
    through, alone, ratios = [], [], []
    with tempfile.TemporaryDirectory() as home, engine() as run:
        app = App(home)
        streams(app, 2)  # reads the model into memory
        run()
        for _ in range(ROUNDS):
            row = streams(app, STREAMS)
            seconds, tokens = run()
            through.append({**row, "speed": tokens / row["seconds"]})
            alone.append(tokens / seconds)
            ratios.append(seconds / row["seconds"])
        slides = slider_seconds(app.url)
        app.close()
    median = {key: statistics.median(row[key] for row in through) for key in through[0]}
    return [
        (f"{STREAMS} streams through the app", median["speed"], "tokens/s", ""),
        (f"engine alone, batch {STREAMS}", _median(alone), "tokens/s", ""),
        ("app / engine, median of rounds", _median(ratios), "ratio", "at least 0.6"),
        ("first token, p95 of a round", median["first_p95"], "s", "under 1"),
        ("updates of one page", median["updates_per_second"], "1/s", "at most 20"),
        ("microscope follows a slider", _median([1000 * slide for slide in slides]), "ms", "under 150"),
    ]


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    print(f"{MODEL}, {os.cpu_count()} CPU cores; {STARTS} starts, {ROUNDS} rounds of {TOKENS} tokens at most, medians")
    rows = []
    for part in (openings, streaming):
        for name, value, unit, target in (result := part()):
            print(f"{name:34} {'-' if value is None else f'{value:10.2f}'} {unit:9} {target}", flush=True)
        rows += result
    if options.out:
        table = [dict(zip(("name", "value", "unit", "target"), row, strict=True)) for row in rows]
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({"rounds": ROUNDS, "starts": STARTS, "figures": table}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
