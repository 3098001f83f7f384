"""Templates that mean harm: each is stopped within 2 s with one sentence, and others are filled meanwhile."""

import threading

import pytest

from genai_lab.errors import TemplateError
from genai_lab.prompts import Template, render
from genai_lab.prompts.child import TEXT_LIMIT
from tests.prompts.rows import row

ROWS = [row(4, {"text": "some words"})]
NESTED = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
HOSTILE = {
    "a string of a billion": ("{{ 'x' * 10**9 }}", "more than 384 MB of memory"),
    "a list of a billion": ("{{ [0] * 10**9 }}", "more than 384 MB of memory"),
    "doubling": (
        "{% set n = namespace(s='xx') %}{% for i in range(64) %}{% set n.s = n.s * 2 %}{% endfor %}",
        "memory",
    ),
    "a range too far": ("{% for i in range(10**12) %}x{% endfor %}", "Range too big"),
    "nested loops": (NESTED, "longer than 1.4 s"),
    "a tower of powers": ("{{ 9 ** (9 ** 9) }}", "longer than|memory"),
    "a power of the row": ("{{ (text | length) ** (10 ** 9) }}", "longer than|memory"),
    "huge output": ("{% for i in range(99999) %}{{ text * 9 }}{% endfor %}", "writes more than 1,000,000 characters"),
    "huge output from a width": ("{{ '%900000000d' % 1 }}", "memory"),
    "huge output from a filter": ("{{ text | center(10**10) }}", "fails: |memory"),
    "a macro that calls itself": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself without an end"),
    "brackets in brackets": ("{{ " + "(" * 9000 + "1" + ")" * 9000 + " }}", "nested too deeply"),
    "a chain of attributes": ("{{ text" + ".a" * 3000 + " }}", "nested too deeply"),
    "a number of many digits": ("{{ " + "9" * 40000 + " }}", "cannot be read: Exceeds the limit"),
    "an attribute": ("{{ ''.__class__.__mro__ }}", "must not touch: access to attribute '__class__'"),
    "an attribute by a filter": ("{{ '' | attr('__class__') | attr('__mro__') }}", "must not touch|not there"),
    "an attribute by format": ("{{ '{0.__class__.__init__.__globals__}'.format(text) }}", "must not touch"),
    "an attribute by format_map": ("{{ '{a.__class__}'.format_map({'a': text}) }}", "must not touch"),
    "globals by a macro": ("{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}", "must not touch"),
    "an import": ("{% import 'os' as os %}", "takes in another template at line 1"),
    "an include": ("a\n{% include '/etc/passwd' %}", "takes in another template at line 2"),
    "an extension": ("{% extends text %}", "takes in another template"),
    "a syntax error": ("{% if text %}", "cannot be read at line 1"),
    "an unknown tag": ("{% do text.append(1) %}", "cannot be read at line 1: Encountered unknown tag 'do'"),
    "an unknown slot": ("{{ nothing }}", "'nothing' is undefined"),
    "an unknown filter": ("{{ text | shout }}", "uses the filter 'shout' at line 1, which there is not"),
    "an unknown test": ("{{ text is evil }}", "uses the test 'evil' at line 1, which there is not"),
    "a list that is changed": ("{% set l = [1] %}{{ l.append(2) }}", "must not touch"),
    "a division by nothing": ("{{ 1 / 0 }}", "fails: division by zero"),
    "a text too long": ("x" * (TEXT_LIMIT + 1), "has 50,001 characters, but at most 50,000"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_stopped_with_one_sentence(name: str) -> None:
    text, message = HOSTILE[name]
    render(Template(instruction="{{ text }}"), ROWS, chat=False)
    with pytest.raises(TemplateError, match=message) as caught:
        render(Template(instruction=text), ROWS, chat=False)
    sentence = str(caught.value)
    assert sentence.startswith(("The template ", "The instruction "))
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert len(sentence) < 320


def test_others_are_filled_while_a_hostile_one_runs() -> None:
    stopped = threading.Event()

    def hostile() -> None:
        with pytest.raises(TemplateError, match="longer than"):
            render(Template(instruction=NESTED + "{{ text }}"), ROWS, chat=False)
        stopped.set()

    thread = threading.Thread(target=hostile)
    thread.start()
    answered = 0
    while not stopped.is_set():
        assert render(Template(instruction="{{ text }}"), ROWS, chat=False)[0].text == "some words"
        answered += 1
    thread.join()
    assert answered > 3


def test_a_row_is_never_read_as_a_template() -> None:
    text = "{{ 7 * 7 }}{% include 'x' %}{# gone #}"
    assert render(Template(instruction="{{ text }}"), [row(0, {"text": text})], chat=False)[0].text == text


def test_nothing_is_left_running_after_a_hostile_one() -> None:
    import psutil

    from genai_lab.prompts.sandbox import Sandbox

    sandbox, parts = Sandbox(), {"system": "", "shot": "", "instruction": NESTED}
    with pytest.raises(TemplateError):
        sandbox.ask({"op": "fill", "parts": parts, "chat": False, "rows": [{}], "shots": []}, seconds=0.2)
    before = [child.pid for child in psutil.Process().children()]
    sandbox.ask({"op": "slots", "parts": {"shot": "{{ a }}"}})
    assert len(psutil.Process().children()) == len(before) + 1
    sandbox.close()
    assert [child.pid for child in psutil.Process().children()] == before
