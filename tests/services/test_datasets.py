"""Datasets from file to export: versions, jobs, bad rows, the Hub, the command line."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.data import BadRows, SplitPlan, guarded, hub
from genai_lab.data.hub import HubDataset
from genai_lab.errors import LabError
from genai_lab.services import datasets
from tests.inline_jobs import run_inline
from tests.services.conftest import Call
from tests.waiting import until_ended


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def reviews(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"text": f"review {n}", "label": ("good", "bad")[n % 2]} for n in range(start, start + count)]


def test_the_same_bytes_are_one_version_and_say_so(lab: LabContext, tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", reviews(30))
    assert datasets.versions_of_file(lab, path) == ()
    first = datasets.import_file(lab, path, "same")
    again = datasets.import_file(lab, path, "other name")
    assert (again.id, again.again, again.name) == (first.id, True, "same@1")
    assert datasets.versions_of_file(lab, path) == ("same@1",)
    second = datasets.import_file(lab, path, "same", mapping={"input": ["text"]})
    assert (second.name, second.again) == ("same@2", False)
    assert datasets.show(lab, "same").name == "same@2"
    assert datasets.show(lab, "same@1").id == first.id
    assert [view.name for view in datasets.versions(lab, "same")] == ["same@2", "same@1"]
    assert [view.name for view in datasets.find(lab, "same", newest=True)[0]] == ["same@2"]


def test_a_version_knows_the_run_that_made_it(lab: LabContext, tmp_path: Path) -> None:
    from storage.runs import run_with_all

    view = datasets.import_file(lab, written(tmp_path / "a.jsonl", reviews(5)), "traced", split=SplitPlan(only="train"))
    with lab.database.reading() as session:
        run = run_with_all(session, view.made_by_run_id or 0)
    assert run is not None
    assert (run.kind, run.status, run.settings["source"]["name"]) == ("import", "finished", "a.jsonl")
    assert len(run.settings["source"]["sha256"]) == 64


def test_wrong_roles_leave_nothing(lab: LabContext, tmp_path: Path) -> None:
    path, folder = written(tmp_path / "a.jsonl", reviews(6)), lab.config.home / "datasets"
    before = sorted(folder.glob("*"))
    with pytest.raises(LabError, match="no column 'none' for input"):
        datasets.import_file(lab, path, "wrong", mapping={"input": ["none"]})
    with pytest.raises(LabError, match="takes one column"):
        datasets.import_file(lab, path, "wrong", mapping={"input": ["text", "label"]})
    with pytest.raises(LabError, match="cannot name a dataset"):
        datasets.import_file(lab, path, "a@b")
    assert sorted(folder.glob("*")) == before
    with pytest.raises(LabError, match="There is no dataset 'wrong'"):
        datasets.show(lab, "wrong")


def test_examples_are_drawn_without_replacement_in_row_order(lab: LabContext, tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", reviews(200, 1000))
    view = datasets.import_file(lab, path, "drawn", split=SplitPlan("ratio", (0.5, 0.0, 0.5), seed=1))
    some = datasets.examples(lab, view.id, split="test", count=20, seed=7)
    keys = [item.key for item in some]
    assert keys == sorted(set(keys))
    assert len(keys) == 20
    assert {item.split for item in some} == {"test"}
    assert keys == [example.key for example in datasets.examples(lab, view.id, split="test", count=20, seed=7)]
    assert keys != [example.key for example in datasets.examples(lab, view.id, split="test", count=20, seed=8)]
    assert some[0].input == f"review {1000 + some[0].key}"
    assert datasets.labels(lab, view.id) == ("bad", "good")
    with pytest.raises(LabError, match="no rows for validation"):
        datasets.examples(lab, view.id, split="validation")


def test_exports_are_lossless_or_harmless(lab: LabContext, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"text": "=cmd()", "n": 1, "refs": ["a", "b"], "note": None},
        {"text": "@x", "n": 2.5, "refs": [], "note": "y"},
        {"text": "plain", "n": None, "refs": ["c"]},
    ]
    path = written(tmp_path / "a.jsonl", rows)
    view = datasets.import_file(lab, path, "mixed", mapping={"input": ["text"], "reference": ["refs"]})
    assert [example.references for example in datasets.examples(lab, view.id)] == [("a", "b"), (), ("c",)]
    assert datasets.export(lab, view.id, tmp_path / "out.jsonl", "jsonl") == 3
    assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == rows
    datasets.export(lab, view.id, tmp_path / "out.csv", "csv")
    with (tmp_path / "out.csv").open(newline="") as stream:
        cells = list(csv.DictReader(stream))
    assert cells[0] == {"text": "'=cmd()", "n": "1", "refs": '["a", "b"]', "note": ""}
    assert cells[1]["text"] == "'@x"


def test_a_csv_export_comes_back_as_what_it_was(lab: LabContext, tmp_path: Path) -> None:
    texts = ["-1", "0", "+1", "-0.5e3", "=1", "'=1", "-x", "'tis", "+1 is a number", "\tx", "plain"]
    rows = [{"text": text, "label": str(n)} for n, text in enumerate(texts)]
    view = datasets.import_file(lab, written(tmp_path / "a.jsonl", rows), "signs", mapping={"input": ["text"]})
    datasets.export(lab, view.id, tmp_path / "signs.csv", "csv")
    with (tmp_path / "signs.csv").open(newline="") as stream:
        cells = [row["text"] for row in csv.DictReader(stream)]
    assert cells[:7] == ["-1", "0", "+1", "-0.5e3", "'=1", "''=1", "'-x"]
    again = datasets.import_file(lab, tmp_path / "signs.csv", "signs again", mapping={"input": ["text"]})
    assert [example.input for example in datasets.examples(lab, again.id)] == texts
    if not again.again:
        assert again.notes == ("5 cells begin with an apostrophe that guards a formula; it is taken off.",)


def test_rows_without_splits_are_split_by_ratio_or_by_their_column(lab: LabContext, tmp_path: Path) -> None:
    auto = SplitPlan("auto")
    view = datasets.import_file(lab, written(tmp_path / "a.jsonl", reviews(40)), "auto", split=auto)
    assert view.splits == {"train": 32, "validation": 4, "test": 4}
    named = [row | {"split": ("train", "dev")[n % 2]} for n, row in enumerate(reviews(10))]
    view = datasets.import_file(lab, written(tmp_path / "b.jsonl", named), "auto-named", split=auto)
    assert view.splits == {"train": 5, "validation": 5}
    pairs = [{"prompt": f"p{n % 5}", "chosen": f"c{n}", "rejected": "r"} for n in range(20)]
    view = datasets.import_file(lab, written(tmp_path / "c.jsonl", pairs), "auto-pairs", split=auto)
    parts = {
        split: {example.input for example in datasets.examples(lab, view.id, split=split)} for split in view.splits
    }
    assert len(parts) == 3
    assert sum(map(len, parts.values())) == 5
    view = datasets.import_file(lab, written(tmp_path / "d.jsonl", reviews(3)), "auto-few", split=auto)
    assert view.splits == {"train": 1, "validation": 1, "test": 1}


def test_a_version_is_split_again_as_a_new_one(lab: LabContext, tmp_path: Path) -> None:
    from storage.runs import run_with_all

    rows = [row | {"refs": ["a", n], "note": None} if n % 2 else row for n, row in enumerate(reviews(20))]
    path = written(tmp_path / "a.jsonl", rows)
    first = datasets.import_file(lab, path, "parted", mapping={"input": ["text"]}, split=SplitPlan(only="test"))
    version = datasets.split_again(lab, "parted@1", SplitPlan("ratio", seed=3))
    assert (version.name, version.roles, version.splits) == (
        "parted@2",
        first.roles,
        {"train": 16, "validation": 2, "test": 2},
    )
    page_rows = [
        {name: cell for name, cell in row.items() if name[0] != "_"} for row in datasets.page(lab, version.id, 0, 20)
    ]
    assert page_rows == rows
    assert datasets.split_again(lab, "parted", SplitPlan("ratio", seed=3)).again
    with lab.database.reading() as session:
        run = run_with_all(session, version.made_by_run_id or 0)
        assert run is not None
        assert [item.dataset_version_id for item in run.inputs] == [first.id]


def test_empty_cells_are_counted(lab: LabContext, tmp_path: Path) -> None:
    rows = [{"instruction": f"Do {n}", "input": "", "output": "x" * (n % 3)} for n in range(9)]
    view = datasets.import_file(lab, written(tmp_path / "a.jsonl", rows), "empty-cells")
    assert view.roles == {"input": ("instruction",), "context": ("input",), "reference": ("output",)}
    assert view.notes == ("3 of 9 rows have an empty reference (column 'output').",)


def test_an_export_with_splits_can_be_imported_again(lab: LabContext, tmp_path: Path) -> None:
    view = datasets.import_starter(lab, "sentiment", "round", seed=5, rows={"train": 20, "test": 10})
    for form in ("csv", "jsonl"):
        datasets.export(lab, view.id, tmp_path / f"out.{form}", form)
        plan = SplitPlan("column", column="exported_split")
        again = datasets.import_file(lab, tmp_path / f"out.{form}", f"again {form}", split=plan)
        assert again.splits == {"train": 20, "test": 10}


def test_every_starter_task_is_a_dataset_with_splits_that_share_nothing(lab: LabContext) -> None:
    from genai_lab.starter.tasks import TASKS

    for task in TASKS:
        view = datasets.import_starter(lab, task, f"{task} few", seed=2, rows={"train": 60, "test": 20})
        assert view.splits == {"train": 60, "test": 20}
        profile = datasets.profile(lab, view.id)
        assert profile["overlap"][0]["rows"] == 0, task


def test_a_profile_is_kept_and_grows_by_models(lab: LabContext, tmp_path: Path) -> None:
    view = datasets.import_file(lab, written(tmp_path / "a.jsonl", reviews(40, 500)), "profiled")
    assert datasets.show(lab, view.id).profile is None
    assert datasets.profile(lab, view.id)["labels"]["shown"]["bad"] == {"test": 20}
    version = datasets.profile(lab, view.id, "tiny")
    assert version["lengths"]["tiny"]["text"]["n"] == 40
    assert datasets.show(lab, view.id).profile == version
    with pytest.raises(LabError, match="'none'"):
        datasets.profile(lab, view.id, "none")


def test_archive_hides_and_brings_back(lab: LabContext, tmp_path: Path) -> None:
    view = datasets.import_file(lab, written(tmp_path / "a.jsonl", reviews(4, 900)), "put away")
    datasets.archive(lab, "put away")
    assert datasets.find(lab, "put away")[1] == 0
    assert datasets.find(lab, "put away", archived=True)[1] == 1
    assert datasets.show(lab, view.id).archived
    datasets.archive(lab, "put away", archived=False)
    assert datasets.find(lab, "put away")[1] == 1


def test_pasted_text_is_read_by_its_look(lab: LabContext) -> None:
    displayed = {
        'text,label\n"a, b",x\n': [{"text": "a, b", "label": "x"}],
        "text\tlabel\na\tx\n": [{"text": "a", "label": "x"}],
        '{"a": 1}\n{"a": 2}\n': [{"a": 1}, {"a": 2}],
        '[{"a": 1}]': [{"a": 1}],
        "text;label\na, b;x\n": [{"text": "a, b", "label": "x"}],
        "one line\nanother": [{"text": "one line"}, {"text": "another"}],
    }
    for text, rows in displayed.items():
        assert datasets.preview(datasets.save_pasted_text(lab, text)).rows == rows
    with pytest.raises(datasets.NeedsChoice):
        datasets.preview(datasets.save_pasted_text(lab, '{\n"a": 1}'))
    for text in ("", "  \n", "a\ud800"):
        with pytest.raises(LabError):
            datasets.save_pasted_text(lab, text)


def test_an_import_and_a_profile_run_as_jobs(lab: LabContext, tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", reviews(3000, 5000))
    first = datasets.start(lab, datasets.file_order(path, "by job", split=SplitPlan("ratio")))
    path.unlink()  # the job has a file of its own
    ended = until_ended(lab, first)
    assert ended.status == "finished", ended.error
    view = datasets.show(lab, "by job")
    assert ended.result == {
        "dataset": "by job@1",
        "version": view.id,
        "rows": 3000,
        "again": False,
        "left_out": [],
        "left_out_count": 0,
    }
    assert not list((lab.config.home / "incoming").glob("*a.jsonl"))
    ended_job = run_inline(lab, datasets.start_profile(lab, view.id, "tiny"))
    assert ended_job.status == "finished", ended_job.error
    assert datasets.show(lab, view.id).profile["lengths"]["tiny"]["text"]["of"] == 3000  # type: ignore[index]


def test_a_job_stuck_at_bad_rows_goes_on_without_them_or_stops(lab: LabContext, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n{"text": Infinity}\n{"text": "good"}\n')
    order = datasets.file_order(path, "stuck")
    with pytest.raises(BadRows, match="Row 2"):
        datasets.make(lab, order)
    ended = run_inline(lab, datasets.start(lab, order))
    assert (ended.status, ended.exit_reason) == ("failed", "failed")
    assert "Row 2" in (ended.error or "")
    stuck_import = datasets.stuck(lab)
    assert stuck_import is not None
    assert (stuck_import.job_id, stuck_import.name, stuck_import.count, stuck_import.rows[0].number) == (
        ended.id,
        "stuck",
        1,
        2,
    )
    ended_job = run_inline(lab, datasets.without_bad(lab, stuck_import.job_id))
    assert ended_job.result is not None
    assert (ended_job.result["rows"], ended_job.result["left_out_count"]) == (2, 1)
    assert datasets.stuck(lab) is None
    failed = run_inline(lab, datasets.start(lab, order))
    datasets.give_up(lab, failed.id)
    assert datasets.stuck(lab) is None
    assert not list((lab.config.home / "incoming").glob("*-a.jsonl"))


class Library:
    """The `datasets` library's edge, with a repository that lies in memory."""

    def __init__(self, splits: dict[str, list[dict[str, Any]]]) -> None:
        self.splits, self.asked = splits, []  # type: ignore[var-annotated]

    def get_dataset_split_names(self, repo: str, configuration: str | None, revision: str | None) -> list[str]:
        return list(self.splits)

    def load_dataset(self, repo: str, configuration: str | None, **options: Any) -> Any:
        import datasets as library

        self.asked.append((repo, configuration, options))
        return library.Dataset.from_list(self.splits[options["split"]]).to_iterable_dataset()


