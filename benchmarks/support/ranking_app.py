"""The app in a process of its own with a campaign, and what is wrong with the answers that it has kept."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from benchmarks.support.annotators import Annotator, Server, quantile
from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.feedback import CampaignPlan, Option, RankingTask
from genai_lab.services import feedback
from genai_lab.services.feedback import links
from storage.feedback_tables import Assignment, Item, Ranking

ROOT = Path(__file__).resolve().parents[2]


class App:
    """One data home, its app in a process of its own, and the same database opened here to look at it."""

    def __init__(self, home: Path, url: str = "") -> None:
        self.config = Config(home=home, database_url=url, cpu_jobs=2, device="cpu")
        self.lab = bootstrap.open_lab(self.config)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = home / "app.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.server = Server(f"http://127.0.0.1:{self.port}")

    def start(self) -> None:
        env = {**os.environ, **self.config.environment(), "GENAI_LAB_CPU_JOBS": "2", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "app.py", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    def ready(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.server.url}/health").status_code == 200:
                    return
            time.sleep(0.05)
        raise SystemExit(f"the app did not open: {self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        assert self.process is not None
        self.server.killed()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.lab.close()

    def campaign(self, name: str, items: int, overlap: int, people: int, size: int = 2) -> tuple[int, list[str]]:
        """An open campaign and the paths of its annotators' links."""
        text = "some words of a completion that is neither short nor long " * 3
        tasks = [
            RankingTask(
                f"Prompt {n}: what is to be done?", tuple(Option(f"s{k}", f"{n} {k} {text}") for k in range(size))
            )
            for n in range(items)
        ]
        created = feedback.create(self.lab, CampaignPlan(name, overlap=overlap, repeats=0.0), tasks)
        feedback.move(self.lab, created.campaign, "open")
        return created.campaign, [
            links.invite(self.lab, created.campaign, f"annotator {n}").path for n in range(people)
        ]

    def faults(self, number: int, crowd: list[Annotator], overlap: int) -> list[str]:
        """What is lost, twice, or too much, when the database is compared with what was acknowledged."""
        acknowledged = {key: groups for item in crowd for key, groups in item.log.acknowledged.items()}
        with self.lab.database.reading() as session:
            rows = session.execute(
                select(Assignment.key, Assignment.shown, Ranking.groups)
                .join(Ranking, Ranking.assignment_id == Assignment.id)
                .where(Assignment.campaign_id == number)
            ).all()
            item_counts = (
                select(Assignment.item_id, func.count().label("n"))
                .where(Assignment.campaign_id == number, Assignment.status == "done")
                .group_by(Assignment.item_id)
                .subquery()
            )
            over = session.scalar(select(func.count()).select_from(item_counts).where(item_counts.c.n > overlap))
            remaining = session.scalar(
                select(func.count()).select_from(Item).where(Item.campaign_id == number, Item.capacity > 0)
            )
        stored = {row.key: [[row.shown.index(item) for item in group] for group in row.groups] for row in rows}
        messages = []
        lost = [key for key, groups in acknowledged.items() if stored.get(key) != groups]
        if lost:
            messages.append(f"{len(lost)} acknowledged answers lost or changed")
        if len(rows) != len(stored):
            messages.append(f"{len(rows) - len(stored)} answers kept twice")
        if over:
            messages.append(f"{over} items with more than {overlap} answers")
        if remaining:
            messages.append(f"{remaining} items were not filled")
        if locked := self.log.read_text(errors="replace").count("database is locked"):
            messages.append(f"'database is locked' {locked} times")
        return messages


def figures(crowd: list[Annotator]) -> dict[str, Any]:
    times = [value for item in crowd for value in item.log.answers]
    return {
        "answers": sum(len(item.log.acknowledged) for item in crowd),
        "timed": len(times),
        "p50_ms": round(1000 * quantile(times, 0.50), 1),
        "p95_ms": round(1000 * quantile(times, 0.95), 1),
        "p99_ms": round(1000 * quantile(times, 0.99), 1),
        "longest_ms": round(1000 * max(times, default=0.0), 1),
        "not_saved_told": sum(item.log.refused for item in crowd),
    }
