"""Recipes from a file to the answer: what is recognised, what is queued, what is said of it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from genai_lab.api import Lab
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.recipes import RECIPES, Recipe, RecipeData, all_recipes
from genai_lab.services import datasets, evaluation, jobs, matrix, models, recipes, templates
from genai_lab.services.recipes.recipe_data import import_file, import_from_hub
from genai_lab.services.training import studies
from tests import recipe_files
from tests.fake_lab import fake_answers, open_fake_lab
from tests.inline_jobs import cancel_queued, run_inline, wait_inline
from tests.services.conftest import Call

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
Maker = Callable[[Path], Path]
# Answers ham as soon as a solved example shows it, and nothing that counts before.
LEARNER = fake_answers({"Class: ham": "ham", "Class:": "I would say so"}, "completion")


@pytest.fixture(scope="module")
def fake_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabContext]:
    """One lab with fake models for all tests here; no test imports the questions of TREC into it."""
    lab = open_fake_lab(tmp_path_factory.mktemp("recipes") / "home")
    yield lab
    lab.close()


def recipe_data(match: recipes.FileMatch) -> RecipeData:
    return RECIPES.get(match.recipe).data


def run(lab: LabContext, name: str, path: Path | str, **options: object) -> recipes.Answer:
    """The answer of a recipe after all of its jobs."""
    started = recipes.run(lab, name, str(path), **options)  # type: ignore[arg-type]
    for job in started.job_ids:
        assert run_inline(lab, job).status == "finished"
    return recipes.answer(lab, name, started.run_id)


@pytest.mark.parametrize(
    ("filename", "maker", "name", "roles"),
    [
        ("SMSSpamCollection", recipe_files.sms, "sms-spam", {"input": "column 2", "label": "column 1"}),
        ("train.tsv", recipe_files.sst2, "sst2", {"input": "sentence", "label": "label"}),
        ("trec.jsonl", recipe_files.trec, "trec", {"input": "text", "label": "label"}),
        ("train_5500.label", recipe_files.trec_label, "trec", {"input": "text", "label": "label"}),
        ("stsa.binary.train", recipe_files.sst2_lines, "sst2", {"input": "text", "label": "label"}),
        ("dialogsum.csv", recipe_files.dialogsum, "lab-1-summaries", {"input": "dialogue", "reference": "summary"}),
        ("dialogsum.jsonl", recipe_files.dialogsum, "lab-1-summaries", {"input": "dialogue", "reference": "summary"}),
        ("multi30k.jsonl", recipe_files.multi30k, "translation", {"input": "en", "reference": "de"}),
    ],
)
def test_a_published_file_is_recognised(
    fake_lab: LabContext, tmp_path: Path, filename: str, maker: Maker, name: str, roles: dict[str, str]
) -> None:
    match = recipes.recognise(fake_lab, maker(tmp_path / filename))
    assert (match.recipe, match.roles) == (name, roles)


@pytest.mark.parametrize(
    ("name", "filename"),
    [
        ("sms-spam", "classification/sms_spam_train"),
        ("sst2", "classification/sst2_dev"),
        ("trec", "classification/trec_train"),
        ("lab-1-summaries", "summarization/dialogsum_dev"),
        ("translation", "translation/multi30k_val"),
    ],
)
def test_the_real_data_are_recognised(fake_lab: LabContext, name: str, filename: str) -> None:
    path = SHARED / f"{filename}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    match = recipes.recognise(fake_lab, path)
    assert (match.recipe, match.renames) == (name, False)


def test_of_two_recipes_on_the_same_data_the_one_that_is_open_stays(fake_lab: LabContext, tmp_path: Path) -> None:
    path = recipe_files.dialogsum(tmp_path / "dev.jsonl")
    assert recipes.recognise(fake_lab, path, preferred="lab-2-tuning").recipe == "lab-2-tuning"


def test_another_file_is_told_with_what_recipes_need(fake_lab: LabContext, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("name,price\ntea,3\n")
    with pytest.raises(LabError, match=r"the data of no recipe: its columns are name, price. They need: sms-spam text"):
        recipes.recognise(fake_lab, path)


def test_labels_are_written_as_the_recipe_names_them(fake_lab: LabContext, tmp_path: Path) -> None:
    answer = run(fake_lab, "sst2", recipe_files.sst2(tmp_path / "train.tsv"), models=["fake-completion"], rows=3)
    view = datasets.show(fake_lab, answer.dataset)
    assert set(datasets.labels(fake_lab, view.id)) == {"negative", "positive"}
    assert view.roles == {"input": ("sentence",), "label": ("label",)}


def test_lines_of_the_authors_become_rows_with_the_names_of_classes(fake_lab: LabContext, tmp_path: Path) -> None:
    path = recipe_files.sst2_lines(tmp_path / "stsa.binary.train")
    version = import_file(fake_lab, recipes.recognise(fake_lab, path), path)
    [first] = datasets.pick(fake_lab, version.id, [0])
    assert (first.label, first.input) == ("negative", "a dull and empty film , number 0")
    path = recipe_files.trec_label(tmp_path / "TREC_10.label")
    match = recipes.recognise(fake_lab, path)
    assert recipe_data(match).row_of_line("HUM:ind Who was Caf\xe9 ?") == {
        "label": "HUM", "fine": "ind", "text": "Who was Caf\xe9 ?",
    }  # fmt: skip
    with path.open("a", encoding="latin-1") as stream:
        stream.writelines(["LOC:city Where ?\n" * 200, "no question\n"])
    with pytest.raises(LabError, match=r"Line 291 of TREC_10.label is none of trec; mend or remove it"):
        import_file(fake_lab, match, path)


def test_the_question_of_shots_is_answered_in_words(fake_lab: LabContext, tmp_path: Path) -> None:
    answer = run(fake_lab, "sms-spam", recipe_files.sms(tmp_path / "SMSSpamCollection"), models=[LEARNER])
    by_shots = {row.label.rpartition(" · ")[2]: row for row in answer.rows}
    assert answer.status == "finished"
    assert answer.figure == "accuracy"
    zero, eight = by_shots["0 shots"], by_shots["8 shots"]
    assert zero.value == 0
    assert eight.value == answer.baseline
    assert eight.n == 18
    assert eight.low is not None
    assert eight.high is not None
    assert eight.low < (eight.value or 0) < eight.high
    [best] = [row for row in answer.rows if row.best]
    assert answer.sentences[0].startswith(f"{best.label} is best: accuracy")
    assert "Always naming 'ham', the commonest label, scores" in answer.sentences[-1]
    assert "no skill is shown" in answer.sentences[-1]
    assert any("0 shots is worse than" in verdict and "95 % interval" in verdict for verdict in answer.verdicts)
    assert recipes.latest(fake_lab, "sms-spam") == answer.run_id


def test_a_second_run_takes_the_dataset_that_is_there(fake_lab: LabContext, tmp_path: Path) -> None:
    path = recipe_files.sms(tmp_path / "SMSSpamCollection")
    first = recipes.run(fake_lab, "sms-spam", str(path), models=["fake-completion"], rows=2)
    again = recipes.run(fake_lab, "sms-spam", str(path), models=["fake-completion"], rows=2)
    without = recipes.run(fake_lab, "sms-spam", models=["fake-completion"], rows=2)
    assert first.dataset == again.dataset == without.dataset
    fitting = recipes.fitting_versions(fake_lab, RECIPES.get("sms-spam"))
    assert [view.name for view in fitting] == [first.dataset]
    assert not recipes.fitting_versions(fake_lab, RECIPES.get("trec"))


def test_what_cannot_run_says_what_to_do(fake_lab: LabContext, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"needs TREC questions: .*; drop a file with it, or take CogComp/trec from"):
        recipes.run(fake_lab, "trec")
    path = recipe_files.dialogsum(tmp_path / "dev.jsonl")
    with pytest.raises(LabError, match=r"is not the data of SMS spam.* but of Lab 1.*; choose that one"):
        recipes.run(fake_lab, "sms-spam", str(path))
    with pytest.raises(LabError, match="0 rows or steps"):
        recipes.run(fake_lab, "sms-spam", str(path), rows=0)


def test_a_model_that_is_not_here_is_told_with_the_one_in_its_place(fake_lab: LabContext) -> None:
    choice = recipes.choose_models(fake_lab, RECIPES.get("sms-spam"))
    assert choice.models == ("starter-causal",)
    assert choice.note.startswith("SmolLM2-135M-Instruct is not here (the shelf on the Models page has it)")
    assert "knows a small made-up world alone" in choice.note


@pytest.mark.parametrize("recipe", all_recipes(), ids=lambda recipe: recipe.name)
def test_every_recipe_names_what_exists(fake_lab: LabContext, recipe: Recipe) -> None:
    template = templates.show(fake_lab, recipe.template)
    assert template.task in ("classify", "summarise", "translate")
    assert recipe.data.licence
    assert recipe.data.about
    assert recipe.data.hub
    assert recipes.choose_models(fake_lab, recipe).models
    if recipe.tuning:
        plan = recipes.training_plan(recipe, "dialogsum@1", "starter-seq2seq")
        assert plan.method == recipe.tuning.methods[0]
        assert plan.training.max_steps == 30
    else:
        cells = recipes.matrix_plan(recipe, "data@1", ["fake"], ["train", "test"]).cells()
        assert len(cells) == len(recipe.shots)


def test_lab_2_queues_training_by_both_methods_and_what_is_measured(lab: LabContext, tmp_path: Path) -> None:
    path = recipe_files.dialogsum(tmp_path / "dev.jsonl")
    started = recipes.run(lab, "lab-2-tuning", str(path), models=["starter-seq2seq"], rows=4, steps=2)
    study = studies.show(lab, started.run_id)
    assert [run.plan.method for run in study.runs] == ["full", "lora"]
    assert {run.plan.training.max_steps for run in study.runs} == {2}
    answer = recipes.answer(lab, "lab-2-tuning", started.run_id)
    assert answer.live
    assert [row.value for row in answer.rows] == [None] * 3
    assert answer.forgetting is not None
    assert list(studies.show(lab, answer.forgetting).evaluations) == ["sentiment", "question-answering"]
    last = jobs.show(lab, started.job_ids[-1])
    assert last.live
    assert recipes.latest(lab, "lab-2-tuning") == started.run_id
    cancel_queued(lab)


def test_a_method_whose_training_failed_is_left_out_of_the_answer(lab: LabContext, tmp_path: Path) -> None:
    path = recipe_files.dialogsum(tmp_path / "dev.jsonl")
    started = recipes.run(lab, "lab-2-tuning", str(path), models=["starter-seq2seq"], rows=2, steps=2)
    evaluated = recipes.answer(lab, "lab-2-tuning", started.run_id).evaluation
    job = jobs.of_run(lab, evaluated or 0)
    assert job is not None
    assert run_inline(lab, job.id).status == "finished"  # the trainings never ran, so their models are not there
    answer = recipes.answer(lab, "lab-2-tuning", started.run_id)
    assert [row.value is None for row in answer.rows] == [False, True, True]
    assert answer.sentences[0].startswith("Not measured, because the run failed: starter-seq2seq-full")
    assert answer.sentences[-1] == "What was forgotten is still being measured."
    assert answer.verdicts == ()
    cancel_queued(lab)


def test_pages_api_and_command_line_run_the_same_plan(
    lab: LabContext, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genai_lab.services.jobs.wait", wait_inline)
    models.show(lab, "fake-completion")
    path = recipe_files.sms(tmp_path / "SMSSpamCollection")
    options = ("--model", "fake-completion", "--rows", "4", "--wait", "--json")
    code, out, error = call("recipes", "run", "sms-spam", "--data", str(path), *options)
    assert code == 0, error
    shown = json.loads(out)
    api = Lab(lab).recipes.latest("sms-spam")
    assert api is not None
    assert api.as_dict() == shown
    assert api.url.endswith(f"/recipes?recipe=sms-spam&run={api.id}")
    view = evaluation.show(lab, api.id)
    plan = matrix.find(lab, 1)[0].plan
    recipe = RECIPES.get("sms-spam")
    assert plan == recipes.matrix_plan(recipe, view.dataset, ["fake-completion"], ["train", "test"], 4)
    code, out, _ = call("recipes", "answer", "sms-spam")
    assert code == 0
    assert "95 % interval" in out
    assert api.answer.sentences[0] in out
    code, out, _ = call("recipes", "list", "--json")
    assert code == 0
    assert [each["name"] for each in json.loads(out)] == [each.name for each in Lab(lab).recipes()]
    code, out, _ = call("recipes", "show", "trec")
    assert code == 0
    assert "abbreviation, entity, description" in out


def test_numbers_that_the_hub_has_for_labels_are_named(fake_lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"sentence": f"review {number}", "label": number % 2} for number in range(20)]
    preview = datasets.ImportPreview(rows, [], {}, [])
    monkeypatch.setattr("genai_lab.services.datasets.preview_hub", lambda place: preview)
    monkeypatch.setattr("genai_lab.data.hub.rows", lambda place: iter(rows))
    version = import_from_hub(fake_lab, RECIPES.get("sst2"))
    assert version.source["repo"] == "stanfordnlp/sst2"
    assert set(datasets.labels(fake_lab, version.id)) == {"negative", "positive"}
    assert version.splits == {"train": 14, "validation": 2, "test": 4}
