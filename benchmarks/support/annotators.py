"""Annotators without a browser: they use the card's own routes, and keep sending until an answer is acknowledged."""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

RETRY = 0.05


@dataclass
class Server:
    """What the clients know of the app: its address, and how often it was killed. `up` is false from a kill on until
    the first answer after it."""

    url: str
    kills: int = 0
    up: bool = True
    killed_at: float = 0.0
    recoveries: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def killed(self) -> None:
        with self.lock:
            self.kills, self.up, self.killed_at = self.kills + 1, False, time.monotonic()

    def answered(self, kills: int) -> None:
        """An attempt begun after so many kills was answered; one under way at the last of them tells nothing."""
        if not self.up:
            with self.lock:
                if not self.up and kills == self.kills:
                    self.up = True
                    self.recoveries.append(time.monotonic() - self.killed_at)


@dataclass
class Log:
    """`acknowledged` maps a key to what was acknowledged; `answers` and `cards` are seconds of attempts that were begun
    and answered while the app was up; `faults` are answers that no client should see.
    """

    acknowledged: dict[str, Any] = field(default_factory=dict)
    answers: list[float] = field(default_factory=list)
    cards: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    refused: int = 0
    sentence: str = ""


class Annotator:
    """One client with a personal link. `pace` is the seconds between two answers, 0 for as fast as it goes."""

    def __init__(self, server: Server, link: str, number: int, pace: float = 0.0) -> None:
        self.server, self.link, self.pace = server, link, pace
        self.random, self.log = random.Random(f"annotator {number}"), Log()
        self.place = self.cookie = ""
        self.address = urlsplit(server.url).netloc
        self.connection: http.client.HTTPConnection | None = None

    def run(self, go_on: Callable[[], bool]) -> None:
        """Answers until there is nothing left, or `go_on` says no."""
        came = self._sent("GET", self.link, None)[0]
        self.place, self.cookie = came["location"], came["set-cookie"].split(";")[0]
        time.sleep(self.random.random() * self.pace)
        cards = self._post("next", {"have": [], "want": 3}, self.log.cards)["cards"]
        while cards and go_on():
            card, *remainder = cards
            began = time.monotonic()
            options = self.answer(card, [item["key"] for item in remainder])
            cards = remainder + options
            time.sleep(max(0.0, self.pace - (time.monotonic() - began)))
            if not cards:
                cards = self._post("next", {"have": [], "want": 3}, self.log.cards)["cards"]

    def answer(self, card: dict[str, Any], have: list[str]) -> list[dict[str, Any]]:
        """The next cards, once the answer is acknowledged."""
        order = list(range(len(card["candidates"])))
        self.random.shuffle(order)
        groups = [[index] for index in order]
        sent = {
            "key": card["key"],
            "revision": 0,
            "groups": groups,
            "seconds": 1.0,
            "have": have,
            "want": 3 - len(have),
        }
        got = self._post("answer", sent, self.log.answers)
        if got.get("saved") is not True or got.get("key") != card["key"]:
            self.log.faults.append(f"no acknowledgement of {card['key']}: {str(got)[:200]}")
        self.log.acknowledged[card["key"]] = groups
        return list(got["cards"])

    def _post(self, name: str, body: dict[str, Any], times: list[float]) -> dict[str, Any]:
        answer, seconds = self._sent("POST", f"{self.place}{name}", body)
        if seconds is not None:
            times.append(seconds)
        return answer

    def _sent(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[dict[str, Any], float | None]:
        """The answer, however often it has to be asked for; its seconds, where no kill fell into the last attempt."""
        while True:
            kills, up, began = self.server.kills, self.server.up, time.monotonic()
            try:
                status, answer = self._ask(method, path, body)
            except (OSError, http.client.HTTPException, ValueError):
                self.connection = None
                time.sleep(RETRY)
                continue
            seconds = time.monotonic() - began
            if status == 503:
                self.log.refused += 1
                self.log.sentence = str(answer.get("error", ""))
                time.sleep(RETRY)
                continue
            self.server.answered(kills)
            if status not in (200, 303):
                raise RuntimeError(f"{method} {path} gave {status}: {str(answer)[:200]}")
            return answer, seconds if up and kills == self.server.kills else None

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        """(status, JSON, or the headers of a redirect) over one connection that is kept: a client that costs little,
        since it shares the machine with what it measures."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.address, timeout=30)
        headers = {"cookie": self.cookie, "content-type": "application/json"}
        self.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status == 303:
            return 303, {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, json.loads(text)


def at_once(annotators: list[Annotator], go_on: Callable[[], bool] = lambda: True) -> list[str]:
    """All of them in threads of their own; what went wrong."""
    wrong: list[str] = []

    def work(item: Annotator) -> None:
        try:
            item.run(go_on)
        except Exception as problem:
            wrong.append(f"{type(problem).__name__}: {problem}")

    threads = [threading.Thread(target=work, args=(annotator,), daemon=True) for annotator in annotators]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong + [fault for annotator in annotators for fault in annotator.log.faults]


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
