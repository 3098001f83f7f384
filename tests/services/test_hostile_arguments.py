"""Every command with arguments that nobody should give: one sentence and an exit code, never a traceback."""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from genai_lab.cli.base import SELECTORS, STATUSES, UNFORESEEN, parser
from genai_lab.context import LabContext
from tests.services.conftest import Call
from tests.tiny import open_lab

HOSTILE = (
    "", " ", "-", "--", ".", "..", "/", "~", "~nobody/x", "/dev/null", "/no/such/folder", "no/such/file", "a" * 5000,
    "x/" * 3000, "\ud800", "\udcff", "\0", "\n\n", "\x1b[31m", "😀", "café", "٣", "%s%n", "{{ 1/0 }}", "{% for %}",
    "${HOME}", "'; DROP TABLE runs; --", "<script>", "NaN", "inf", "-1", "0", "1", "2", "1e999", "-1e-999", "9" * 40,
    "9" * 5000, "0x10", "1_000", "true", "null", "[1, 2", "[[0],[1]]", "{}", "a=b", "=", "=x", "x=", "a=b=c", "a,b,,",
    ",", "@", "tiny", "tiny@1", "tiny@99999999999999999999", "plain", "plain@0", "plain@-1", "starter-causal",
    "starter:", "starter:none", "hub:", "hub:owner/name", "hub:../..", "sample:none", "owner/name", "owner/../name",
    "http://127.0.0.1:9", "http://", "https://user:word@host", "http://[::1", "http://\r\nx", "file:///etc/passwd",
    "input=text", "rouge", "exact_match", "use_stemmer=maybe", "0.5,0.5,0.5", "1,2,x", "random", "test",
)  # fmt: skip
# What would run for long or write where it is told to; their arguments are tried as far as the parser and no further.
NOT_RUN = ("bench", "starter build")
LEFT_OUT = ("--wait", "--timeout", "--home", "--help")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[LabContext]:
    """A lab of their own: some of these commands archive or delete what others need."""
    lab = open_lab(tmp_path_factory.mktemp("home"), tiny=tiny_folder)
    yield lab
    lab.close()


def leaves(
    full: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], list[argparse.Action]]]:
    """Every command with its arguments."""
    below = [action for action in full._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield path, [action for action in full._actions if not set(action.option_strings) & set(LEFT_OUT)]
    for action in below:
        for name, child in action.choices.items():
            yield from leaves(child, (*path, name))


COMMANDS = {" ".join(path): actions for path, actions in leaves(parser())}


def random_arguments(actions: list[argparse.Action], draw: random.Random) -> list[str]:
    arguments: list[str] = []
    for action in actions:
        needed = action.required or not action.option_strings
        if not needed and draw.random() > 0.35:
            continue
        settings = [] if action.nargs == 0 else [draw.choice(HOSTILE)]
        if action.choices and draw.random() < 0.8:
            settings = [str(draw.choice(sorted(action.choices)))]
        arguments += (
            [f"{action.option_strings[-1]}={settings[0]}" if settings else action.option_strings[-1]]
            if action.option_strings
            else settings
        )
    return arguments


@pytest.mark.parametrize("name", COMMANDS)
def test_no_argument_ends_in_a_traceback(
    name: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("GENAI_LAB_TRACEBACK", "1")
    draw = random.Random(name)
    for _ in range(6):
        arguments = random_arguments(COMMANDS[name], draw)
        if name in NOT_RUN:
            arguments = [*arguments, "--no-such-option"]
        code, _, err = call(*name.split(), *arguments)
        assert code in (0, 1, 2), arguments
        assert UNFORESEEN not in err, arguments
        assert "Traceback" not in err, arguments
        if code == 2:
            assert err.strip(), arguments
            assert len([line for line in err.strip().splitlines() if ": " in line]) >= 1, arguments


@pytest.mark.parametrize(
    "arguments", [("jobs", "list", "--search=--"), ("train", "--config=--"), ("prompts", "run", "--title=--")]
)
def test_value_that_argparse_takes_for_the_end_of_options_is_refused(arguments: tuple[str, ...], call: Call) -> None:
    code, _, err = call(*arguments)
    assert code == 2
    assert "has no value; write one after the equals sign." in err


def test_unforeseen_error_is_one_sentence(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("genai_lab.services.models.catalogue", broken)
    monkeypatch.delenv("GENAI_LAB_TRACEBACK", raising=False)
    code, out, err = call("models", "list")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert f"{UNFORESEEN} (RuntimeError: first line second line)" in err


def test_names_that_the_parser_knows_are_those_that_there_are() -> None:
    from genai_lab.prompts.few_shot import SELECTORS as known
    from genai_lab.services.jobs import STATUSES as statuses

    assert tuple(known) == SELECTORS
    assert statuses == STATUSES
