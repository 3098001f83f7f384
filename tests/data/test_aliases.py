"""Roles under the names that people use for them."""

import pytest

from genai_lab.data import ROLES
from genai_lab.data.aliases import ALIASES, role_of
from genai_lab.data.guessing import check_roles, guess
from genai_lab.errors import LabError


def test_every_alias_means_one_role() -> None:
    names = [alias for aliases in ALIASES.values() for alias in aliases]
    assert len(names) == len(set(names))
    assert not set(names) & set(ROLES)
    assert ALIASES.keys() <= set(ROLES)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("prompt", "input"), ("Text", "input"), ("question", "input"), ("completion", "reference"),
        ("target", "reference"), ("answer", "reference"), ("ground-truth", "reference"), ("class", "label"),
        ("input", "input"), ("chosen", "chosen"),
    ],
)  # fmt: skip
def test_role_is_known_by_the_names_that_people_use(name: str, role: str) -> None:
    assert role_of(name) == role
    assert check_roles({name: ["column"]}, ["column"]) == {role: ("column",)}


def test_two_names_of_one_role_take_two_columns_only_where_it_does() -> None:
    assert check_roles({"answer": ["a"], "reference": ["b"]}, ["a", "b"]) == {"reference": ("a", "b")}
    with pytest.raises(LabError, match="input takes one column, but 2 are given: a, b"):
        check_roles({"prompt": ["a"], "question": ["b"]}, ["a", "b"])
    with pytest.raises(LabError, match=r"no role 'nonsense'. Known: input \(or prompt, text"):
        check_roles({"nonsense": ["a"]}, ["a"])


def test_guess_knows_them_too() -> None:
    assert guess(["Query", "Ground_Truth"]) == {"input": ("Query",), "reference": ("Ground_Truth",)}
    assert guess(["prompt", "completion"]) == {"input": ("prompt",), "reference": ("completion",)}
