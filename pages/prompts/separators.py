"""A separator in one line of input: a line break is typed \\n."""

import re

# What stands between parts most often, in words, as it is typed.
CHOICES = (
    ("an empty line", "\\n\\n"),
    ("a line break", "\\n"),
    ("a line of ###", "\\n###\\n"),
    ("a line of ---", "\\n---\\n"),
    ("a space", " "),
)
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_PLAIN = {escape: character for character, escape in _ESCAPES.items()}


def as_typed(text: str) -> str:
    return re.sub(r"[\\\n\t]", lambda match: _ESCAPES[match[0]], text)


def from_typed(text: str) -> str:
    return re.sub(r"\\[\\nt]", lambda match: _PLAIN[match[0]], text)
