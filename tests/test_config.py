"""The environment: what it sets, and one sentence for what cannot be used."""

import sqlite3
from pathlib import Path

import pytest

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.errors import LabError


def test_an_option_wins_over_its_variable_and_that_over_the_default(tmp_path: Path) -> None:
    env = {"GENAI_LAB_HOME": str(tmp_path / "one"), "GENAI_LAB_PORT": "8000", "GENAI_LAB_MEMORY_GB": "1.5"}
    config = Config.from_environment(env, home=tmp_path / "two", port=None)
    assert (config.home, config.port, config.memory_budget) == (tmp_path / "two", 8000, 3 * 2**29)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GENAI_LAB_PORT", "7860.5"),
        ("GENAI_LAB_PORT", "70000"),
        ("GENAI_LAB_MEMORY_GB", "-1"),
        ("GENAI_LAB_MEMORY_GB", "inf"),
        ("GENAI_LAB_MEMORY_GB", "nan"),
        ("GENAI_LAB_CPU_JOBS", "many"),
        ("GENAI_LAB_DEVICE", "gpu"),
        ("GENAI_LAB_DTYPE", "int3"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(name: str, value: str) -> None:
    with pytest.raises(LabError) as caught:
        Config.from_environment({name: value})
    assert value in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "postgres://me:hidden@127.0.0.1:port/lab",
        "postgres://me:hidden@127.0.0.1:1/lab",
        "sqlite:////no/where.db",
    ],
)
def test_a_database_that_cannot_be_opened_is_one_sentence_without_the_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(LabError, match="cannot be opened: ") as caught:
        bootstrap.open_lab(Config(home=tmp_path, database_url=url))
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "lab.db") as result:
        result.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        result.execute("INSERT INTO alembic_version VALUES ('9999')")
    result.close()
    with pytest.raises(LabError, match="made by another version of the lab"):
        bootstrap.open_lab(Config(home=tmp_path))


def test_a_plugin_that_cannot_be_imported_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"plugin no_such\.module cannot be imported"):
        bootstrap.open_lab(Config(home=tmp_path, plugins=("no_such.module",)))


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "lab.db").write_bytes(b"not a database" * 100)
    with pytest.raises(LabError, match="file is not a database"):
        bootstrap.open_lab(Config(home=tmp_path))
    assert (tmp_path / "lab.db").read_bytes() == b"not a database" * 100
