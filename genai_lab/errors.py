"""Errors that a user can act on. Anything that is not a LabError is a bug."""

from collections.abc import Iterable, Sequence


class LabError(Exception):
    """One sentence for the user: what was wrong, where, and what to do next."""


class BadSetting(LabError):
    """A setting has a value outside its range."""

    def __init__(self, name: str, value: object, rule: str) -> None:
        label = name.replace("_", " ")
        text = repr(value)
        text = text if len(text) <= 200 else f"{text[:200]}…"
        super().__init__(f"{label[:1].upper()}{label[1:]} is {text}, but it must be {rule}.")
        self.name, self.value, self.rule = name, value, rule


class UnknownSetting(BadSetting):
    """A name that is no setting of its owner; `nearest` is the one that was probably meant."""

    def __init__(self, name: str, owner: str, known: Sequence[str], nearest: str | None = None) -> None:
        hint = f"did you mean {nearest!r}?" if nearest else f"it has {', '.join(known) or 'no settings'}."
        LabError.__init__(self, f"{owner[:1].upper()}{owner[1:]} has no setting {name[:100]!r}; {hint}")
        self.name, self.value, self.rule = f"{name} of {owner}", None, "left out"
        self.nearest = nearest


class UnknownName(LabError):
    """A name that the registry or the catalogue does not hold."""

    def __init__(self, noun: str, name: str, names: Iterable[str]) -> None:
        super().__init__(f"There is no {noun} called {name[:100]!r}. Known: {', '.join(names) or 'none yet'}.")


class DuplicateName(LabError):
    def __init__(self, noun: str, name: str) -> None:
        super().__init__(f"A {noun} called {name!r} already exists; choose another name.")


class ModelError(LabError):
    """A model cannot be found, read, loaded or used."""


class PromptTooLong(LabError):
    """The prompt leaves no room in the model's context."""

    def __init__(self, tokens: int, context: int) -> None:
        super().__init__(
            f"The prompt has {tokens:,} tokens, but the model's context holds {context:,} and one must stay free "
            "for the completion; shorten the prompt."
        )


class StorageError(LabError):
    """The database or the data home cannot be used."""


class TemplateError(LabError):
    """A template cannot be read, or not be filled with a row."""
