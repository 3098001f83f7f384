"""`generate`: completions for one prompt, by one model or several, as text or with everything about them as JSON."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from genai_lab.cli.base import COMMANDS, Parser, Parsers, integer, print_json, progress, real, several, with_lab

if TYPE_CHECKING:
    from genai_lab.api import Lab


@COMMANDS.register("generate")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    parser = groups.add_parser("generate", parents=[shared], help="write completions for a prompt")
    several(parser, "--model", "a model of the catalogue", required=True)
    parser.add_argument("--prompt", required=True, help="the prompt; - reads standard input")
    parser.add_argument(
        "--mode",
        choices=["completion", "chat", "text-to-text"],
        help="default: chat where the model has a chat template",
    )
    parser.add_argument("--preset", help="a preset's settings; options given here win")
    parser.add_argument(
        "--trace", nargs="?", type=integer, const=8, default=0, metavar="N", help="N alternatives per token"
    )
    add_sampling(parser)
    parser.set_defaults(command=_generate)


def add_sampling(parser: Parser) -> None:
    """One option for each sampling setting."""
    from genai_lab.decoding import CHAT_TOKENS, Sampling
    from genai_lab.settings import fields_of

    for item in fields_of(Sampling):
        flags = ["--" + name.replace("_", "-") for name in (item.name, *item.renamed_from)]
        help_text = item.help.replace("%", "%%")
        if item.base is bool:
            parser.add_argument(*flags, action=argparse.BooleanOptionalAction, default=None, help=help_text)
        elif item.base is tuple:
            parser.add_argument(*flags, action="append", help=help_text)
        else:
            kind = real if item.base is float else integer
            usual = "" if item.default is None else f" (default: the model's own, else {item.default})"
            if item.name == "max_new_tokens":
                usual = f" (default: the model's own, else {item.default}, and {CHAT_TOKENS} in chat)"
            parser.add_argument(*flags, type=kind, help=help_text + usual)


def sampling_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The sampling settings that were given."""
    from genai_lab.decoding import Sampling
    from genai_lab.settings import fields_of

    values = {item.name: getattr(options, item.name) for item in fields_of(Sampling)}
    return {name: value for name, value in values.items() if value is not None}


@with_lab
def _generate(lab: "Lab", options: argparse.Namespace) -> None:
    text = sys.stdin.read() if options.prompt == "-" else options.prompt
    settings = sampling_settings(options)
    if len(options.model) > 1:
        return _compare(lab, text, settings, options)
    stream = lab.stream(
        options.model[0], text, mode=options.mode, sampling=options.preset, trace=options.trace, **settings
    )
    plain = not options.json and stream.live.sampling.num_return_sequences == 1
    try:
        for piece in stream:
            if plain:
                print(piece, end="", flush=True)
    except KeyboardInterrupt:
        # What has been written stays in the history, as after Stop on a page.
        stream.cancel()
        progress(f"\nStopped; run {stream.result.id} keeps what it has.")
        raise
    run = stream.result
    if options.json:
        return print_json(run)
    if plain:
        print()
    else:
        for completion in run.completions:
            print(f"--- completion {completion.index + 1}, seed {completion.seed}\n{completion.text}")
    for note in dict.fromkeys(note for completion in run.completions for note in completion.notes):
        progress(note)
    return None


def _compare(lab: "Lab", text: str, settings: dict[str, Any], options: argparse.Namespace) -> None:
    runs = lab.compare(options.model, text, mode=options.mode, sampling=options.preset, **settings)
    if options.json:
        return print_json(runs)
    for run in runs:
        for completion in run.completions:
            print(f"--- {run.model}, seed {completion.seed}\n{completion.text}")
    return None
