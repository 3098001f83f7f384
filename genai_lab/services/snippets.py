"""A run as code that anybody can start: with transformers alone, with this package, or by curl."""

import json
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.models import BACKENDS, Card
from genai_lab.models.sizing import PACKED_DTYPES
from genai_lab.services import models
from genai_lab.services.generation import RunView, run

API_NAME = "generate"

WITH_TRANSFORMERS = '''"""Run {id} of genai_lab with transformers alone: {promise}."""

from transformers import {auto}, AutoTokenizer, set_seed

model_id = {location!r}
tokenizer = AutoTokenizer.from_pretrained(model_id{revision})
model = {auto}.from_pretrained(model_id{revision}, use_safetensors=True, dtype={dtype!r})
{inputs}
set_seed({seed})
with_settings = {settings}
output = model.generate(**inputs, **with_settings)
for row in output[:, {skip}:]:
    text = tokenizer.decode(row, skip_special_tokens=True)
    for stop in {stop!r}:
        text = text.split(stop)[0]
    print(text)
'''

WITH_PACKAGE = '''"""Run {id} of genai_lab with its own engine: the same text."""

import genai_lab as gl
from genai_lab.models import Prompt

prompt = Prompt({prompt})
sampling = gl.Sampling.from_dict({sampling!r})
with gl.open() as lab:
    for text in lab.generate({model!r}, prompt, sampling=sampling).texts:
        print(text)
'''


def as_python(lab: LabContext, run_id: int, library: str = "transformers") -> str:
    """A program that repeats the run; `library` is "transformers" or "genai_lab". Raises LabError for endpoints."""
    view = run(lab, run_id)
    if library == "genai_lab":
        prompt = f"{view.prompt.text!r}, messages={view.prompt.messages!r}, mode={view.prompt.mode!r}"
        prompt += f", prefix={view.prompt.prefix!r}" if view.prompt.prefix else ""
        return WITH_PACKAGE.format(id=view.id, prompt=prompt, sampling=view.sampling.as_dict(), model=view.model)
    card = models.show(lab, view.model).card
    arguments = BACKENDS.get(card.source.backend).pretrained_arguments(card)
    if card.family not in ("decoder-only", "encoder-decoder") or arguments is None:
        raise LabError(
            "Python with transformers alone needs a model of its own files; copy the genai_lab code instead."
        )
    location, revision = arguments
    seq2seq = card.family == "encoder-decoder"
    exact = view.sampling.greedy or view.sampling.num_beams > 1
    return WITH_TRANSFORMERS.format(
        id=view.id,
        promise="the same text" if exact else "the same settings and seed, other random draws",
        auto="AutoModelForSeq2SeqLM" if seq2seq else "AutoModelForCausalLM",
        location=location,
        revision=f", revision={revision!r}" if revision else "",
        dtype=_dtype(view, card),
        inputs=_inputs(view, seq2seq),
        seed=view.seed,
        settings=_generate_settings(view),
        skip=1 + len(view.prompt.prefix) if seq2seq else 'inputs["input_ids"].shape[1]',
        stop=list(view.sampling.stop),
    )


def as_curl(lab: LabContext, run_id: int, base_url: str) -> str:
    """Two curl calls: start the run, then read its events. Raises LabError for what `generate` does not take."""
    view = run(lab, run_id)
    if view.prompt.prefix or len(view.prompt.messages) > 1:
        raise LabError("curl sends one prompt, and this run continues from more; copy the genai_lab code instead.")
    body = json.dumps({"data": api_arguments(view)}, ensure_ascii=True).replace("'", "\\u0027")
    address = f"{base_url.rstrip('/')}/gradio_api/call/{API_NAME}"
    return (
        f"EVENT=$(curl -s -X POST {address} -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}' | python3 -c 'import json,sys; print(json.load(sys.stdin)[\"event_id\"])')\n"
        f'curl -sN {address}/"$EVENT"\n'
    )


def api_arguments(view: RunView) -> list[Any]:
    """The run as the arguments of the public `generate`: model, prompt, mode, settings."""
    return [view.model, view.prompt.last_text, view.mode, view.sampling.as_dict()]


def _dtype(view: RunView, card: Card) -> str:
    """What the run's model was loaded in, as transformers knows it: it has no packed weights of ours."""
    dtype = view.dtype or card.loaded_dtype or "auto"
    return "float32" if dtype in PACKED_DTYPES else dtype


def _inputs(view: RunView, seq2seq: bool) -> str:
    if view.mode == "chat" and view.prompt.messages:
        lines = [
            f"messages = {list(view.prompt.messages)!r}",
            "inputs = tokenizer.apply_chat_template(",
            '    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True',
            ")",
        ]
    else:
        lines = [f'inputs = tokenizer({view.prompt.text!r}, return_tensors="pt")']
    lines.append('inputs.pop("token_type_ids", None)')
    if view.prompt.prefix:
        lines += ["import torch", f"begun = torch.tensor([{list(view.prompt.prefix)}])"]
        if seq2seq:
            lines.append("start = torch.tensor([[model.config.decoder_start_token_id]])")
            lines.append('inputs["decoder_input_ids"] = torch.cat([start, begun], 1)')
        else:
            lines.append('inputs["input_ids"] = torch.cat([inputs["input_ids"], begun], 1)')
            lines.append('inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])')
    return "\n".join(lines)


def _generate_settings(view: RunView) -> str:
    sampling = view.sampling
    settings: dict[str, Any] = {"max_new_tokens": sampling.max_new_tokens, "num_beams": sampling.num_beams}
    settings["do_sample"] = not sampling.greedy and sampling.num_beams == 1
    if settings["do_sample"]:
        settings |= {
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p or None,
            "typical_p": sampling.typical_p,
        }
    if sampling.num_return_sequences > 1 and (settings["do_sample"] or sampling.num_beams > 1):
        settings["num_return_sequences"] = sampling.num_return_sequences
    if sampling.repetition_penalty != 1:
        settings["repetition_penalty"] = sampling.repetition_penalty
    if sampling.no_repeat_ngram_size:
        settings["no_repeat_ngram_size"] = sampling.no_repeat_ngram_size
    body = repr({name: value for name, value in settings.items() if value is not None})
    # A beam search of ours runs to its end and is cut afterwards, as the code does with every text.
    if sampling.stop and sampling.num_beams == 1:
        body = f"{body[:-1]}, 'stop_strings': {list(sampling.stop)!r}, 'tokenizer': tokenizer}}"
    return body
