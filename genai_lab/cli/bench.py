"""`bench`: the benchmarks of this repository, each in a process of its own."""

import argparse
import json
import subprocess
import sys

from genai_lab.cli import COMMANDS, Parser, Parsers, print_json
from genai_lab.config import PROJECT
from genai_lab.errors import LabError


@COMMANDS.register("bench")
def add(parts: "Parsers[Parser]", shared: Parser) -> None:
    parser = parts.add_parser("bench", parents=[shared], help="measure; both sides in one run")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which benchmarks; all without a name")
    parser.set_defaults(command=_bench)


def _bench(options: argparse.Namespace) -> int:
    folder = PROJECT / "benchmarks"
    known = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    for name in options.names:
        if name not in known:
            raise LabError(f"There is no benchmark called {name!r}. Known: {', '.join(known)}.")
    results = {}
    for name in options.names or known:
        out = PROJECT / "build" / "bench" / f"{name}.json"
        out.parent.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-m", f"benchmarks.{name}", "--out", str(out)]
        done = subprocess.run(words, cwd=PROJECT, stdout=sys.stderr if options.json else None, check=False)
        if done.returncode:
            raise LabError(f"The benchmark {name} ended with code {done.returncode}; its output says why.")
        results[name] = json.loads(out.read_text())
    if options.json:
        print_json(results)
    return 0
