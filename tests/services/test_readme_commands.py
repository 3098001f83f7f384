"""Every command of the README runs as it is typed there, in this process and on small data."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.models import Prompt, Request
from genai_lab.models.fake import FakeGenerator
from genai_lab.services import generation, jobs, models
from genai_lab.services.jobs.handlers import HANDLERS
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from storage import jobs as job_queries
from storage.tables import Job
from tests import recipe_files
from tests.models.servers import SmallEndpoint, serving
from tests.services.conftest import Call
from tests.services.test_matrix import Kept
from tests.tiny import open_lab

README = Path(__file__).resolve().parents[2] / "README.md"
COMMAND = "python -m genai_lab"
# Long in themselves; that they are understood is all that is tried here.
PARSED_ONLY = ("bench", "starter")
# Jobs that train or need a package of their own: begun, and not waited for.
NOT_WAITED = ("train", "feedback train-reward", "evaluate harness")


def typed() -> list[list[str]]:
    block = re.search(r"## Command line\n\n```\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    lines = [line for line in block.group(1).splitlines() if line.strip()]
    assert all(line.startswith(COMMAND) for line in lines)
    return [shlex.split(line.removeprefix(COMMAND), comments=True) for line in lines]


class Temperate(FakeGenerator):
    """Says something else at each temperature, as models do."""

    def submit(self, requests: Sequence[Request]) -> Any:
        return super().submit([replace(request, sampling=_warmed(request.sampling)) for request in requests])


def _warmed(sampling: Sampling) -> Sampling:
    return replace(sampling, seed=(sampling.seed or 0) % 2**30 + int(100 * sampling.temperature))


LISTS = [arguments for arguments in typed() if "|" in arguments]
COMMANDS = [arguments for arguments in typed() if "|" not in arguments]


def test_readme_has_commands_of_both_kinds() -> None:
    assert len(LISTS) >= 8
    assert len(COMMANDS) >= 15


@pytest.mark.parametrize("arguments", LISTS, ids=" ".join)
def test_every_verb_that_is_listed_is_there(arguments: list[str], call: Call) -> None:
    bars = [index for index, word in enumerate(arguments) if word == "|"]
    before, verbs = arguments[: bars[0] - 1], [arguments[bars[0] - 1], *(arguments[index + 1] for index in bars)]
    for verb in verbs:
        code, out, _ = call(*before, verb, "--help")
        assert code == 0
        assert f"{' '.join([*before, verb])} [-h]" in out


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[LabContext]:
    """A lab of its own, in which no other test has queued jobs."""
    context = open_lab(tmp_path_factory.mktemp("readme"), tiny=tiny_folder)
    yield context
    context.close()


@pytest.fixture
def here(lab: LabContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A folder with the files that the README names; models that need no weights; jobs that run in this process.

    Gives what stands in the README for something of one's own.
    """
    monkeypatch.chdir(tmp_path)
    _write_files(tmp_path)
    monkeypatch.setattr("genai_lab.services.models.load", lambda lab, name, *_: Temperate(models.show(lab, name).card))
    monkeypatch.setattr(
        "genai_lab.services.rewards.score", lambda lab, model, prompts, completions: [0.5] * len(prompts)
    )
    monkeypatch.setattr("genai_lab.services.jobs.wait", _run_here)
    run = generation.generate(lab, "tiny", Prompt("Once"), Sampling(max_new_tokens=4, num_return_sequences=2))
    endpoint = SmallEndpoint()
    endpoint.models = {"data": [{"id": "tiny"}]}
    with serving(endpoint.handler()) as address:
        yield {"12": str(run.id), "CAMPAIGN": "votes", "MODEL": "starter-causal", "http://127.0.0.1:8000/v1": address}


def _write_files(folder: Path) -> None:
    dialogues = [f'"Ann: lunch at {n}? Bob: fine.","They eat at {n}."' for n in range(40)]
    (folder / "dialogues.csv").write_text("\n".join(["dialogue,summary", *dialogues]))
    rows = [{"made": "a red dog", "wanted": "a red dog"}, {"made": 1, "wanted": 1}]
    (folder / "predictions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    plan = TrainingPlan(
        "starter-causal",
        (DatasetSpec("support", templates=("summarise-conversation",)),),
        training=Training(max_steps=2),
    )
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan.as_dict()))
    (folder / "prompts.txt").write_text("Tell a story.\nSay hello.\n")
    votes = [
        {"prompt": f"Question {n}", "response1": f"good {n}", "response2": f"bad {n}", "model": "one_two",
         "annotator1": 1, "annotator2": 1 + n % 2}
        for n in range(60)
    ]  # fmt: skip
    (folder / "votes.jsonl").write_text("\n".join(map(json.dumps, votes)))
    (folder / "rows.jsonl").write_text(json.dumps({"prompt": "Hi", "completion": "Hello"}))
    (folder / "tasks").mkdir()
    recipe_files.sms(folder / "SMSSpamCollection")


def _run_here(
    lab: LabContext, job_id: int, timeout: float | None = None, every: float = 0.2, on_poll: Any = None
) -> Any:
    """The job and those before it, as worker and app do them."""
    for view in sorted(jobs.find(lab, limit=100)[0], key=lambda view: view.id):
        if view.status != "queued" or view.id > job_id or view.kind not in ("matrix", "evaluate", "campaign", "import"):
            continue
        kind, report = HANDLERS.get(view.kind), Kept()
        result = kind.run(lab, view.settings, report)
        with lab.database.session() as session:
            job = session.get_one(Job, view.id)
            kind.ingest(session, job, report.records)
            kind.complete(session, job, result)
            job_queries.end_job(session, job, "finished", "finished", None, None, result)
    return jobs.show(lab, job_id)


def test_every_command_runs_as_it_is_typed(here: dict[str, str], call: Call) -> None:
    failed = []
    for arguments in COMMANDS:
        supplied = [here.get(word, word) for word in arguments if not word.startswith("[")]
        if arguments[0] in PARSED_ONLY:
            assert call(arguments[0], "--help")[0] == 0
            continue
        if " ".join(arguments[:2]).startswith(NOT_WAITED):
            supplied = [word for word in supplied if word != "--wait"]
        code, out, err = call(*supplied)
        if "requirements-harness" in err:
            continue
        if code != 0 or not out.strip():
            failed.append((" ".join(supplied), code, err))
        if "--json" in supplied:
            assert json.loads(out)["completions"]
    assert not failed
