"""Corpora and data that nobody here wrote: each file loads, or is refused with one clear sentence."""

import csv
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.data.formulas import FORMULA_STARTS, NUMBER, release
from genai_lab.data.readers import read
from genai_lab.errors import LabError
from genai_lab.services import datasets
from tests.tiny import open_new

SHARED = Path(__file__).resolve().parents[2] / "../shared"
CORPORA, DATA = SHARED / "corpora", SHARED / "data"
SETS = sorted(DATA.glob("*/*.gz"))


def unpack_key(name: str) -> dict[str, bytes]:
    path = CORPORA / name
    if not path.is_file():
        pytest.skip(f"the corpus {name} is not beside the repository")
    with tarfile.open(path) as archive:
        members = [member for member in archive if member.isfile()]
        return {member.name: archive.extractfile(member).read() for member in members}  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabContext]:
    opened_lab = open_new(Config(home=tmp_path_factory.mktemp("home"), device="cpu"))
    yield opened_lab
    opened_lab.close()


def check(problem: LabError) -> None:
    message = str(problem)
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 500
    message.encode()


def test_json_test_suite_loads_or_is_refused(lab: LabContext, tmp_path: Path) -> None:
    files = {name: data for name, data in unpack_key("jsontestsuite.tar.gz").items() if name.endswith(".json")}
    assert len(files) > 300
    loaded, refused = [], []
    for number, (name, data) in enumerate(files.items()):
        for suffix in (".json", ".jsonl"):
            path = tmp_path / f"{number}{suffix}"
            path.write_bytes(data)
            try:
                datasets.import_file(lab, path, f"suite {number}{suffix}")
                loaded.append(name)
            except LabError as problem:
                check(problem)
                refused.append(name)
    wrong = [name for name in loaded if Path(name).name.startswith("n_")]
    assert not wrong
    assert any(Path(name).name.startswith("y_object") for name in loaded)
    assert len(refused) > 200


def test_csv_spectrum_is_read_as_its_truth_says(tmp_path: Path) -> None:
    files = unpack_key("csv-spectrum.tar.gz")
    tables = {Path(name).stem: data for name, data in files.items() if name.endswith(".csv")}
    truths = {Path(name).stem: data for name, data in files.items() if name.endswith(".json")}
    assert len(tables) == 12
    for name, data in tables.items():
        path = tmp_path / f"{name}.csv"
        path.write_bytes(data)
        truth = json.loads(truths[name])
        rows = truth if isinstance(truth, list) else [truth]
        got = list(read(path))
        if name == "location_coordinates":  # the corpus tells another telephone number than its own table
            for row in (*rows, *got):
                row.pop("Contact Phone Number")
        if name == "newlines_crlf":  # its table has bare line feeds within cells, its truth has not
            rows = [{key: cell.replace("\r\n", "\n") for key, cell in row.items()} for row in rows]
        assert got == rows, name


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".tsv"])
def test_naughty_strings_come_back_identical(suffix: str, lab: LabContext, tmp_path: Path) -> None:
    if not (CORPORA / "blns.json").is_file():
        pytest.skip("the big list of naughty strings is not beside the repository")
    strings = json.loads((CORPORA / "blns.json").read_text())
    rows = [{"text": text, "n": str(number)} for number, text in enumerate(strings)]
    path = tmp_path / f"naughty{suffix}"
    if suffix in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, ["text", "n"], delimiter="\t" if suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    else:
        lines = [json.dumps(row) for row in rows]
        path.write_text("[" + ",".join(lines) + "]" if suffix == ".json" else "\n".join(lines))
    assert datasets.preview(path, limit=1000).rows == rows
    view = datasets.import_file(lab, path, f"naughty {suffix[1:]}", mapping={"input": ["text"]})
    assert [row["text"] for row in datasets.page(lab, view.id, 0, 1000)] == strings
    assert [example.input for example in datasets.examples(lab, view.id)] == strings
    datasets.export(lab, view.id, tmp_path / "out.jsonl", "jsonl")
    assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().split("\n") if line] == rows
    datasets.export(lab, view.id, tmp_path / "out.csv", "csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as stream:
        cells = [row["text"] for row in csv.DictReader(stream)]
    assert [release(cell) for cell in cells] == strings
    assert not [cell for cell in cells if cell.startswith(FORMULA_STARTS) and not NUMBER.fullmatch(cell)]
    profile = datasets.profile(lab, view.id)
    assert profile["rows"] == len(strings)


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.name)
def test_every_shared_set_loads_and_its_rows_come_back(path: Path, lab: LabContext, tmp_path: Path) -> None:
    try:
        view = datasets.import_file(lab, path, path.name.split(".")[0])
    except LabError as problem:
        check(problem)
        return
    first = [row for row, _ in zip(read(path), range(50), strict=False)]
    rows = [{k: v for k, v in row.items() if k not in ("_row", "_split")} for row in datasets.page(lab, view.id, 0, 50)]
    assert rows == first
    assert "input" in view.roles or "messages" in view.roles


def test_the_shared_sets_are_there() -> None:
    if not SETS:
        pytest.skip("no shared data beside the repository")
    assert len(SETS) > 25