def test_a_hub_dataset_comes_with_its_splits(lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Library({"train": reviews(12), "validation": reviews(4, 12)})
    monkeypatch.setattr(hub, "_library", lambda: fake)
    monkeypatch.setattr(guarded, "read_hub", hub.rows)  # the library of another process is the real one
    hub_dataset = HubDataset("owner/reviews", "plain", revision="abc")
    assert datasets.preview_hub(hub_dataset, limit=2).rows[0] == {"text": "review 0", "label": "good", "split": "train"}
    order = datasets.hub_order(hub_dataset, "from hub", split=SplitPlan("column", column="split"))
    assert datasets.long(order)
    view = datasets.make(lab, order)
    assert view.splits == {"train": 12, "validation": 4}
    assert view.source["repo"] == "owner/reviews"
    options = {"split": "train", "revision": "abc", "streaming": True}
    assert fake.asked[0] == ("owner/reviews", "plain", options)
    item = datasets.make(lab, datasets.hub_order(HubDataset("owner/reviews", split="train"), "one split"))
    assert (item.rows, item.column_names) == (12, ("text", "label"))


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (ConnectionError("no route"), "cannot be reached"),
        (FileNotFoundError("Couldn't find"), "cannot be reached"),
        (RuntimeError("Dataset scripts are no longer supported, but found x.py"), "never run"),
        (ValueError("Unknown split 'dev'. Should be one of ['train']."), "Unknown split"),
        (KeyError("odd"), "cannot be read"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(
    problem: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def library() -> Any:
        raise problem

    monkeypatch.setattr(hub, "_library", library)
    with pytest.raises(LabError, match=message) as raised:
        list(hub.rows(HubDataset("owner/reviews")))
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith((".", ")."))


@pytest.mark.parametrize("repo", ["", "../etc", "a/b/c", "https://x/y", "/etc/passwd", "owner/.."])
def test_only_hub_ids_name_a_place(repo: str) -> None:
    with pytest.raises(LabError, match="is not a Hub id"):
        HubDataset(repo)


def test_the_command_line_imports_lists_shows_and_exports(call: Call, tmp_path: Path) -> None:
    rows = [{"dialogue": f"A: {n}", "summary": str(n), "id": n} for n in range(20)]
    path = written(tmp_path / "talk.jsonl", rows)
    arguments = ["import", str(path), "--name", "small-talk", "--map", "input=dialogue", "--map", "reference=summary"]
    code, out, err = call("datasets", *arguments, "--split", "ratio", "--seed", "3", "--json")
    assert code == 0, err
    output = json.loads(out)
    assert (output["name"], output["rows"], output["roles"]["input"]) == ("small-talk@1", 20, ["dialogue"])
    assert output["splits"] == {"train": 16, "validation": 2, "test": 2}
    listed = json.loads(call("datasets", "list", "--search", "small-talk", "--json")[1])
    assert [item["name"] for item in listed["versions"]] == ["small-talk@1"]
    displayed = json.loads(call("datasets", "show", "small-talk", "--profile", "--json")[1])
    assert displayed["profile"]["rows"] == 20
    file = tmp_path / "out.jsonl"
    assert call("datasets", "export", "small-talk", str(file))[0] == 0
    assert len(file.read_text().splitlines()) == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "missing.csv"], "There is no file"),
        (["import", "starter:none"], "'none'"),
        (["import", "hub:no such"], "is not a Hub id"),
        (["import", __file__], "is in no format"),
        (["show", "nothing"], "There is no dataset 'nothing'"),
        (["export", "nothing", "x.csv"], "There is no dataset 'nothing'"),
    ],
)
def test_bad_commands_are_one_sentence_and_code_2(call: Call, arguments: list[str], message: str) -> None:
    code, out, err = call("datasets", *arguments, "--json")
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1
