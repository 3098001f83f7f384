"""A plugin of the app under test: a prompt that begins with SLOW is continued slowly and without an end."""

import time
from typing import Any

from genai_lab.models.transformers import LocalGenerator

SLOW = "Slowly, "
PAUSE = 0.2
_rows = LocalGenerator._rows


def _slow_rows(self: LocalGenerator, request: Any, soft: Any) -> list[Any]:
    rows = _rows(self, request, soft)
    for row in rows if request.prompt.text.startswith(SLOW) else ():
        row.ends, draw = frozenset(), row.uniform

        def slowly(draw: Any = draw) -> float:
            time.sleep(PAUSE)
            return float(draw())

        row.uniform = slowly  # type: ignore[method-assign]
    return rows


LocalGenerator._rows = _slow_rows  # type: ignore[method-assign]
