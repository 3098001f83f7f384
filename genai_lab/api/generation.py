"""Completions: one prompt, several prompts at once, streams and conversations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from genai_lab.api.base import Handle, Table, name_of
from genai_lab.decoding import Completion, Delta, Sampling, Token
from genai_lab.models import Prompt
from genai_lab.services import defaults, generation, models
from genai_lab.views import to_plain

if TYPE_CHECKING:
    from genai_lab.api.lab import Lab
    from genai_lab.services.generation import RunView, Stats

Messages = Sequence[Mapping[str, str]]
ALIASES = {
    "num_return_sequences": "num_completions",
    "n": "num_completions",
    "num_beams": "beams",
    "no_repeat_ngram_size": "no_repeat_ngram",
    "stop_strings": "stop",
}


class Generation(Handle):
    """A recorded run of a model on a prompt, with one or more completions."""

    def __init__(self, lab: "Lab", view: "RunView") -> None:
        super().__init__(lab, view.id)
        self._view = view

    @property
    def view(self) -> "RunView":
        return self._view

    @property
    def text(self) -> str:
        """The first completion."""
        return self._view.completions[0].text if self._view.completions else ""

    @property
    def texts(self) -> list[str]:
        """All completions."""
        return [completion.text for completion in self._view.completions]

    @property
    def completions(self) -> tuple[Completion, ...]:
        return self._view.completions

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens of the first completion, with probabilities; with alternatives where `trace` asked for them."""
        return self._view.completions[0].tokens if self._view.completions else ()

    @property
    def model(self) -> str:
        return self._view.model

    @property
    def seed(self) -> int:
        return self._view.seed

    @property
    def settings(self) -> dict[str, Any]:
        return self._view.sampling.as_dict()

    @property
    def stats(self) -> "Stats":
        """Tokens per second, time to the first token, tokens of prompt and completions."""
        return generation.stats_of(self.lab.context, self._view)

    def replay(self) -> "Generation":
        """The same run again, with the same seed."""
        return self.lab.replay(self.id)

    def as_dict(self) -> dict[str, Any]:
        """The run; tokens are in it where they were traced."""
        fields = self._view.as_dict()
        traced = any(token.stages for completion in self._view.completions for token in completion.tokens)
        for plain, completion in zip(fields["completions"], self._view.completions, strict=True):
            plain["completion_tokens"] = completion.completion_tokens
            if not traced:
                del plain["tokens"]
        return fields | {"stats": to_plain(self.stats)}

    def table(self) -> "Table[dict[str, Any]]":
        return Table(
            {
                "completion": completion.index + 1,
                "text": completion.text,
                "tokens": completion.completion_tokens,
                "ended by": completion.finish_reason,
            }
            for completion in self._view.completions
        )

    @property
    def title(self) -> str:
        return f"Run {self.id} of {self.model}, seed {self.seed}"


class Stream:
    """A generation under way: iterate for the pieces of text as they come; `result` is the recorded run."""

    def __init__(self, lab: "Lab", live: generation.Live) -> None:
        self.lab, self.live = lab, live

    @property
    def id(self) -> int:
        return self.live.run_id

    def __iter__(self) -> Iterator[str]:
        for delta in self.live:
            if delta.text:
                yield delta.text

    def deltas(self) -> Iterator[Delta]:
        """The pieces with their tokens and the number of their completion."""
        return iter(self.live)

    def cancel(self) -> None:
        self.live.cancel()

    @property
    def result(self) -> Generation:
        """The run as it was recorded, finished first where it is still under way."""
        self.live.wait()
        return Generation(self.lab, generation.run(self.lab.context, self.id))


class Chat:
    """A conversation with a model: `say` sends a message and returns the answer's run."""

    def __init__(self, lab: "Lab", model: Any, system: str = "", **settings: Any) -> None:
        self.lab, self.model, self.settings = lab, name_of(model), settings
        self.messages: list[dict[str, str]] = [{"role": "system", "content": system}] if system else []

    def say(self, text: str, **settings: Any) -> Generation:
        """Sends the message with the whole conversation; settings hold for this answer alone."""
        messages = [*self.messages, {"role": "user", "content": text}]
        answer = self.lab.generate(self.model, messages, **self.settings | settings)
        self.messages = [*messages, {"role": "assistant", "content": answer.text}]
        return answer

    def __repr__(self) -> str:
        return "\n".join(f"{message['role']}: {message['content']}" for message in self.messages)


def prompt_of(lab: "Lab", model: str, prompt: str | Messages | Prompt, mode: str | None) -> Prompt:
    """A text as the model's prompt, messages as a conversation."""
    if isinstance(prompt, Prompt):
        return prompt
    if isinstance(prompt, str):
        return models.prompt_for(lab.context, model, prompt, mode)
    return Prompt(messages=tuple(dict(message) for message in prompt), mode="chat")


def sampling_of(
    lab: "Lab", model: str, mode: str | None, sampling: Sampling | str | None, settings: Mapping[str, Any]
) -> Sampling:
    """The model's own defaults, a preset's or a Sampling's values, and above them the settings."""
    settings = own_names(settings)
    if isinstance(sampling, str):
        sampling = lab.presets.get(sampling)
    if sampling is not None:
        return Sampling.from_dict({**sampling.as_dict(), **settings})
    return defaults.sampling_for(lab.context, model, settings, mode)


def own_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling settings under the names that `Sampling` has, from those of transformers."""
    known = {item.name for item in fields(Sampling)}
    return {name if name in known else ALIASES.get(name, name): value for name, value in settings.items()}


def start(
    lab: "Lab",
    model: Any,
    prompt: str | Messages | Prompt,
    *,
    mode: str | None,
    sampling: Sampling | str | None,
    trace: int,
    settings: Mapping[str, Any],
) -> generation.Live:
    """Begins a run; raises LabError for whatever the caller can mend."""
    name = name_of(model)
    asked = prompt_of(lab, name, prompt, mode)
    chosen = sampling_of(lab, name, asked.mode, sampling, settings)
    return generation.start(lab.context, name, asked, chosen, trace=trace, return_logits=False)


def compare(
    lab: "Lab",
    models_: Sequence[Any],
    prompts: Sequence[str | Messages | Prompt],
    *,
    mode: str | None,
    sampling: Sampling | str | None,
    settings: Mapping[str, Any],
) -> Table[Generation]:
    """Every model on every prompt, run together."""
    requests = []
    for name in map(name_of, models_):
        for prompt in prompts:
            asked = prompt_of(lab, name, prompt, mode)
            requests.append(generation.Job(name, asked, sampling_of(lab, name, asked.mode, sampling, settings)))
    lives = generation.start_many(lab.context, requests, trace=0)
    for _ in generation.together(lives):
        continue
    runs = [Generation(lab, generation.run(lab.context, live.run_id)) for live in lives]
    return Table(
        runs, lambda run: {"run": run.id, "model": run.model, "prompt": run.view.prompt.asked, "text": run.text}
    )
