"""`bench`: the benchmarks of this repository, each in a process of its own."""

import argparse
import json
import subprocess
import sys

from genai_lab.cli.base import COMMANDS, Parser, Parsers, print_json
from genai_lab.config import PROJECT
from genai_lab.errors import LabError


@COMMANDS.register("bench")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    parser = groups.add_parser("bench", parents=[shared], help="measure speed and quality, both sides in one run")
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmarks to run (default: all)")
    parser.set_defaults(command=_bench)


def _bench(options: argparse.Namespace) -> int:
    folder = PROJECT / "benchmarks"
    names = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    for name in options.names:
        if name not in names:
            raise LabError(f"There is no benchmark called {name!r}. Known: {', '.join(names)}.")
    results = {}
    for name in options.names or names:
        out = PROJECT / "build" / "bench" / f"{name}.json"
        out.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", "--out", str(out)]
        process = subprocess.run(command, cwd=PROJECT, stdout=sys.stderr if options.json else None, check=False)
        if process.returncode:
            raise LabError(f"The benchmark {name} ended with code {process.returncode}; its output says why.")
        results[name] = json.loads(out.read_text())
    if options.json:
        print_json(results)
    return 0
