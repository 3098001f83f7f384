"""Other names that people use for the roles of a column."""

ALIASES: dict[str, tuple[str, ...]] = {
    "input": ("prompt", "text", "question", "instruction", "query", "source"),
    "reference": (
        "completion", "target", "answer", "response", "output", "references", "gold", "ground_truth", "expected",
    ),
    "label": ("class", "category", "labels"),
    "messages": ("conversation", "conversations", "chat"),
    "system": ("system_prompt",),
    "metadata": ("meta",),
}  # fmt: skip
_ROLES = {alias: role for role, aliases in ALIASES.items() for alias in aliases}


def role_of(name: str) -> str:
    """The role that is meant by `name`, in any spelling; a name that is none comes back as it is."""
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    return _ROLES.get(key, key)
