"""`generate`: completions for one prompt, as text or with everything that is known of them as JSON."""

import argparse
import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from genai_lab.cli import COMMANDS, Parser, Parsers, integer, print_json, progress, real, with_lab

if TYPE_CHECKING:
    from genai_lab.context import LabContext


@COMMANDS.register("generate")
def add(parts: "Parsers[Parser]", shared: Parser) -> None:
    from genai_lab.decoding import CHAT_TOKENS, Sampling
    from genai_lab.settings import fields_of

    parser = parts.add_parser("generate", parents=[shared], help="draw completions for a prompt")
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompt", required=True, help="the prompt; - reads standard input")
    parser.add_argument(
        "--mode",
        choices=["completion", "chat", "text-to-text"],
        help="default: chat where the model has a chat template",
    )
    parser.add_argument(
        "--trace", nargs="?", type=integer, const=8, default=0, metavar="N", help="N alternatives a token"
    )
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
    parser.set_defaults(command=_generate)


@with_lab
def _generate(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.decoding import Sampling
    from genai_lab.services import defaults, generation, models

    text = sys.stdin.read() if options.prompt == "-" else options.prompt
    chosen = {
        item.name: value for item in dataclasses.fields(Sampling) if (value := getattr(options, item.name)) is not None
    }
    prompt = models.prompt_for(lab, options.model, text, options.mode)
    sampling = defaults.sampling_for(lab, options.model, chosen, options.mode)
    live = generation.start(lab, options.model, prompt, sampling, trace=options.trace, return_logits=False)
    plain = not options.json and sampling.num_return_sequences == 1
    for delta in live:
        if plain:
            print(delta.text, end="", flush=True)
    if plain:
        print()
    elif not options.json:
        for completion in live.completions:
            print(f"--- completion {completion.index + 1}, seed {completion.seed}\n{completion.text}")
    else:
        print_json(_result(live, options))
    if not options.json:
        for note in dict.fromkeys(note for completion in live.completions for note in completion.notes):
            progress(note)


def _result(live: Any, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "run": live.run_id,
        "model": options.model,
        "prompt": live.rendered,
        "seed": live.seed,
        "settings": live.sampling.as_dict(),
        "stats": dataclasses.asdict(live.stats),
        "completions": [_completion(completion, bool(options.trace)) for completion in live.completions],
    }


def _completion(completion: Any, traced: bool) -> dict[str, Any]:
    fields = {item.name: getattr(completion, item.name) for item in dataclasses.fields(completion)}
    tokens = fields.pop("tokens")
    fields["completion_tokens"] = completion.completion_tokens
    return fields | ({"tokens": [_token(token) for token in tokens]} if traced else {})


def _token(token: Any) -> dict[str, Any]:
    stages = [
        {
            "filter": stage.filter,
            "alternatives": [dataclasses.asdict(one) for one in stage.alternatives],
            "removed": stage.removed,
        }
        for stage in token.stages
    ]
    return {item.name: getattr(token, item.name) for item in dataclasses.fields(token)} | {"stages": stages}
