"""`python -m genai_lab generate`: JSON alone on standard output, and one sentence for bad input."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genai_lab.cli import main
from genai_lab.context import LabContext
from tests.services.conftest import Call

ROOT = Path(__file__).resolve().parents[2]


def test_json_alone_with_a_trace_of_every_filter(lab: LabContext) -> None:
    arguments = [
        "generate",
        "--model",
        "tiny",
        "--prompt",
        "Once",
        "--max-new-tokens",
        "3",
        "--top-k",
        "5",
        "--seed",
        "4",
    ]
    env = {**os.environ, "OMP_NUM_THREADS": "1", **lab.config.environment()}
    command = [sys.executable, "-m", "genai_lab", *arguments, "--json", "--trace"]
    process = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    output = json.loads(process.stdout)
    assert (output["seed"], output["sampling"]["top_k"]) == (4, 5)
    [completion] = output["completions"]
    assert completion["completion_tokens"] == len(completion["tokens"]) == 3
    token = completion["tokens"][0]
    assert {"id", "text", "logprob", "probability", "stages"} <= token.keys()
    assert token["stages"][0]["filter"] == "model"
    assert "top-k" in [stage["filter"] for stage in token["stages"]]
    assert token["stages"][0]["alternatives"][0].keys() == {"id", "text", "probability"}


def test_a_model_is_put_away_and_brought_back(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in lab.config.environment().items():
        monkeypatch.setenv(name, value)

    def said(*arguments: str) -> Any:
        assert main(["models", *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert said("archive", "tiny")["status"] == "archived"
    assert [card["name"] for card in said("list", "--archived")] == ["tiny"]
    assert main(["generate", "--model", "tiny", "--prompt", "a"]) == 2
    assert "restore it" in capsys.readouterr().err
    assert said("restore", "tiny")["status"] == "ready"
    assert "tiny" in [card["name"] for card in said("list")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "tiny", "--prompt", "a", "--temperature", "9"], "Temperature is 9.0"),
        (["--model", "none", "--prompt", "a"], "'none'"),
        (["--model", "tiny"], "--prompt"),
        (["--model", "tiny", "--prompt", "a", "--trace", "-5"], "Trace is -5"),
        (
            ["--model", "tiny", "--prompt", "a", "--num-beams", "2", "--num-return-sequences", "3"],
            "at most the 2 beams",
        ),
        (["--model", "tiny", "--prompt", "a", "--home", ""], "--home"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(call: Call, arguments: list[str], message: str) -> None:
    code, out, err = call("generate", *arguments, "--json")
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_dataset_is_shown_in_words_unless_json_is_asked_for(lab: LabContext, call: Call, tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text("question,answer\nWho?,Ann\n")
    assert (
        call("datasets", "import", str(table), "--name", "shown", "--map", "prompt=question", "--map", "target=answer")[
            0
        ]
        == 0
    )
    code, out, _ = call("datasets", "show", "shown")
    assert code == 0
    assert out.splitlines()[0].startswith("shown@1: 1 rows; roles: input=question, reference=answer")
    assert "question: Who?" in out
    assert json.loads(call("datasets", "show", "shown", "--json")[1])["first_rows"][0]["answer"] == "Ann"


def test_job_without_a_log_says_so(lab: LabContext, call: Call, tmp_path: Path) -> None:
    table = tmp_path / "queued.csv"
    table.write_text("question,answer\nWho?,Ann\n")
    job = json.loads(call("datasets", "import", str(table), "--name", "queued", "--queue", "--json")[1])["job"]
    assert call("jobs", "logs", str(job)) == (0, "", f"The worker of job {job} has written nothing.\n")
    assert call("jobs", "cancel", str(job))[0] == 0


def test_campaign_of_one_completion_says_what_to_choose(lab: LabContext, call: Call) -> None:
    run = json.loads(call("generate", "--model", "tiny", "--prompt", "Once", "--max-new-tokens", "2", "--json")[1])[
        "id"
    ]
    code, _, err = call("feedback", "create", "--from-run", str(run))
    assert code == 2
    assert f"Run {run} has one completion" in err
    assert "--num-return-sequences" in err
