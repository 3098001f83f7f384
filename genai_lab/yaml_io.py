"""YAML as people write it: 2e-4 is a number, and what is wrong is told in words."""

import re
from typing import Any

import yaml

from genai_lab.errors import LabError

MOST = 100_000
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")
TAB = "a tab stands where YAML allows spaces only; indent with spaces"


class Loader(yaml.SafeLoader):
    """YAML 1.1 reads 2e-4, which has no point, as a text."""


class Dumper(yaml.SafeDumper):
    """Quotes a text that `Loader` would read as a number."""


for _one in (Loader, Dumper):
    _one.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER, list("-+.0123456789"))


def read_yaml(text: str, what: str) -> Any:
    """What the text says; raises LabError, which calls it `what`, naming the line and the cause."""
    if len(text) > MOST:
        raise LabError(f"{what} has {len(text):,} characters, more than {MOST:,}; is it the right file?")
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as problem:
        where = getattr(problem, "problem_mark", None)
        position = f" in line {where.line + 1}" if where is not None else ""
        raise LabError(f"{what} is not valid YAML{position}: {_cause(problem)}.") from None
    except RecursionError:
        raise LabError(f"{what} is nested too deeply to be read.") from None
    except ValueError as problem:  # a date such as 2024-13-45
        raise LabError(f"{what} has a value that YAML cannot read ({problem}); put quotes around texts.") from None


def write_yaml(value: Any) -> str:
    return str(yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True))


def _cause(problem: yaml.YAMLError) -> str:
    cause = getattr(problem, "problem", None) or getattr(problem, "reason", None) or str(problem).splitlines()[0]
    return TAB if r"'\t'" in cause else str(cause)
