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
import random
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
from benchmarks.support.annotators import Annotator, at_once
from benchmarks.support.postgres import Missing, server
from benchmarks.support.ranking_app import App, figures
from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.feedback import CampaignPlan
from genai_lab.services import backup, feedback, jobs
from genai_lab.services.feedback import links
from storage.feedback_tables import Assignment, Ranking

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("kills", "busy", "crowd", "full", "backup", "size")
CLIENTS = 32


def killing(app: App, count: int, seed: int, going: threading.Event, item_count: int, crowd: list[Annotator]) -> None:
    """Kills at random moments spread over the work, each after the app has answered again."""
    draw = random.Random(seed)
    marks = sorted(draw.randrange(item_count // 50, item_count - item_count // 50) for _ in range(count))
    for mark in marks:
        while going.is_set() and (sum(len(item.log.acknowledged) for item in crowd) < mark or not app.server.up):
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
    result = figures(crowd) | {
        "kills": app.server.kills,
        "seconds": round(seconds, 1),
        "recovery_s": [round(recovery, 2) for recovery in app.server.recoveries],
        "slowest_recovery_s": round(max(app.server.recoveries, default=0.0), 2),
        "faults": wrong + app.faults(number, crowd, overlap),
    }
    app.stop()
    return result


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
    states = {item: jobs.show(app.lab, item) for item in (tuned.job_id, grid.job_id)}
    idle = [f"job {view.title} was {view.status}" for view in states.values() if view.status != "running"]
    for state in states:
        jobs.cancel(app.lab, state)
    result = figures(crowd) | {
        "seconds": round(seconds, 1),
        "faults": wrong + idle + app.faults(number, crowd, overlap),
        "jobs": {view.title: view.message for view in states.values()},
    }
    time.sleep(4)
    app.stop()
    return result


def _running(app: App, job_ids: list[int]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if all(jobs.show(app.lab, item).status == "running" and jobs.show(app.lab, item).done > 0 for item in job_ids):
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
    result = figures(people) | {"seconds": options.seconds, "faults": wrong}
    app.stop()
    return result


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
        figures_by_name: dict[str, Any] = {}

        def fill() -> None:
            time.sleep(2)
            with (home / "filler").open("wb") as stream, contextlib.suppress(OSError):
                while True:
                    stream.write(bytes(65536))
                    stream.flush()
            time.sleep(4)
            figures_by_name["acknowledged_when_full"] = sum(len(person.log.acknowledged) for person in people)
            time.sleep(2)
            figures_by_name["acknowledged_while_full"] = (
                sum(len(person.log.acknowledged) for person in people) - figures_by_name["acknowledged_when_full"]
            )
            figures_by_name["sentence"] = next((person.log.sentence for person in people if person.log.sentence), "")
            (home / "filler").unlink()

        filler = threading.Thread(target=fill, daemon=True)
        filler.start()
        wrong = at_once(people)
        filler.join()
        result = figures(people) | figures_by_name | {"faults": wrong + app.faults(number, people, 2)}
        app.stop()
        return result
    finally:
        subprocess.run(["umount", str(home)], check=False)


def backed_up(home: Path, url: str, options: argparse.Namespace) -> dict[str, Any]:
    """A backup while 8 clients answer, restored elsewhere."""
    app = App(home / "lab", url)
    number, paths = app.campaign("backup", 1500, 2, 8)
    app.start()
    app.ready()
    people = [Annotator(app.server, path, n) for n, path in enumerate(paths)]
    figures_by_name: dict[str, Any] = {}

    def copy() -> None:
        time.sleep(2)
        before = {key for person in people for key in list(person.log.acknowledged)}
        began = time.monotonic()
        archive = backup.backup(app.lab, home / "copy.tar")
        figures_by_name.update(
            seconds=round(time.monotonic() - began, 2), mb=round(archive.bytes / 1e6, 1), rows=archive.rows
        )
        figures_by_name["acknowledged_before"] = before

    worker = threading.Thread(target=copy, daemon=True)
    worker.start()
    wrong = at_once(people)
    worker.join()
    again = backup.restore(Config(home=home / "elsewhere"), home / "copy.tar")
    other = bootstrap.open_lab(Config(home=home / "elsewhere"))
    with other.database.reading() as session:
        stored = set(session.scalars(select(Assignment.key).where(Assignment.status == "done")))
        rankings = session.scalar(select(func.count()).select_from(Ranking))
    other.close()
    before = figures_by_name.pop("acknowledged_before")
    faults = wrong + app.faults(number, people, 2)
    if missing := before - stored:
        faults.append(f"{len(missing)} answers acknowledged before the backup are not in it")
    if again.rows != figures_by_name["rows"]:
        faults.append("the restored lab has other counts")
    app.stop()
    rows = figures_by_name.pop("rows")
    return figures(people) | figures_by_name | {"rankings_in_backup": rankings, "tables": len(rows), "faults": faults}


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
    new_campaign = sources.from_file(app.lab, CampaignPlan("large", kind="ranking", overlap=3), path, sources.Columns())
    imported = time.monotonic() - began
    feedback.move(app.lab, new_campaign.campaign, "open")
    link = links.invite(app.lab, new_campaign.campaign, "ann").path
    app.start()
    app.ready()
    with httpx.Client(base_url=app.server.url, timeout=60, follow_redirects=True) as client:
        began = time.monotonic()
        client.get(link).raise_for_status()
        address = f"/rank/{links.invite(app.lab, new_campaign.campaign, 'ann').annotator}/"
        client.get(f"{address}state").raise_for_status()
        client.post(f"{address}next", json={"have": [], "want": 3}).raise_for_status()
        first = time.monotonic() - began
    result = {
        "import_s": round(imported, 1),
        "first_card_s": round(first, 3),
        "items": new_campaign.items,
        "faults": [],
    }
    # The first opening imports what every page needs, which benchmarks/app.py tells; here the items are meant.
    for name in ("first_page_s", "page_s"):
        with chromium() as page:
            if page is not None:
                began = time.monotonic()
                page.goto(f"{app.server.url}/feedback?campaign={new_campaign.campaign}", wait_until="commit")
                page.locator(".fb-people tbody tr").wait_for(timeout=60_000)
                result[name] = round(time.monotonic() - began, 2)
    app.stop()
    return result


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
            with tempfile.TemporaryDirectory(prefix="rankings") as folder:
                try:
                    with database(name) as url:
                        found = bodies[part](Path(folder) / "home", url, options)
                except Missing as problem:
                    found = {"left_out": str(problem)}
            results[f"{part}, {name}"] = found
            print(f"{part}, {name}:")
            for key, value in found.items():
                print(f"  {key.replace('_', ' '):<24} {value}", flush=True)
            if options.out:
                options.out.write_text(json.dumps(results, indent=2) + "\n")
    return int(any(result.get("faults") for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
