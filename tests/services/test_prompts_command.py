"""`python -m genai_lab prompts templates`: files and standard input, JSON alone, one sentence for bad input."""

import json
from functools import partial
from pathlib import Path

import pytest

from tests.services.conftest import Call


@pytest.fixture
def templates(call: Call) -> Call:
    return partial(call, "prompts", "templates")


def test_a_template_goes_in_by_file_and_out_as_json(templates: Call, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("system: Be kind.\ninstruction: |-\n  Say {{ word }}\n  now.\n")
    arguments = ["add", "cli", str(file), "--task", "other", "--message", "by file", "--tag", "best", "--json"]
    output = json.loads(templates(*arguments)[1])
    assert (output["name"], output["slots"], output["tags"]) == ("cli@1", ["word"], ["best"])
    code, displayed, _ = templates("show", "cli@best", "--json")
    assert (code, json.loads(displayed)) == (0, output)
    assert templates("add", "cli-again", "-", stdin=displayed)[1] == "Saved as cli-again@1.\n"
    assert templates("add", "cli", "--instruction", "Say {{ word }}.", "--separator", "\\n")[1] == "Saved as cli@2.\n"
    assert "+Say {{ word }}." in templates("diff", "cli@1", "cli@2")[1]
    assert "@1" in templates("show", "cli", "--versions")[1]
    assert [item["name"] for item in json.loads(templates("list", "--search", "cli-again", "--json")[1])] == [
        "cli-again@1"
    ]
    assert templates("archive", "cli-again")[1] == "Archived cli-again.\n"
    assert templates("list", "--search", "cli-again")[1] == ""


def test_a_text_on_standard_input_is_the_instruction(templates: Call) -> None:
    templates("add", "typed", "-", stdin="{{ input }} =>\n")
    assert json.loads(templates("show", "typed", "--json")[1])["value"]["instruction"] == "{{ input }} =>"


def test_a_filled_prompt_says_how_many_shots_fit(templates: Call) -> None:
    arguments = [
        "fill",
        "classify-review",
        "--dataset",
        "sample:sentiment",
        "--shots",
        "30",
        "--model",
        "tiny",
        "--json",
    ]
    output = json.loads(templates(*arguments)[1])
    assert output["text"].startswith("Answer with negative or positive.\nReview: ")
    assert 0 <= output["shots"]["fit"] < 30 == output["shots"]["wanted"]
    assert len(output["shot_rows"]) == output["shots"]["fit"]
    assert output["tokens"] <= 512 - 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "none"], "no template called 'none'"),
        (["add", "bad", "--instruction", "{{ a"], "cannot be read at line 1"),
        (["add", "bad"], "The instruction is empty"),
        (["add", "bad", "/none.yaml"], "/none.yaml cannot be read (No such file"),
        (["tag", "plain", "best"], "names no version"),
        (["fill", "plain", "--dataset", "none"], "no dataset 'none'"),
        (["fill", "plain", "--dataset", "sample:story", "--row", "99"], "no row 99"),
        (
            ["fill", "plain", "--dataset", "sample:story", "--selector", "fixed", "--fixed", "x"],
            "'x' is not a row number",
        ),
    ],
)
def test_bad_input_is_one_sentence(templates: Call, arguments: list[str], message: str) -> None:
    code, out, err = templates(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1
