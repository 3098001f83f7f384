"""`models list | add | show | archive | restore | remove`."""

import argparse
import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.cli import COMMANDS, Parser, Parsers, print_json, progress, with_lab
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from genai_lab.context import LabContext
    from genai_lab.models import Source

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@COMMANDS.register("models")
def add(parts: "Parsers[Parser]", shared: Parser) -> None:
    group = parts.add_parser("models", help="list, add, show, archive, restore or remove models")
    verbs = group.add_subparsers(required=True, metavar="VERB")
    every = verbs.add_parser("list", parents=[shared], help="every model in the catalogue")
    every.add_argument("--archived", action="store_true", help="those that were put away instead")
    every.set_defaults(command=_list)
    _add_options(
        verbs.add_parser(
            "add",
            parents=[shared],
            help="put a model into the catalogue: a folder, a Hub id or an endpoint's address",
            description="A folder that exists is a local model, or an adapter where it holds adapter_config.json; "
            "OWNER/NAME is downloaded from the Hub; an address that begins with http is an OpenAI-compatible endpoint.",
        )
    )
    for verb, run in (("show", _show), ("archive", _archive), ("restore", _restore), ("remove", _remove)):
        one = verbs.add_parser(verb, parents=[shared], help=f"{verb} one model")
        one.add_argument("name")
        one.set_defaults(command=run)


def _add_options(parser: Parser) -> None:
    parser.add_argument("place", metavar="PATH|OWNER/NAME|URL")
    parser.add_argument("--name", help="its name here (default: the last part of the place)")
    parser.add_argument("--remote-name", help="the model's name at the endpoint (default: the only one that it lists)")
    parser.add_argument("--base", help="name of the base model (adapter)")
    parser.add_argument("--revision", help="Hub revision")
    parser.add_argument("--key-env", help="name of the environment variable that holds the key or token")
    parser.add_argument("--new-host", action="store_true", help="the key may go to a host that it was not used at yet")
    parser.add_argument("--backend", choices=["local", "hub", "adapter", "endpoint"], help="where the place is unclear")
    parser.add_argument("--location", help="the place, with the name in its stead: models add NAME --location PLACE")
    parser.set_defaults(command=_add)


@with_lab
def _list(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import models

    views = models.catalogue(lab, archived=options.archived)
    if options.json:
        return print_json([_fields(view) for view in views])
    for view in views:
        size = f"{view.card.parameters / 1e6:.1f}M" if view.card.parameters else "-"
        print(f"{view.card.name:24} {view.card.family:16} {size:>8}  {view.status:9} {view.card.source.location}")


@with_lab
def _add(lab: "LabContext", options: argparse.Namespace) -> None:
    from dataclasses import replace

    from genai_lab.services import endpoints, models

    source, name = _source(options)
    if source.backend == "endpoint" and not source.remote_name:
        endpoints.check_key_host(lab, source, options.new_host)
        source = replace(source, remote_name=endpoints.remote_name(lab, source))
    name = name or _name_for(source)
    models.checked_name(lab, name)
    if source.backend == "hub":
        models.download(lab, source, progress=progress)
    _print(models.add(lab, name, source, new_host=options.new_host), options)


def _source(options: argparse.Namespace) -> "tuple[Source, str]":
    """The place that the options name, and the model's name, "" where it is to follow from the place."""
    from genai_lab.models import Source

    place, name, backend = options.place, options.name or "", options.backend
    if options.location is not None:
        # The place is then the name, as `models add NAME --backend KIND --location PLACE` has it.
        place, name = options.location, name or options.place
    elif backend is not None and not place.strip():
        raise LabError("The place of the model is empty; give a folder, OWNER/NAME or an address.")
    backend = backend or _kind(place, bool(options.base))
    if backend in ("local", "adapter"):
        place = _absolute(place)
    if backend == "adapter" and not options.base:
        raise LabError(f"{place} is an adapter; name the model that it stands on with --base.")
    source = Source(backend, place, options.revision, options.base, options.remote_name, options.key_env)
    return source, name


def _kind(place: str, based: bool) -> str:
    """What kind of place it is; raises LabError where it is none."""
    if place.lower().startswith(("http://", "https://")):
        return "endpoint"
    folder = Path(_absolute(place)) if place.strip() else None
    if folder is not None and folder.is_dir():
        return "adapter" if based or (folder / "adapter_config.json").is_file() else "local"
    if HUB_ID.fullmatch(place):
        return "hub"
    raise LabError(
        f"{place[:200]!r} is no folder that exists, no Hub id (OWNER/NAME) and no address (http://...); correct it."
    )


def _absolute(place: str) -> str:
    """The folder as it is found from anywhere, not from where the command was typed alone."""
    try:
        found = Path(place).expanduser().resolve()
        found.is_dir()
    except (OSError, RuntimeError) as problem:
        raise LabError(f"The path {place[:200]!r} cannot be followed ({problem}); give another.") from None
    return str(found) if place.strip() else place


def _name_for(source: "Source") -> str:
    """The last part of the place, in letters that a name may have."""
    last = source.remote_name or source.location
    return re.sub(r"[^\w.:@+-]+", "-", last.rstrip("/").rsplit("/", 1)[-1]).strip("-._:@+")[:100]


@with_lab
def _show(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import models

    _print(models.show(lab, options.name), options)


@with_lab
def _archive(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import models

    models.archive(lab, options.name)
    _print(models.show(lab, options.name), options)


@with_lab
def _restore(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import models

    models.restore(lab, options.name)
    _print(models.show(lab, options.name), options)


@with_lab
def _remove(lab: "LabContext", options: argparse.Namespace) -> None:
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
