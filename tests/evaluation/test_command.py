"""`evaluate score`: figures with intervals out of a file, and one sentence for bad input."""

import gzip
import json

import pytest

from genai_lab.cli import main

ROWS = [
    {"made": "the cat sat on the mat", "one": "the cat sat on a mat", "two": "a cat sat"},
    {"made": "dogs bark", "one": "the dogs barked", "two": "dogs bark"},
    {"made": "", "one": "nothing", "two": "naïve 🙂"},
]


@pytest.fixture
def score(capsys):
    def called(*options):
        code = main(["evaluate", "score", *map(str, options)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return called


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


def test_figures_signature_and_rows_with_several_references(score, data, tmp_path):
    out = tmp_path / "rows.out.jsonl"
    options = ["--metric", "rouge", "--data", data, "--prediction", "made", "--reference", "one", "--reference", "two"]
    code, printed, _ = score(*options, "--set", "use_stemmer=true", "--per-example", out, "--json")
    captured = json.loads(printed)
    assert code == 0
    assert (captured["metric"], captured["n"], captured["interval"]) == ("rouge", 3, 0.95)
    assert "refs:2(best)|stem:yes" in captured["signature"]
    figure = captured["figures"]["rouge1"]
    assert figure["low"] < figure["value"] < figure["high"]
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["row"] for row in rows] == [1, 2, 3]
    assert sum(row["rouge1"] for row in rows) / 3 == pytest.approx(figure["value"])
    assert rows[1]["rouge1"] == 1


def test_csv_jsonl_and_gzip_give_the_same(score, data, tmp_path):
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(data.read_bytes()))
    table = tmp_path / "rows.csv"
    table.write_text("made,one\n" + "".join(f"{row['made']},{row['one']}\n" for row in ROWS), encoding="utf-8")
    results = [
        json.loads(score("--metric", "chrf", "--data", path, "--prediction", "made", "--reference", "one", "--json")[1])
        for path in (data, packed, table)
    ]
    assert results[0] == results[1] == results[2]


def test_text_for_people(score, data):
    code, printed, _ = score("--metric", "exact_match", "--data", data, "--prediction", "made", "--reference", "two")
    assert code == 0
    assert printed.startswith("Exact match, n = 3, case:no")
    assert "0.3333  95 % interval" in printed


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"--metric": "rogue"}, "no metric called 'rogue'"),
        ({"--data": "missing.jsonl"}, "no file"),
        ({"--prediction": "text"}, "no column 'text'"),
        ({"--reference": "third"}, "no column 'third'"),
        ({"--set": "stem"}, "sets nothing"),
        ({"--set": "stem=true"}, "no setting 'stem'"),
        ({"--set": "use_stemmer=3"}, "must be"),
        ({"--per-example": "/no/such/folder/out.jsonl"}, "cannot be written"),
    ],
)
def test_bad_input_is_one_sentence(score, data, changed, sentence):
    options = {"--metric": "rouge", "--data": data, "--prediction": "made", "--reference": "one"} | changed
    code, printed, message = score(*(part for pair in options.items() for part in pair))
    assert code == 2
    assert printed == ""
    assert sentence in message
    assert len(message.strip().splitlines()) == 1


@pytest.mark.parametrize("bad", ["", "{", '{"made": [[3]], "one": "a"}\n', '{"made": "a", "one": null}\n', "[1]\n"])
def test_a_bad_file_is_one_sentence(score, tmp_path, bad):
    path = tmp_path / "bad.jsonl"
    path.write_text(bad)
    code, printed, message = score("--metric", "rouge", "--data", path, "--prediction", "made", "--reference", "one")
    assert (code, printed) == (2, "")
    assert len(message.strip().splitlines()) == 1


def test_a_metric_that_needs_references_says_so(score, data):
    code, _, message = score("--metric", "bleu", "--data", data, "--prediction", "made")
    assert code == 2
    assert "--reference" in message


def test_predictions_that_are_numbers_are_read_as_references_are(score, tmp_path):
    path = tmp_path / "numbers.jsonl"
    path.write_text('{"made": 1, "one": 1}\n{"made": 0.5, "one": "0.5"}\n{"made": true, "one": [true, 3]}\n')
    options = ("--metric", "exact_match", "--data", path, "--prediction", "made", "--reference", "one")
    code, printed, _ = score(*options)
    assert code == 0
    assert "1.0000" in printed


def test_a_metric_that_asks_a_model_opens_the_lab(score, data, tmp_path, monkeypatch):
    monkeypatch.setenv("GENAI_LAB_HOME", str(tmp_path / "home"))
    options = ["--data", data, "--prediction", "made", "--set", "model=fake-classifier", "--json"]
    code, printed, _ = score("--metric", "toxicity", *options)
    assert code == 0
    assert 0 < json.loads(printed)["figures"]["toxicity"]["value"] < 1
