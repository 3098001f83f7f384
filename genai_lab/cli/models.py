"""`models list | add | show | archive | restore | remove`."""

import argparse
import dataclasses
from typing import Any

from genai_lab.cli import COMMANDS, Parser, Parsers, print_json, progress, with_lab


@COMMANDS.register("models")
def add(parts: "Parsers[Parser]", shared: Parser) -> None:
    group = parts.add_parser("models", help="list, add, show, archive, restore or remove models")
    verbs = group.add_subparsers(required=True, metavar="VERB")
    every = verbs.add_parser("list", parents=[shared], help="every model in the catalogue")
    every.add_argument("--archived", action="store_true", help="those that were put away instead")
    every.set_defaults(command=_list)
    one = verbs.add_parser("add", parents=[shared], help="put a model into the catalogue")
    one.add_argument("name")
    one.add_argument("--backend", required=True, choices=["local", "hub", "adapter", "endpoint"])
    one.add_argument("--location", required=True, help="folder, Hub id or endpoint address")
    one.add_argument("--revision", help="Hub revision")
    one.add_argument("--base", help="name of the base model (adapter)")
    one.add_argument("--remote-name", help="the model's name at the endpoint")
    one.add_argument("--key-env", help="name of the environment variable that holds the key or token")
    one.set_defaults(command=_add)
    for verb, run in (("show", _show), ("archive", _archive), ("restore", _restore), ("remove", _remove)):
        one = verbs.add_parser(verb, parents=[shared], help=f"{verb} one model")
        one.add_argument("name")
        one.set_defaults(command=run)


@with_lab
def _list(lab: Any, options: argparse.Namespace) -> None:
    from genai_lab.services import models

    views = models.catalogue(lab, archived=options.archived)
    if options.json:
        return print_json([_fields(view) for view in views])
    for view in views:
        size = f"{view.card.parameters / 1e6:.1f}M" if view.card.parameters else "-"
        print(f"{view.card.name:24} {view.card.family:16} {size:>8}  {view.status:9} {view.card.source.location}")


@with_lab
def _add(lab: Any, options: argparse.Namespace) -> None:
    from genai_lab.models import Source
    from genai_lab.services import models

    source = Source(
        options.backend, options.location, options.revision, options.base, options.remote_name, options.key_env
    )
    if options.backend == "hub":
        models.download(lab, source, progress=progress)
    _print(models.add(lab, options.name, source), options)


@with_lab
def _show(lab: Any, options: argparse.Namespace) -> None:
    from genai_lab.services import models

    _print(models.show(lab, options.name), options)


@with_lab
def _archive(lab: Any, options: argparse.Namespace) -> None:
    from genai_lab.services import models

    models.archive(lab, options.name)
    _print(models.show(lab, options.name), options)


@with_lab
def _restore(lab: Any, options: argparse.Namespace) -> None:
    from genai_lab.services import models

    models.restore(lab, options.name)
    _print(models.show(lab, options.name), options)


@with_lab
def _remove(lab: Any, options: argparse.Namespace) -> None:
    from genai_lab.services import models

    models.remove(lab, options.name)
    if options.json:
        print_json({"removed": options.name})
    else:
        print(f"Removed {options.name}.")


def _print(view: Any, options: argparse.Namespace) -> None:
    fields = _fields(view)
    if options.json:
        return print_json(fields)
    for name, value in fields.items():
        print(f"{name:14} {'-' if value is None else value}")


def _fields(view: Any) -> dict[str, Any]:
    card = dataclasses.asdict(view.card)
    return {**card, "path": str(card["path"]) if card["path"] else None, "status": view.status, "detail": view.detail}
