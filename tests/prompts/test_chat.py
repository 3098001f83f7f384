"""Chat templates of models: honest ones give what transformers makes of them, others one sentence.

The templates are short forms, written for these tests, of the ways in which published models ask for their turns.
"""

import re
import threading
from typing import Any

import pytest

from genai_lab.errors import ModelError
from genai_lab.models import LONGEST_PROMPT
from genai_lab.models.chat import render_messages
from genai_lab.prompts.chat import ChatTemplateError, choose_template, render_chat

NESTED = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}x"
TEMPLATES = {
    "chatml": """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}
{{- '<|im_start|>system
You are helpful.<|im_end|>
' }}{% endif %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}""",
    "inst with a folded system": """{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}
{%- set system = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set system = false %}{% endif %}
{%- for m in rest %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('Roles must alternate user/assistant/user/assistant/...') }}{% endif %}
{%- if loop.index0 == 0 and system != false %}{% set text = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + m['content'] %}
{%- else %}{% set text = m['content'] %}{% endif %}{% if m['role'] == 'user' %}
{{- bos_token + '[INST] ' + text.strip() + ' [/INST]' }}{% elif m['role'] == 'assistant' %}
{{- ' ' + text.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    "headers with a date": """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%Y") %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\nToday is in " + date_string + "\n\n" }}
{%- if messages[0]['role'] == 'system' %}
    {{- messages[0]['content'] | trim }}
    {%- set messages = messages[1:] %}
{%- endif %}
{{- "<|eot_id|>" }}
{%- if tools is not none %}{{- raise_exception("unexpected tools") }}{%- endif %}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}""",
    "no system role": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}
{{- raise_exception('System role not supported') }}{% endif %}{% for message in messages %}
{%- if message['role'] == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}
{{- '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}""",
    "roles on lines of their own": """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}""",
    "tools and reasoning": """{%- if tools %}{{- '<tools>' }}{% for tool in tools %}{{- tool | tojson }}{% endfor %}
{{- '</tools>' }}{%- elif messages[0].role == 'system' %}
{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}{%- set ns = namespace(multi_step=true, last=messages | length - 1) %}
{%- for message in messages[::-1] %}{%- set index = (messages | length - 1) - loop.index0 %}
{%- if ns.multi_step and message.role == 'user' and not (message.content.startswith('<tool_response>')) %}
{%- set ns.multi_step = false %}{%- set ns.last = index %}{%- endif %}{%- endfor %}
{%- for message in messages %}{%- if message.content is string %}{%- set content = message.content %}{%- else %}
{%- set content = '' %}{%- endif %}{%- if message.role == 'user' %}
{{- '<|im_start|>user\n' + content + '<|im_end|>\n' }}
{%- elif message.role == 'assistant' %}{%- set thought = '' %}{%- if message.reasoning_content is string %}
{%- set thought = message.reasoning_content %}{%- elif '</think>' in content %}
{%- set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
{%- set content = content.split('</think>')[-1].lstrip('\n') %}{%- endif %}
{%- if loop.index0 > ns.last and (loop.last or thought) %}
{{- '<|im_start|>assistant\n<think>\n' + thought + '\n</think>\n\n' + content }}
{%- else %}{{- '<|im_start|>assistant\n' + content }}{%- endif %}
{%- if message.tool_calls %}{%- for call in message.tool_calls %}
{{- '\n<tool_call>\n' + (call.function | tojson(indent=2)) + '\n</tool_call>' }}
{%- endfor %}{%- endif %}{{- '<|im_end|>\n' }}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}
{%- endif %}{%- endif %}""",
    "marked for training": """{% for message in messages %}{% if message['role'] == 'assistant' %}{{ '<a>' }}
{%- generation %}{{ message['content'] }}{{ eos_token }}{%- endgeneration %}
{% else %}{{ '<u>' + message['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}""",
    "loops that break, macros, json": """{%- macro turn(role, text) -%}[{{ role | upper }}]
{{- text | tojson }}{%- endmacro -%}
{%- for message in messages -%}{%- if message['content'] == 'skip' -%}{%- continue -%}{%- endif -%}
{%- if loop.index > 4 -%}{%- break -%}{%- endif -%}{{ turn(message.role, message['content']) }}
{{ dict(role=message.role) | tojson(separators=(',', ':'), sort_keys=true) }}
{{- dict.fromkeys(['a'], 1) | tojson(ensure_ascii=True) }}
{%- endfor -%}{{ unk_token }}{{ missing }}{{ missing is defined }}{{ documents is none }}""",
    "parts of content": """{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}
{%- else %}{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}
{%- endif %}{% endfor %}""",
    "a template that fails": "{{ messages[0]['content'] / 2 }}",
    "a name that is not there": "{{ messages[9].content.more }}",
    "escapes": "{{ ''.__class__ }}{{ ().__class__.__bases__[0].__subclasses__() }}",
    "a private name": "{% set ns = namespace(_x=1) %}{{ ns._x }}",
}
SAY = {"role": "user", "content": "Wie viel ist 1 < 2 & 'drei'?\n  日本 😀 "}
CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "one": [SAY],
    "system": [{"role": "system", "content": " Be brief.\n"}, SAY],
    "turns": [SAY, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nYes </s>"}, SAY],
    "two users": [SAY, SAY],
    "reasoning": [SAY, {"role": "assistant", "content": "Yes", "reasoning": "because", "tool_calls": None}],
    "tool": [
        SAY,
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"é": 1}}}]},
        {"role": "tool", "content": "skip"},
    ],
    "parts": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}]}],
}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2}, unk_token="<unk>"))
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_gives_what_transformers_makes_of_it(name: str, tokenizer: Any) -> None:
    tokenizer.chat_template = TEMPLATES[name]
    for messages in CONVERSATIONS.values():
        for request in (True, False):
            try:
                expected = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=request)
            except Exception:
                # Jinja2's errors, and those of the template's own arithmetic.
                expected = None
            if expected is None:
                with pytest.raises(ModelError, match="refuses these messages: "):
                    render_messages(tokenizer, messages, "m", add_generation_prompt=request)
            else:
                assert render_messages(tokenizer, messages, "m", add_generation_prompt=request) == expected


