"""`starter build`: trains the shipped models from their seeds."""

import argparse
from pathlib import Path

from genai_lab.cli.base import COMMANDS, Parser, Parsers, print_json, progress
from genai_lab.config import PROJECT
from genai_lab.errors import LabError


@COMMANDS.register("starter")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    verbs = groups.add_parser("starter", help="build the shipped models").add_subparsers(required=True, metavar="VERB")
    build = verbs.add_parser("build", parents=[shared], help="train starter models from their seeds; resumable")
    build.add_argument("names", nargs="*", metavar="NAME", help="which models; all three without a name")
    build.add_argument("--out", type=Path, help="folder for the weights (default: the shipped ones' place)")
    build.add_argument("--work", type=Path, help="folder for checkpoints (default: build/starter)")
    build.set_defaults(command=_build)


def _build(options: argparse.Namespace) -> int:
    from genai_lab.starter import build

    for name in options.names:
        if name not in build.NAMES:
            raise LabError(f"There is no starter model called {name!r}. Known: {', '.join(build.NAMES)}.")
    out = options.out or PROJECT / "genai_lab" / "starter" / "weights"
    work = options.work or PROJECT / "build" / "starter"
    paths = {name: str(build.build(name, out, work, progress=progress)) for name in options.names or build.NAMES}
    if options.json:
        print_json(paths)
    return 0
