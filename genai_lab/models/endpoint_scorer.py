"""An endpoint as a judge: the log-probabilities of texts, where its completions protocol echoes them."""

from collections.abc import Sequence
from typing import Any

from genai_lab.errors import ModelError
from genai_lab.models import Card
from genai_lab.models.checks import bearer
from genai_lab.models.connections import clear_errors, client
from genai_lab.models.endpoint_events import UNREADABLE, json_value
from genai_lab.models.endpoint_stream import status_sentence
from genai_lab.models.scorer import LogProbability, Scorer

LONGEST_ANSWER = 64 * 2**20
REFUSED = (400, 404, 405, 422, 501)


class EndpointScorer(Scorer):
    """Asks the server to echo a text with the log-probabilities of its tokens (`echo` and `logprobs` of completions).

    What the protocol does not give is refused by name: probabilities of labels and rewards by the base class, texts
    whose log-probabilities are not echoed here.
    """

    def __init__(self, card: Card, address: str, timeout: float) -> None:
        super().__init__(card)
        self._address, self._timeout = address, timeout

    def scores(self, texts: Sequence[str], label: str = "") -> list[float | None]:
        raise ModelError(f"{self.card.name} is an endpoint, which gives no label probabilities; choose a classifier.")

    def log_probabilities(self, texts: Sequence[str], inputs: Sequence[str] = ()) -> list[LogProbability]:
        """Of each text alone; its first token, which follows nothing, does not count."""
        with (
            clear_errors(self._address, self._timeout),
            client(self._address, self._timeout, follow_redirects=False) as asking,
        ):
            return [self._of_text(asking, text) for text in texts]

    def _of_text(self, asking: Any, text: str) -> LogProbability:
        if not text:
            return LogProbability(0.0, 0)
        key_env = self.card.source.key_env
        body = {"model": self.card.source.remote_name, "prompt": text, "max_tokens": 1, "echo": True, "logprobs": 1}
        answer = asking.post(f"{self._address}/completions", json=body, headers=bearer(key_env))
        if answer.status_code in REFUSED:
            raise self._no_echo()
        if answer.status_code != 200 or len(answer.content) > LONGEST_ANSWER:
            raise ModelError(
                status_sentence(self._address, answer.status_code, answer.headers, answer.content[:2000], key_env)
            )
        values = _echoed(json_value(answer.content), text)
        if values is None:
            raise self._no_echo()
        return LogProbability(sum(values), len(values))

    def _no_echo(self) -> ModelError:
        return ModelError(
            f"{self.card.name} is an endpoint that does not echo the log-probabilities of a text; choose a local "
            "model, or a server that does, such as vLLM."
        )


def _echoed(answer: Any, text: str) -> list[float] | None:
    """The log-probabilities of the text's tokens but the first; None where the answer does not hold them.

    The one new token that servers insist on begins at the text's end.
    """
    try:
        if answer is UNREADABLE:
            return None
        logprobs = answer["choices"][0]["logprobs"]
        values, offsets = logprobs["token_logprobs"], logprobs.get("text_offset")
        size = len(values) - 1 if offsets is None else sum(offset < len(text) for offset in offsets)
        echoed = values[1:size]
        if size < 1 or not all(isinstance(value, int | float) for value in echoed):
            return None
        return [float(value) for value in echoed]
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
