"""A profile as markup: figures, bars and histograms made of numbers; every text is escaped."""

import html
from collections.abc import Mapping
from typing import Any

from pages.components.head import empty_state_markup


def markup(profile: Mapping[str, Any] | None, model: str) -> str:
    """The whole profile; lengths are those in tokens of `model`, where they have been measured."""
    if not profile or "columns" not in profile:
        return empty_state_markup(
            "Not profiled yet", "Press Profile to see empty cells, lengths, labels, duplicates and overlap of splits."
        )
    parts = [_overlap(profile), _labels(profile), _cells(profile), *_lengths(profile, model)]
    return f'<div class="profile">{"".join(part for part in parts if part)}</div>'


def _cells(profile: Mapping[str, Any]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td class="n">{one["empty"]:,}</td>'
        f'<td class="n">{one["mean_characters"]:,.0f}</td><td class="n">{one["longest"]:,}</td></tr>'
        for name, one in profile["columns"].items()
    )
    heads = '<th scope="col" class="n">Empty</th><th scope="col" class="n">Mean</th><th scope="col" class="n">Longest'
    return (
        f'<section><h3>Columns</h3><table><thead><tr><th scope="col">Column</th>{heads}</th></tr></thead>'
        f"<tbody>{lines}</tbody></table><p>Empty cells; lengths in characters.</p></section>"
    )


def _overlap(profile: Mapping[str, Any]) -> str:
    again = profile["duplicates"]
    told = [_sentence(again["rows"], "repeats an earlier row", "repeat an earlier row", profile["rows"])]
    told[0] += _pairs(again["shown"])
    for one in profile["overlap"]:
        words = f"of {one['second']} asks what a row of {one['first']} asks"
        plural = f"of {one['second']} ask what a row of {one['first']} asks"
        told.append(_sentence(one["rows"], words, plural, one["of"]) + _pairs(one["shown"]))
    if not profile["overlap"]:
        told.append("There is one split only, so that none can overlap.")
    shared = any(one["rows"] for one in profile["overlap"])
    lines = "".join(f'<p class="{"warn" if shared and n else ""}">{text}</p>' for n, text in enumerate(told))
    asked = html.escape(", ".join(profile["asked"]))
    return (
        f"<section><h3>Duplicates and overlap</h3>{lines}<p>Compared by {asked}, without case and blanks.</p></section>"
    )


def _sentence(count: int, one: str, several: str, of: int) -> str:
    share = f" ({100 * count / of:.1f} %)" if of and count else ""
    start = "No row" if not count else "1 row" if count == 1 else f"{count:,} rows"
    return html.escape(f"{start}{share} {several if count > 1 else one}.")


def _pairs(pairs: list[list[int]]) -> str:
    if not pairs:
        return ""
    return " For example row " + ", ".join(f"{second:,} = {first:,}" for first, second in pairs[:3]) + "."


def _labels(profile: Mapping[str, Any]) -> str:
    found = profile["labels"]
    if not found:
        return ""
    totals = {name: sum(counts.values()) for name, counts in found["shown"].items()}
    most, rows = max(totals.values(), default=1), profile["rows"] or 1
    lines = "".join(
        f'<li><span title="{html.escape(name, quote=True)}">{html.escape(name) or "(empty)"}</span>'
        f'<i style="width:{100 * count / most:.1f}%"></i><span>{count:,} · {100 * count / rows:.1f} %</span></li>'
        for name, count in totals.items()
    )
    rest = f" {found['rest']:,} rows have rarer ones." if found["rest"] else ""
    noun = "label" if found["different"] == 1 else "labels"
    return (
        f"<section><h3>Labels in {html.escape(profile['label'])}</h3><ul>{lines}</ul>"
        f"<p>{found['different']:,} different {noun}.{rest}</p></section>"
    )


def _lengths(profile: Mapping[str, Any], model: str) -> list[str]:
    found = profile.get("lengths", {}).get(model, {})
    return [_histogram(name, one, model) for name, one in found.items()]


def _histogram(name: str, one: Mapping[str, Any], model: str) -> str:
    counts, width = one["counts"], one["width"]
    most, bars = max(counts, default=1) or 1, []
    step = 100 / max(1, len(counts))
    for place, count in enumerate(counts):
        high = 88 * count / most
        span = f"{place * width:,}" if width == 1 else f"{place * width:,} to {(place + 1) * width - 1:,}"
        bars.append(
            f'<rect x="{place * step:.3f}%" y="{90 - high:.2f}" width="{step * 0.86:.3f}%" height="{high:.2f}">'
            f"<title>{span} tokens: {count:,} rows</title></rect>"
        )
    about = f"Lengths of {name} in tokens of {model}"
    drawn = "" if one["n"] == one["of"] else f", {one['n']:,} rows drawn of {one['of']:,}"
    told = f"Median {one['p50']:,}, 95 % up to {one['p95']:,}, longest {one['max']:,}; n = {one['n']:,}{drawn}."
    return (
        f"<section><h3>{html.escape(name)} in tokens</h3>"
        f'<svg role="img" aria-label="{html.escape(about, quote=True)}">{"".join(bars)}</svg>'
        f'<p class="axis"><span>0</span><span>{len(counts) * width:,} tokens</span></p>'
        f"<p>{html.escape(told)} By {html.escape(model)}.</p></section>"
    )
