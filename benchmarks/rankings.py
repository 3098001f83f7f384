"""Rankings under load and faults, through the routes that the annotators' card uses.

`python -m benchmarks.rankings --out FILE [--part kills|busy|crowd|full|backup|size] [--database sqlite|postgresql]`.

kills: 10,000 rankings by 32 clients while the app is killed with kill -9 at 20 random seeded moments; nothing that was
acknowledged may be lost or kept twice. busy: the same without kills while a fine-tuning job and an evaluation write.
crowd: 100 annotators, each answering every 5 s. full: the disk fills up and is freed (needs the right to mount).
backup: a backup under load is restored elsewhere. size: 50,000 items are imported, and their page opens.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from benchmarks.app import chromium
from benchmarks.support.annotators import Annotator, Server, at_once, quantile
from benchmarks.support.postgres import Missing, server
from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.feedback import CampaignPlan, Option, RankingTask
from genai_lab.services import backup, feedback, jobs
from genai_lab.services.feedback import links
from storage.feedback_tables import Assignment, Item, Ranking

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("kills", "busy", "crowd", "full", "backup", "size")
CLIENTS = 32


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
        words = "some words of a completion that is neither short nor long " * 3
        tasks = [
            RankingTask(
                f"Prompt {n}: what is to be done?", tuple(Option(f"s{k}", f"{n} {k} {words}") for k in range(size))
            )
            for n in range(items)
        ]
        made = feedback.create(self.lab, CampaignPlan(name, overlap=overlap, repeats=0.0), tasks)
        feedback.move(self.lab, made.campaign, "open")
        return made.campaign, [links.invite(self.lab, made.campaign, f"annotator {n}").path for n in range(people)]

    def faults(self, number: int, crowd: list[Annotator], overlap: int) -> list[str]:
        """What is lost, twice, or too much, when the database is compared with what was acknowledged."""
        acknowledged = {key: groups for one in crowd for key, groups in one.log.acknowledged.items()}
        with self.lab.database.reading() as session:
            rows = session.execute(
                select(Assignment.key, Assignment.shown, Ranking.groups)
                .join(Ranking, Ranking.assignment_id == Assignment.id)
                .where(Assignment.campaign_id == number)
            ).all()
            done = (
                select(Assignment.item_id, func.count().label("n"))
                .where(Assignment.campaign_id == number, Assignment.status == "done")
                .group_by(Assignment.item_id)
                .subquery()
            )
            over = session.scalar(select(func.count()).select_from(done).where(done.c.n > overlap))
            left = session.scalar(
                select(func.count()).select_from(Item).where(Item.campaign_id == number, Item.capacity > 0)
            )
        kept = {row.key: [[row.shown.index(one) for one in group] for group in row.groups] for row in rows}
        told = []
        lost = [key for key, groups in acknowledged.items() if kept.get(key) != groups]
        if lost:
            told.append(f"{len(lost)} acknowledged answers lost or changed")
        if len(rows) != len(kept):
            told.append(f"{len(rows) - len(kept)} answers kept twice")
        if over:
            told.append(f"{over} items with more than {overlap} answers")
        if left:
            told.append(f"{left} items were not filled")
        if locked := self.log.read_text(errors="replace").count("database is locked"):
            told.append(f"'database is locked' {locked} times")
        return told


def figures(crowd: list[Annotator]) -> dict[str, Any]:
    times = [value for one in crowd for value in one.log.answers]
    return {
        "answers": sum(len(one.log.acknowledged) for one in crowd),
        "timed": len(times),
        "p50_ms": round(1000 * quantile(times, 0.50), 1),
        "p95_ms": round(1000 * quantile(times, 0.95), 1),
        "p99_ms": round(1000 * quantile(times, 0.99), 1),
        "longest_ms": round(1000 * max(times, default=0.0), 1),
        "not_saved_told": sum(one.log.refused for one in crowd),
    }


def killing(app: App, count: int, seed: int, going: threading.Event, wanted: int, crowd: list[Annotator]) -> None:
    """Kills at random moments spread over the work, each after the app has answered again."""
    draw = random.Random(seed)
    marks = sorted(draw.randrange(wanted // 50, wanted - wanted // 50) for _ in range(count))
    for mark in marks:
        while going.is_set() and (sum(len(one.log.acknowledged) for one in crowd) < mark or not app.server.up):
            time.sleep(0.01)
        if not going.is_set():
            return
        time.sleep(draw.random() * 0.3)
        app.kill()
        app.start()


def kills(home: Path, url: str, options: argparse.Namespace) -> dict[str, Any]:
    app = App(home, url)
    overlap, items = 4, options.rankings // 4
    number, paths = app.campaign("kills", items, overlap, CLIENTS)
    app.start()
    app.ready()
    crowd = [Annotator(app.server, path, n) for n, path in enumerate(paths)]
    going, began = threading.Event(), time.monotonic()
    going.set()
    killer = threading.Thread(
        target=killing, args=(app, options.kills, options.seed, going, options.rankings, crowd), daemon=True
    )
    killer.start()
    wrong = at_once(crowd)
    going.clear()
    killer.join()
    seconds = time.monotonic() - began
    app.ready()
    made = figures(crowd) | {
        "kills": app.server.kills,
        "seconds": round(seconds, 1),
        "recovery_s": [round(one, 2) for one in app.server.recoveries],
        "slowest_recovery_s": round(max(app.server.recoveries, default=0.0), 2),
        "faults": wrong + app.faults(number, crowd, overlap),
    }
    app.stop()
    return made


def busy(home: Path, url: str, options: argparse.Namespace) -> dict[str, Any]:
    """While a fine-tuning job and an evaluation write."""
    from genai_lab.decoding import Sampling
    from genai_lab.services import datasets, evaluation, matrix, training
    from genai_lab.training import DatasetSpec, Training, TrainingPlan

    app = App(home, url)
    overlap, items = 4, options.rankings // 4
    number, paths = app.campaign("busy", items, overlap, CLIENTS)
    name = datasets.import_starter(app.lab, "sentiment", "world", rows={"train": 400, "test": 400}).name
    app.start()
    app.ready()
    plan = TrainingPlan(
        "starter-causal", (DatasetSpec(name, ("plain",)),), training=Training(max_steps=100_000, eval_steps=20)
    )
    tuned = training.start(app.lab, plan)
    grid = matrix.start(
        app.lab,
        matrix.MatrixPlan(
            name,
            ("starter-causal",),
            ("classify-review",),
            shots=(0, 1, 2, 4),
            seeds=tuple(range(40)),
            rows=400,
            samplings=(Sampling(temperature=1.0, max_new_tokens=8),),
            use_cache=False,
            metrics=(evaluation.MetricSpec("exact_match"), evaluation.MetricSpec("rouge")),
        ),
    )
    _running(app, [tuned.job_id, grid.job_id])
    crowd = [Annotator(app.server, path, n) for n, path in enumerate(paths)]
    began = time.monotonic()
    wrong = at_once(crowd)
    seconds = time.monotonic() - began
    states = {one: jobs.show(app.lab, one) for one in (tuned.job_id, grid.job_id)}
    idle = [f"job {view.title} was {view.status}" for view in states.values() if view.status != "running"]
    for one in states:
        jobs.cancel(app.lab, one)
    made = figures(crowd) | {
        "seconds": round(seconds, 1),
        "faults": wrong + idle + app.faults(number, crowd, overlap),
        "jobs": {view.title: view.message for view in states.values()},
    }
    time.sleep(4)
    app.stop()
    return made


def _running(app: App, wanted: list[int]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if all(jobs.show(app.lab, one).status == "running" and jobs.show(app.lab, one).done > 0 for one in wanted):
            return
        time.sleep(0.5)
    raise SystemExit("the jobs did not begin")


def crowd(home: Path, url: str, options: argparse.Namespace) -> dict[str, Any]:
    """100 annotators at once, each answering every 5 s."""
    app = App(home, url)
    _, paths = app.campaign("crowd", 4000, 1, 100)
    app.start()
    app.ready()
    people = [Annotator(app.server, path, n, pace=5.0) for n, path in enumerate(paths)]
    until = time.monotonic() + options.seconds
    wrong = at_once(people, lambda: time.monotonic() < until)
    made = figures(people) | {"seconds": options.seconds, "faults": wrong}
    app.stop()
    return made


def full(home: Path, url: str, options: argparse.Namespace) -> dict[str, Any]:
    """The disk fills up under load and is freed: told to clients, nothing acknowledged lost, then on as before."""
    home.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(home)], check=True)
    try:
        app = App(home, url)
        number, paths = app.campaign("full", 1500, 2, 8)
        app.start()
        app.ready()
        people = [Annotator(app.server, path, n) for n, path in enumerate(paths)]
        told: dict[str, Any] = {}

        def fill() -> None:
            time.sleep(2)
            with (home / "filler").open("wb") as stream, contextlib.suppress(OSError):
                while True:
                    stream.write(bytes(65536))
                    stream.flush()
            time.sleep(4)
            told["acknowledged_when_full"] = sum(len(one.log.acknowledged) for one in people)
            time.sleep(2)
            told["acknowledged_while_full"] = (
                sum(len(one.log.acknowledged) for one in people) - told["acknowledged_when_full"]
            )
            told["sentence"] = next((one.log.sentence for one in people if one.log.sentence), "")
            (home / "filler").unlink()

        filler = threading.Thread(target=fill, daemon=True)
        filler.start()
        wrong = at_once(people)
        filler.join()
        made = figures(people) | told | {"faults": wrong + app.faults(number, people, 2)}
        app.stop()
        return made
    finally:
        subprocess.run(["umount", str(home)], check=False)


def backed_up(home: Path, url: str, options: argparse.Namespace) -> dict[str, Any]:
    """A backup while 8 clients answer, restored elsewhere."""
    app = App(home / "lab", url)
    number, paths = app.campaign("backup", 1500, 2, 8)
    app.start()
    app.ready()
    people = [Annotator(app.server, path, n) for n, path in enumerate(paths)]
    told: dict[str, Any] = {}

    def copy() -> None:
        time.sleep(2)
        before = {key for one in people for key in list(one.log.acknowledged)}
        began = time.monotonic()
        made = backup.backup(app.lab, home / "copy.tar")
        told.update(seconds=round(time.monotonic() - began, 2), mb=round(made.bytes / 1e6, 1), rows=made.rows)
        told["acknowledged_before"] = before

    worker = threading.Thread(target=copy, daemon=True)
    worker.start()
    wrong = at_once(people)
    worker.join()
    again = backup.restore(Config(home=home / "elsewhere"), home / "copy.tar")
    other = bootstrap.open_lab(Config(home=home / "elsewhere"))
    with other.database.reading() as session:
        kept = set(session.scalars(select(Assignment.key).where(Assignment.status == "done")))
        rankings = session.scalar(select(func.count()).select_from(Ranking))
    other.close()
    before = told.pop("acknowledged_before")
    faults = wrong + app.faults(number, people, 2)
    if missing := before - kept:
        faults.append(f"{len(missing)} answers acknowledged before the backup are not in it")
    if again.rows != told["rows"]:
        faults.append("the restored lab has other counts")
    app.stop()
    rows = told.pop("rows")
    return figures(people) | told | {"rankings_in_backup": rankings, "tables": len(rows), "faults": faults}


def size(home: Path, url: str, options: argparse.Namespace) -> dict[str, Any]:
    """50,000 items x 4 candidates from a file; the first card and the lead's page of the campaign."""
    from genai_lab.services.feedback import sources

    app = App(home, url)
    path = home / "large.jsonl"
    with path.open("w") as stream:
        for n in range(50_000):
            texts = [f"completion {n} {k} " + "word " * 40 for k in range(4)]
            stream.write(json.dumps({"prompt": f"prompt {n} " + "word " * 20, "completions": texts}) + "\n")
    began = time.monotonic()
    made = sources.from_file(app.lab, CampaignPlan("large", kind="ranking", overlap=3), path, sources.Columns())
    imported = time.monotonic() - began
    feedback.move(app.lab, made.campaign, "open")
    link = links.invite(app.lab, made.campaign, "ann").path
    app.start()
    app.ready()
    with httpx.Client(base_url=app.server.url, timeout=60, follow_redirects=True) as client:
        began = time.monotonic()
        client.get(link).raise_for_status()
        place = f"/rank/{links.invite(app.lab, made.campaign, 'ann').annotator}/"
        client.get(f"{place}state").raise_for_status()
        client.post(f"{place}next", json={"have": [], "want": 3}).raise_for_status()
        first = time.monotonic() - began
    found = {"import_s": round(imported, 1), "first_card_s": round(first, 3), "items": made.items, "faults": []}
    # The first opening imports what every page needs, which benchmarks/app.py tells; here the items are meant.
    for name in ("first_page_s", "page_s"):
        with chromium() as page:
            if page is not None:
                began = time.monotonic()
                page.goto(f"{app.server.url}/feedback?campaign={made.campaign}", wait_until="commit")
                page.locator(".fb-people tbody tr").wait_for(timeout=60_000)
                found[name] = round(time.monotonic() - began, 2)
    app.stop()
    return found


@contextlib.contextmanager
def database(name: str) -> Iterator[str]:
    if name == "sqlite":
        yield ""
        return
    with server() as url:
        yield url


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--rankings", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the crowd")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    bodies = {"kills": kills, "busy": busy, "crowd": crowd, "full": full, "backup": backed_up, "size": size}
    results: dict[str, Any] = {}
    for part in options.part or PARTS:
        for name in options.database or (("sqlite", "postgresql") if part in ("kills", "busy") else ("sqlite",)):
            with tempfile.TemporaryDirectory(prefix="rankings") as place:
                try:
                    with database(name) as url:
                        found = bodies[part](Path(place) / "home", url, options)
                except Missing as problem:
                    found = {"left_out": str(problem)}
            results[f"{part}, {name}"] = found
            print(f"{part}, {name}:")
            for key, value in found.items():
                print(f"  {key.replace('_', ' '):<24} {value}", flush=True)
            if options.out:
                options.out.write_text(json.dumps(results, indent=2) + "\n")
    return int(any(one.get("faults") for one in results.values()))


if __name__ == "__main__":
    sys.exit(main())
