"""A row of figures with their names; the cells keep their places while the figures change."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from pages.components.head import escaped_html

_TEMPLATE = (
    '<div class="stat-row" role="group" aria-label="{{caption}}">'
    "{{#each value}}<div><b>{{this.[1]}}</b><span>{{this.[0]}}</span></div>{{/each}}</div>"
)
NOTHING = "–"


def stat_row(names: Sequence[str], caption: str = "Figures", **options: Any) -> gr.HTML:
    """Figures by name, in order. Give all names from the beginning; they show `NOTHING` until their figure is known."""
    return escaped_html(
        stat_values(dict.fromkeys(names, NOTHING)),
        html_template=_TEMPLATE,
        elem_classes=["plain"],
        js_on_load=None,
        caption=caption,
        **options,
    )


def stat_values(figures: Mapping[str, str]) -> list[list[str]]:
    """The value of a stat row."""
    return [[name, text] for name, text in figures.items()]


def size_text(count: int | None) -> str:
    """Bytes in the unit that suits them: 40.3 MB."""
    if count is None:
        return NOTHING
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}" if count < 100 * scale else f"{count / scale:,.0f} {unit}"
    return f"{count} B"


def count_text(count: int | None) -> str:
    """A number of parameters: 14.2M."""
    if count is None:
        return NOTHING
    for unit, scale in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f}{unit}" if count < 100 * scale else f"{count / scale:,.0f}{unit}"
    return str(count)


def share_text(part: int | None, total: int | None) -> str:
    """Parameters out of all: 244k of 5.0M (4.8 %)."""
    if not part or not total:
        return NOTHING
    percent = 100 * part / total
    return (
        f"{count_text(part)} of {count_text(total)} ({percent:.0f} %)"
        if percent >= 10
        else (f"{count_text(part)} of {count_text(total)} ({percent:.2g} %)")
    )


def left_out_text(count: int, rows: Sequence[int]) -> str:
    """How many rows were left out, with the numbers of the first of them: 9 left out (rows 2, 4, 6 ...)."""
    if not count or not rows:
        return f"{count:,} left out"
    ellipsis = " ..." if count > len(rows) else ""
    return f"{count:,} left out (row{'s' if count > 1 else ''} {', '.join(f'{row:,}' for row in rows)}{ellipsis})"


def seconds_text(seconds: float | None) -> str:
    """A time for reading: 84 ms, 2.3 s, 4 min, 2 h 10 min."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 20 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