def test_a_refusal_is_told_in_the_templates_own_words(tokenizer: Any) -> None:
    tokenizer.chat_template = TEMPLATES["no system role"]
    with pytest.raises(
        ModelError, match=r"^The chat template of m refuses these messages: System role not supported\.$"
    ):
        render_messages(tokenizer, CONVERSATIONS["system"], "m")


def test_the_default_one_of_several_templates_is_taken(tokenizer: Any) -> None:
    assert choose_template({"default": "a", "tool_use": "b"}) == choose_template("a") == "a"
    assert choose_template([{"name": "tool_use", "template": "b"}, {"name": "default", "template": "a"}]) == "a"
    tokenizer.chat_template = {"rag": "{{ messages }}", "tool_use": "b"}
    with pytest.raises(ModelError, match=r"m is one of several \(rag, tool_use\), of which none is called default"):
        render_messages(tokenizer, [SAY], "m")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (NESTED, "took longer than 1.4 s and was stopped"),
        ("{{ ('x'*10**9)*6 }}", "needs more than 384 MB of memory"),
        ("{% for i in range(99999) %}{{ 'abcdefghij '*1000 }}{% endfor %}", "writes more than 1,000,000 characters"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself without an end"),
        ("{% for %}", "cannot be read at line 1"),
        ("{{ " + "(" * 9000 + "1" + ")" * 9000 + " }}", "is nested too deeply"),
        ("x" * 500_001, "has 500,001 characters"),
        ("{% include 'a' %}", "no loader"),
    ],
)
def test_a_hostile_template_is_stopped_in_one_sentence(template: str, message: str, tokenizer: Any) -> None:
    tokenizer.chat_template = template
    with pytest.raises(ModelError, match=message) as caught:
        render_messages(tokenizer, [SAY], "m")
    assert re.fullmatch(r"The chat template of m [^\n]{,300}\.", str(caught.value))
    tokenizer.chat_template = "{{ messages[0].content }}"
    assert render_messages(tokenizer, [SAY], "m") == SAY["content"]


def test_an_honest_template_is_filled_while_hostile_ones_run() -> None:
    ended: list[str] = []

    def attack() -> None:
        with pytest.raises(ChatTemplateError) as caught:
            render_chat(NESTED, [SAY])
        ended.append(caught.value.message)

    threads = [threading.Thread(target=attack) for _ in range(5)]
    for thread in threads:
        thread.start()
    answered = 0
    while any(thread.is_alive() for thread in threads):
        assert render_chat("{{ messages[0].content }}", [SAY]) == SAY["content"]
        answered += 1
    assert answered
    assert len(ended) == 5
    assert all("longer than" in arguments for arguments in ended)


def test_a_prompt_that_grew_too_long_reaches_no_tokenizer(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ messages[0].content }}{{ messages[0].content }}"
    message = {"role": "user", "content": "x" * (LONGEST_PROMPT // 2 + 1)}
    with pytest.raises(ModelError, match="writes more than 1,000,000 characters"):
        render_messages(tokenizer, [message], "m")


def test_chat_templates_are_rendered_in_one_place() -> None:
    from genai_lab.config import PROJECT

    sources = [*(PROJECT / "genai_lab").rglob("*.py"), *(PROJECT / "pages").rglob("*.py")]
    callers = {path.name for path in sources if "tokenizer.apply_chat_template(" in path.read_text()}
    # The snippet is a text for a reader's own program.
    assert callers <= {"snippets.py"}
