"""Completions: one prompt, several prompts at once, streams and conversations."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genai_lab.api.base import Handle, Table, name_of
from genai_lab.api.records import Presets
from genai_lab.context import LabContext
from genai_lab.decoding import Completion, Delta, Sampling, Token
from genai_lab.errors import BadSetting
from genai_lab.models import Prompt
from genai_lab.services import defaults, generation, models
from genai_lab.settings import present_names
from genai_lab.views import to_plain

if TYPE_CHECKING:
    from genai_lab.services.generation import RunView, Stats

Messages = Sequence[Mapping[str, str]]


class Generation(Handle):
    """A recorded run of a model on a prompt, with one or more completions."""

    def __init__(self, context: LabContext, view: "RunView") -> None:
        super().__init__(context, view.id)
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
        return generation.stats_of(self.context, self._view)

    def replay(self) -> "Generation":
        """The same run again, with the same seed."""
        return Stream(self.context, generation.replay(self.context, self.id)).result

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

    def __init__(self, context: LabContext, live: generation.Live) -> None:
        self.context, self.live = context, live

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
        return Generation(self.context, generation.run(self.context, self.id))


class Chat:
    """A conversation with a model: `say` sends a message and returns the answer's run."""

    def __init__(self, context: LabContext, model: Any, system: str = "", **settings: Any) -> None:
        self.context, self.model, self.settings = context, name_of(model), settings
        self.messages: list[dict[str, str]] = [{"role": "system", "content": system}] if system else []

    def say(self, text: str, **settings: Any) -> Generation:
        """Sends the message with the whole conversation; settings hold for this answer alone."""
        messages = [*self.messages, {"role": "user", "content": text}]
        chosen = self.settings | settings
        live = start(
            self.context,
            self.model,
            messages,
            mode="chat",
            sampling=chosen.pop("sampling", None),
            trace=0,
            settings=chosen,
        )
        answer = Stream(self.context, live).result
        self.messages = [*messages, {"role": "assistant", "content": answer.text}]
        return answer

    def as_dict(self) -> dict[str, Any]:
        """The conversation as JSON: the model, its settings and all messages."""
        return {"model": self.model, "settings": to_plain(self.settings), "messages": to_plain(self.messages)}

    def __repr__(self) -> str:
        return "\n".join(f"{message['role']}: {message['content']}" for message in self.messages)


def prompt_of(context: LabContext, model: str, prompt: str | Messages | Prompt, mode: str | None) -> Prompt:
    """A text as the model's prompt, messages as a conversation."""
    if isinstance(prompt, Prompt):
        return prompt
    if isinstance(prompt, str):
        return models.prompt_for(context, model, prompt, mode)
    messages = [dict(message) for message in prompt if isinstance(message, Mapping)] if _is_list(prompt) else []
    if not messages or len(messages) != len(prompt):
        raise BadSetting("prompt", prompt, "a text, or a list of messages such as {'role': 'user', 'content': 'Hello'}")
    return Prompt(messages=tuple(messages), mode="chat")


def _is_list(prompt: object) -> bool:
    return isinstance(prompt, Sequence)


def sampling_of(
    context: LabContext, model: str, mode: str | None, sampling: Sampling | str | None, settings: Mapping[str, Any]
) -> Sampling:
    """The model's own defaults, a preset's or a Sampling's values, and above them the settings."""
    settings = own_names(settings)
    if isinstance(sampling, str):
        sampling = Presets(context).get(sampling)
    if sampling is not None:
        return Sampling.from_dict({**sampling.as_dict(), **settings})
    return defaults.sampling_for(context, model, settings, mode)


def own_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling settings under their present names; raises UnknownSetting."""
    return present_names(Sampling, settings)


def start(
    context: LabContext,
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
    asked = prompt_of(context, name, prompt, mode)
    chosen = sampling_of(context, name, asked.mode, sampling, settings)
    return generation.start(context, name, asked, chosen, trace=trace, return_logits=False)


def compare(
    context: LabContext,
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
            asked = prompt_of(context, name, prompt, mode)
            requests.append(
                generation.GenerationSpec(name, asked, sampling_of(context, name, asked.mode, sampling, settings))
            )
    lives = generation.start_many(context, requests, trace=0)
    for _ in generation.merge_streams(lives):
        continue
    runs = [Generation(context, generation.run(context, live.run_id)) for live in lives]
    return Table(
        runs, lambda run: {"run": run.id, "model": run.model, "prompt": run.view.prompt.as_text, "text": run.text}
    )
