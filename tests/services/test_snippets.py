"""The copied code is run: Python with transformers alone, Python with this package, and the shell's curl."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.models import Prompt
from genai_lab.services import generation, models, snippets

ROOT = Path(__file__).resolve().parents[2]
Printed = Callable[[str], str]


@pytest.fixture
def printed(lab: LabContext, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    """What the code prints when it is run."""
    for name, value in lab.config.environment().items():
        monkeypatch.setenv(name, value)

    def run(code: str) -> str:
        capsys.readouterr()
        exec(compile(code, "snippet.py", "exec"), {"__name__": "__main__"})
        return capsys.readouterr().out

    return run


def output_of(lab: LabContext, tmp_path: Path, code: str) -> str:
    """The same in a process of its own."""
    script = tmp_path / "snippet.py"
    script.write_text(code, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}
    env |= lab.config.environment()
    process = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, check=False)
    assert process.returncode == 0, process.stderr.decode()[-2000:]
    return process.stdout.decode()


@pytest.mark.parametrize(
    "prompt",
    [Prompt('It\'s "quoted" \\n and\nbroken'), Prompt(messages=({"role": "user", "content": "Hello"},), mode="chat")],
    ids=["completion", "chat"],
)
def test_transformers_alone_gives_the_same_text_for_greedy(lab: LabContext, printed: Printed, prompt: Prompt) -> None:
    settings = Sampling(max_new_tokens=16, greedy=True, repetition_penalty=1.3, no_repeat_ngram_size=3)
    view = generation.generate(lab, "tiny", prompt, settings)
    assert printed(snippets.as_python(lab, view.id)) == view.completions[0].text + "\n"


def test_transformers_alone_goes_on_from_given_tokens(lab: LabContext, printed: Printed) -> None:
    view = generation.generate(lab, "tiny", Prompt("Once", prefix=(70, 71)), Sampling(max_new_tokens=8, greedy=True))
    assert printed(snippets.as_python(lab, view.id)) == view.completions[0].text + "\n"


def test_transformers_alone_searches_with_beams_to_the_end_and_then_cuts(lab: LabContext, printed: Printed) -> None:
    settings = Sampling(max_new_tokens=12, num_beams=3, num_return_sequences=2)
    full_text = generation.generate(lab, "tiny", Prompt("Once"), settings).completions[0].text
    stop = full_text[len(full_text) // 2]
    view = generation.generate(lab, "tiny", Prompt("Once"), replace(settings, stop=(stop,)))
    assert printed(snippets.as_python(lab, view.id)) == "".join(f"{c.text}\n" for c in view.completions)


def test_transformers_alone_runs_with_every_sampling_setting(lab: LabContext, printed: Printed) -> None:
    settings = Sampling(
        max_new_tokens=8, temperature=1.1, top_k=40, top_p=0.9, min_p=0.01, typical_p=0.95, stop=("zzz",), seed=7
    )
    view = generation.generate(lab, "tiny", Prompt("Once"), settings)
    code = snippets.as_python(lab, view.id)
    assert "set_seed(7)" in code
    assert printed(code).strip()


def test_our_package_gives_the_same_text_always(lab: LabContext, tmp_path: Path) -> None:
    settings = Sampling(max_new_tokens=12, temperature=1.4, top_p=0.9, num_return_sequences=2, stop=("'", "\n"), seed=6)
    view = generation.generate(lab, "tiny", Prompt("Once 'upon'\n"), settings)
    assert output_of(lab, tmp_path, snippets.as_python(lab, view.id, "genai_lab")) == "".join(
        f"{c.text}\n" for c in view.completions
    )


def test_curl_is_one_valid_command_with_the_run_in_it(lab: LabContext, tmp_path: Path) -> None:
    """The shell itself reads it; a curl that only writes down its arguments stands in for the network."""
    text = 'It\'s $HOME `id` "q" \\ ü\n!!'
    view = generation.generate(lab, "tiny", Prompt(text), Sampling(max_new_tokens=2, seed=9))
    (tmp_path / "curl").write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        f"open({str(tmp_path / 'calls')!r}, 'a').write(json.dumps(sys.argv[1:]) + chr(10))\n"
        "print(json.dumps({'event_id': 'e1'}))\n"
    )
    (tmp_path / "curl").chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = snippets.as_curl(lab, view.id, "http://127.0.0.1:7860/")
    subprocess.run(["bash", "-euc", command], env=env, check=True, capture_output=True)
    started, read = (json.loads(line) for line in (tmp_path / "calls").read_text().splitlines())
    assert json.loads(started[started.index("-d") + 1])["data"] == ["tiny", text, "completion", view.sampling.as_dict()]
    assert read[-1] == "http://127.0.0.1:7860/gradio_api/call/generate/e1"


def test_curl_says_what_it_cannot_send(lab: LabContext) -> None:
    view = generation.generate(lab, "tiny", Prompt("Once", prefix=(70,)), Sampling(max_new_tokens=2))
    with pytest.raises(LabError, match="genai_lab code"):
        snippets.as_curl(lab, view.id, "http://127.0.0.1:7860")


def test_what_the_api_takes_gives_the_same_text(lab: LabContext) -> None:
    view = generation.generate(lab, "tiny", Prompt("Once"), Sampling(max_new_tokens=8))
    model, text, mode, settings = snippets.api_arguments(view)
    prompt = models.prompt_for(lab, model, text, mode)
    again = generation.generate(lab, model, prompt, Sampling.from_dict(settings))
    assert [c.text for c in again.completions] == [c.text for c in view.completions]
