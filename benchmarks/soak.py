"""Jobs under kill -9: real work in real workers, the app and its workers killed at random seeded moments.

`python -m benchmarks.soak --out FILE`. First every job is done once without a kill. Then, on SQLite and on PostgreSQL
(Debian's server, started here in a temporary folder as a user who is not root), the same jobs are queued again while
the app and workers are killed. Each job must end exactly once and well, never have two workers, find nothing out twice,
leave no process behind, and make the same artefacts as without a kill.
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
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import select

from benchmarks.support.postgres import Missing, server
from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.decoding import Sampling
from genai_lab.services import datasets, evaluation, jobs, matrix
from genai_lab.services.jobs import job_files
from genai_lab.services.jobs.handlers import HANDLERS
from storage.tables import DatasetVersion, Generation, Run, Score

ROOT = Path(__file__).resolve().parents[1]
MODEL = "starter-causal"
TEMPLATES = ("classify-review", "classify-review-bare")
ENDED = ("finished", "cancelled", "failed")
MOST_KILLS = 2
PATIENCE = 1800.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--jobs", type=int, default=30)
    parser.add_argument("--kills", type=int, default=10, help="of the app, and as many of workers")
    parser.add_argument("--rows", type=int, default=60, help="rows of a matrix cell; an import has 500 times as many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    options = parser.parse_args()
    results: dict[str, Any] = {"jobs": options.jobs, "kills": options.kills, "seed": options.seed}
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        expected = Soak(Path(folder) / "calm", "", options).calm()
        results["seconds_without_kills"] = expected.pop("seconds")
        for name in options.database or ("sqlite", "postgresql"):
            try:
                with database(name, Path(folder)) as url:
                    results[name] = Soak(Path(folder) / name, url, options).run(expected)
            except Missing as problem:
                results[name] = {"left_out": str(problem)}
    told(results)
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n")
    return int(any(result.get("faults") for result in results.values() if isinstance(result, dict)))


@contextlib.contextmanager
def database(name: str, folder: Path) -> Iterator[str]:
    if name == "sqlite":
        yield ""
        return
    with server() as url:
        yield url


class Soak:
    """One data home with its app, watched from outside through the database and the process table."""

    def __init__(self, home: Path, url: str, options: argparse.Namespace) -> None:
        self.options = options
        self.random = random.Random(options.seed)
        self.config = Config(home=home, database_url=url, cpu_jobs=2, device="cpu")
        self.lab = bootstrap.open_lab(self.config)
        self.faults: list[str] = []
        self.killed: Counter[int] = Counter()
        self.ended: dict[int, tuple[str, Any]] = {}
        self.kills = {"app": 0, "worker": 0}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.app: subprocess.Popen[bytes] | None = None

    def calm(self) -> dict[str, Any]:
        """Every job once, without a kill; what they made."""
        ids = self.queued()
        began = time.monotonic()
        for job in ids:
            view = jobs.wait(self.lab, job, timeout=PATIENCE)
            if view.status != "finished":
                raise SystemExit(f"job {job} ({view.title}) does not even finish in peace: {view.error}")
        seconds = time.monotonic() - began
        result = self.artefacts(ids)
        self.lab.close()
        return {"made": result, "seconds": round(seconds, 1)}

    def run(self, expected: dict[str, Any]) -> dict[str, Any]:
        """The same jobs under kills; every fault in words."""
        began = time.monotonic()
        self.start()
        self.opened()
        self.refused()
        ids = self.queued()
        try:
            self.suffer(ids)
            self.opened()
        finally:
            self.stop()
        self.judge(ids, expected["made"])
        attempts = [jobs.show(self.lab, job).attempt for job in ids]
        self.lab.close()
        return {
            "seconds": round(time.monotonic() - began, 1),
            "kills": dict(self.kills),
            "jobs_by_kind": self.kinds,
            "attempts": sum(attempts),
            "faults": self.faults,
        }

    # The work

    def queued(self) -> list[int]:
        """The jobs, kind after kind in turn, as far as this repository has kinds and the soak knows how to ask."""
        version = datasets.import_starter(self.lab, "sentiment", rows={"train": 50, "test": self.options.rows})
        makers: dict[str, Callable[[int], int]] = {"import": self.importing}
        if "matrix" in HANDLERS:
            makers["matrix"] = lambda number: self.trying(number, version.name)
        if "evaluate" in HANDLERS:
            makers["evaluate"] = self.evaluating
        self.cells: list[tuple[int, int]] = []
        names = [name for name in ("import", "matrix", "evaluate") if name in makers]
        ids = [makers[names[number % len(names)]](number) for number in range(self.options.jobs)]
        self.kinds = dict(Counter(jobs.show(self.lab, job).kind for job in ids))
        return ids

    def importing(self, number: int) -> int:
        """A file of words drawn with the number as seed."""
        path = self.config.home / f"soak{number}.csv"
        draw = random.Random(number)
        arguments = ["lamp", "kite", "river", "never", "quickly", "blue", "seven", "house"]
        with path.open("w") as out:
            out.write("text,label\n")
            for row in range(500 * self.options.rows):
                out.write(f"{row} {' '.join(draw.choices(arguments, k=20))},{draw.choice('ab')}\n")
        order = datasets.file_order(path, f"soak {number}", mapping={"input": ["text"], "label": ["label"]})
        job = datasets.start(self.lab, order)
        path.unlink()
        return job

    def trying(self, number: int, dataset: str) -> int:
        plan = matrix.MatrixPlan(
            dataset,
            (MODEL,),
            TEMPLATES,
            shots=(number % 3,),
            samplings=(Sampling(greedy=True, max_new_tokens=8),),
            seeds=(number,),
            rows=self.options.rows,
            use_cache=False,
        )
        started = matrix.start(self.lab, plan, title=f"soak {number}")
        self.cells += [(cell, started.job_id) for cell in started.cells]
        return started.job_id

    def evaluating(self, number: int) -> int:
        """Of the last matrix, which it depends on."""
        pair = self.cells[-2:]
        choices = [evaluation.MetricSpec("rouge"), evaluation.MetricSpec("chrf")]
        return evaluation.start(self.lab, [cell for cell, _ in pair], choices, depends_on=pair[0][1]).job_id

    # The app and its end

    def start(self) -> None:
        env = {**os.environ, **self.config.environment(), "GENAI_LAB_CPU_JOBS": "2"}
        command = [sys.executable, "app.py", "--port", str(self.port)]
        with (self.config.home / "app.log").open("ab") as log:
            self.app = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    def opened(self) -> None:
        """Waits until the app answers."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.app is not None and self.app.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=5).status_code == 200:
                    return
            time.sleep(0.05)
        raise SystemExit(f"the app did not start: {(self.config.home / 'app.log').read_text()[-2000:]}")

    def stop(self) -> None:
        if self.app is not None:
            self.app.terminate()
            self.app.wait(30)

    def refused(self) -> None:
        """A second app on the same data home says one sentence and ends."""
        env = {**os.environ, **self.config.environment()}
        command = [sys.executable, "app.py", "--port", str(self.port + 1)]
        process = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if (
            process.returncode != 2
            or len(process.stderr.strip().splitlines()) != 1
            or "Another genai_lab" not in process.stderr
        ):
            self.faults.append(
                f"a second app was not refused in one sentence: {process.returncode} {process.stderr[-300:]}"
            )

    def suffer(self, ids: list[int]) -> None:
        """Kills spread over the work: each at a random moment after its share of the jobs has ended.

        A killed app is started again at once, and may be killed again before it has opened.
        """
        deaths = ["app", "worker"] * self.options.kills
        self.random.shuffle(deaths)
        until = time.monotonic() + PATIENCE
        for number, victim in enumerate(deaths):
            share = 0.6 * len(ids) * number / len(deaths)
            while len(self.ended) < share and self.watch(ids) and time.monotonic() < until:
                time.sleep(0.1)
            moment = time.monotonic() + self.random.uniform(0.0, 2.5)
            while time.monotonic() < moment:
                self.watch(ids)
                time.sleep(0.05)
            self.kill(victim, ids, until)
        while self.watch(ids):
            if time.monotonic() > until:
                self.faults.append("the jobs did not end in time")
                return
            time.sleep(0.2)

    def kill(self, victim: str, ids: list[int], until: float) -> None:
        if victim == "app":
            assert self.app is not None
            self.app.kill()
            self.app.wait()
            self.kills["app"] += 1
            self.start()
            return
        while time.monotonic() < until and self.watch(ids):
            living = [(job, pid) for job, pid in self.workers() if self.killed[job] < MOST_KILLS]
            if living:
                job, pid = self.random.choice(living)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.killed[job] += 1
                    self.kills["worker"] += 1
                    return
            time.sleep(0.05)

    # What is seen

    def workers(self) -> list[tuple[int, int]]:
        """(job, pid) of every living worker of this data home.

        A worker leads a process group; what it forks looks like it until it becomes another program.
        """
        result = []
        for item in psutil.process_iter(["cmdline", "status"]):
            message = item.info["cmdline"] or []
            here = "genai_lab.worker" in message and str(self.config.home) in message[-2]
            with contextlib.suppress(ProcessLookupError):
                if here and item.info["status"] != psutil.STATUS_ZOMBIE and os.getpgid(item.pid) == item.pid:
                    result.append((int(Path(message[-2]).name), item.pid))
        return result

    def watch(self, ids: list[int]) -> bool:
        """Looks at the app, the processes and the rows; whether a job is still live."""
        if self.app is not None and (code := self.app.poll()) is not None:
            self.faults.append(f"the app ended by itself with code {code}")
            self.start()
        observed = self.workers()
        for job, count in Counter(job for job, _ in observed).items():
            if count > 1:
                self.faults.append(
                    f"job {job} had {count} workers at once: {[pid for job_id, pid in observed if job_id == job]}"
                )
        live = False
        for view in jobs.find(self.lab, limit=1000)[0]:
            if view.id not in ids:
                continue
            live = live or view.live
            before, now = self.ended.get(view.id), (view.status, view.ended_at)
            if before is not None and before != now:
                self.faults.append(f"job {view.id} ended as {before} and then as {now}")
            if view.status in ENDED:
                self.ended[view.id] = now
        return live

    def judge(self, ids: list[int], expected: list[Any]) -> None:
        time.sleep(1)
        if remaining := [item for item in psutil.process_iter() if self.ours(item)]:
            self.faults.append(f"{len(remaining)} processes were left behind")
        for job in ids:
            view = jobs.show(self.lab, job)
            if view.status != "finished":
                self.faults.append(f"job {job} ({view.title}) ended as {view.exit_reason}: {view.error}")
            if twice := self.found_twice(job):
                self.faults.append(f"job {job} found out {twice} things twice")
        if self.kills != {"app": self.options.kills, "worker": self.options.kills}:
            self.faults.append(f"only these kills found a victim: {self.kills}")
        for number, (got, required) in enumerate(zip(self.artefacts(ids), expected, strict=True)):
            if got != required:
                self.faults.append(f"job {ids[number]} made something else than without a kill")

    def ours(self, item: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return item.pid != os.getpid() and item.environ().get("GENAI_LAB_HOME") == str(self.config.home)
        return False

    def found_twice(self, job: int) -> int:
        keys: Counter[str] = Counter()
        offset, path = 0, jobs.folder(self.lab, job) / job_files.REPORT
        while result := list(job_files.lines(path, offset)):
            keys.update(str(line["record"]["key"]) for line, _ in result if "record" in line)
            offset = result[-1][1]
        return sum(count > 1 for count in keys.values())

    def artefacts(self, ids: list[int]) -> list[Any]:
        """What each job made, without times: hashes, completions, figures."""
        return [self.made(jobs.show(self.lab, job)) for job in ids]

    def made(self, view: jobs.JobView) -> Any:
        with self.lab.database.reading() as session:
            if view.kind == "import":
                name = str((view.result or {}).get("dataset", "")).split("@")[0]
                return [v.content_hash for v in session.scalars(select(DatasetVersion)) if v.dataset.name == name]
            cells = list(session.scalars(select(Run.id).where(Run.parent_id == view.run_id).order_by(Run.id)))
            expected = select(Generation).where(Generation.run_id.in_(cells)).order_by(Generation.run_id, Generation.id)
            texts = sorted(
                (cells.index(scalar.run_id), scalar.example, scalar.text) for scalar in session.scalars(expected)
            )
            scores = session.scalars(select(Score).where(Score.run_id == view.run_id).order_by(Score.source_run_id))
            figures = sorted((s.metric, s.figure, repr((s.value, s.low, s.high, s.n, s.per_example))) for s in scores)
            return [texts, figures]


def told(results: dict[str, Any]) -> None:
    print(f"{results['jobs']} jobs in peace: {results['seconds_without_kills']} s")
    for name in ("sqlite", "postgresql"):
        if item := results.get(name):
            print(f"{name:12}", item.get("left_out") or f"{item['kills']} kills, {item['seconds']} s, faults: ", end="")
            print("; ".join(item.get("faults", [])) or ("none" if "faults" in item else ""))


if __name__ == "__main__":
    sys.exit(main())
