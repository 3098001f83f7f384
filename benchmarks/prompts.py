"""Templates in their sandbox: whole datasets filled, shots chosen, hostile templates stopped while others are filled.

`python -m benchmarks.prompts --out FILE`. Rows are those of the starter's sentiment task; nothing else is measured
in the same process.
"""

import argparse
import json
import random
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genai_lab.data import Example
from genai_lab.errors import TemplateError
from genai_lab.prompts import Binding, Template, render
from genai_lab.prompts.few_shot import SELECTORS, needs_embedder, select
from genai_lab.prompts.sandbox import Sandbox
from genai_lab.starter.tasks import TASKS

ROWS, POOL, SHOTS, ROUNDS = 500, 2_000, 4, 5
TEMPLATE = Template(
    system="Answer with {{ labels | join(' or ') }}.", instruction="Review: {{ input }}\nLabel:", separator="\n"
)
BINDING = Binding(labels=("negative", "positive"))
HOSTILE = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a tower of powers": "{{ 9 ** (9 ** 9) }}",
    "a billion characters": "{{ 'x' * 10**9 }}",
    "huge output": "{% for i in range(99999) %}{{ input * 99 }}{% endfor %}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    items, pool = draw_examples("test", ROWS, POOL), draw_examples("train", POOL, 0)
    shots = select("random", pool, items, SHOTS, 1)
    similar = select("similar", pool, items, SHOTS, 1)
    rows: list[tuple[str, float, str, str]] = [
        ("a sandbox process begins", median(begin), "ms", ""),
        (f"{ROWS} rows, {SHOTS} shots alike", median(lambda: filled(items, shots)), "ms", "well under 1000"),
        (f"{ROWS} rows, {SHOTS} shots of their own", median(lambda: filled(items, similar)), "ms", "well under 1000"),
        (f"{ROWS} rows as chats", median(lambda: filled(items, similar, chat=True)), "ms", "well under 1000"),
    ]
    # Shots by meaning are timed by an embedder, not by the lab.
    for name in (name for name in SELECTORS if not needs_embedder(name)):
        fixed_time = median(lambda name=name: select(name, pool, items, SHOTS, 1, fixed=range(SHOTS)), 3)  # type: ignore[misc]
        rows.append((f"{ROWS} x {SHOTS} shots out of {POOL:,}: {name}", fixed_time, "ms", ""))
    stopped, waited = under_attack(items)
    rows.append(("hostile template stopped, slowest", stopped, "ms", "under 2000"))
    rows.append(("others filled meanwhile, p95", waited, "ms", ""))
    for label, value, unit, target in rows:
        print(f"{label:44} {value:10.1f} {unit:4} {target}")
    if options.out:
        table = [dict(zip(("name", "value", "unit", "target"), row, strict=True)) for row in rows]
        options.out.write_text(json.dumps({"rounds": ROUNDS, "figures": table}, indent=1) + "\n")
    return 0


def draw_examples(split: str, count: int, first: int) -> list[Example]:
    """Examples of the sentiment task, with keys from `first` on."""
    rng, task = random.Random(split), TASKS.get("sentiment")
    result = [task.draw(rng, split) for _ in range(count)]  # type: ignore[arg-type]
    return [
        Example(first + index, {"input": item.source}, item.references, item.references[0], split)
        for index, item in enumerate(result)
    ]


def filled(items: list[Example], shots: Any, *, chat: bool = False) -> None:
    assert len(render(TEMPLATE, items, shots, chat=chat, binding=BINDING)) == len(items)


def begin() -> None:
    sandbox = Sandbox()
    sandbox.ask({"op": "slots", "parts": {}})
    sandbox.close()


def under_attack(items: list[Example]) -> tuple[float, float]:
    """The longest time until a hostile template was stopped, and how long an innocent one took beside it (p95)."""
    slowest, waits = 0.0, []
    for text in HOSTILE.values():
        finished = threading.Event()
        times: list[float] = []

        def attack(text: str = text, times: list[float] = times, finished: threading.Event = finished) -> None:
            began = time.perf_counter()
            try:
                render(Template(instruction=text), items[:2], chat=False)
            except TemplateError:
                times.append(1000 * (time.perf_counter() - began))
            finished.set()

        threading.Thread(target=attack).start()
        while not finished.is_set():
            began = time.perf_counter()
            filled(items[:10], ())
            waits.append(1000 * (time.perf_counter() - began))
        if not times:
            raise SystemExit(f"a hostile template was filled: {text}")
        slowest = max(slowest, times[0])
    return slowest, statistics.quantiles(waits, n=20)[-1]


def median(run: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Milliseconds; one round before counts for nothing."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times[1:])


if __name__ == "__main__":
    raise SystemExit(main())
