"""Metrics with their settings as options: `--metric rouge --set rouge.use_stemmer=true`."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from genai_lab.cli.base import Parser
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from genai_lab.metrics import MetricSpec


def add_settings(parser: Parser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="METRIC.NAME=VALUE",
        help="a setting of a metric, such as rouge.use_stemmer=true; may be repeated",
    )


def metric_specs(names: Sequence[str], pairs: Sequence[str]) -> list["MetricSpec"]:
    """The metrics with the settings that METRIC.NAME=VALUE give them; raises LabError for a metric not named."""
    from genai_lab.metrics import MetricSpec

    values = settings_of(pairs)
    unnamed = next((name for name in values if name not in names or not isinstance(values[name], dict)), None)
    if unnamed is not None:
        raise LabError(f"--set {unnamed} belongs to no metric of --metric; write METRIC.NAME=VALUE.")
    return [MetricSpec(name, values.get(name, {})) for name in names]


def settings_of(pairs: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; true, false and numbers are read as such, and a dot in a name makes a mapping."""
    values: dict[str, Any] = {}
    for pair in pairs:
        path, equals, text = pair.partition("=")
        *parts, name = path.strip().split(".")
        if not equals or not name:
            raise LabError(f"{pair!r} sets nothing; write NAME=VALUE, such as use_stemmer=true.")
        node = values
        for part in parts:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise LabError(f"{pair!r} sets a part of {part}, which has a value of its own; leave one of them out.")
        try:
            node[name] = json.loads(text)
        except ValueError:
            node[name] = text
    return values
