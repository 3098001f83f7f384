"""A profile as markup: figures, bars and histograms; every text is escaped."""

import html
from collections.abc import Mapping
from typing import Any

from pages.components.head import empty_state_markup


def markup(profile: Mapping[str, Any] | None, model: str) -> str:
    """The profile; lengths are in tokens of `model`, where they have been measured."""
    if not profile or "columns" not in profile:
        return empty_state_markup(
            "Not profiled yet", "Press Profile to see empty cells, lengths, labels, duplicates and overlap of splits."
        )
    parts = [_overlap(profile), _labels(profile), _cells(profile), *_lengths(profile, model)]
    return f'<div class="profile">{"".join(part for part in parts if part)}</div>'


def _cells(profile: Mapping[str, Any]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td class="n">{column["empty"]:,}</td>'
        f'<td class="n">{column["mean_characters"]:,.0f}</td><td class="n">{column["longest"]:,}</td></tr>'
        for name, column in profile["columns"].items()
    )
    heads = '<th scope="col" class="n">Empty</th><th scope="col" class="n">Mean</th><th scope="col" class="n">Longest'
    return (
        f'<section><h3>Columns</h3><table><thead><tr><th scope="col">Column</th>{heads}</th></tr></thead>'
        f"<tbody>{lines}</tbody></table><p>Empty cells; lengths in characters.</p></section>"
    )


def _overlap(profile: Mapping[str, Any]) -> str:
    duplicates = profile["duplicates"]
    sentences = [
        _sentence(duplicates["rows"], "repeats an earlier row", "repeat an earlier row", profile["rows"])
        + _pairs(duplicates["shown"])
    ]
    for pair in profile["overlap"]:
        singular = f"of {pair['second']} has the same input as a row of {pair['first']} asks"
        plural = f"of {pair['second']} ask what a row of {pair['first']} asks"
        sentences.append(_sentence(pair["rows"], singular, plural, pair["of"]) + _pairs(pair["shown"]))
    if not profile["overlap"]:
        sentences.append("There is only one split, so none can overlap.")
    shared = any(pair["rows"] for pair in profile["overlap"])
    lines = "".join(f'<p class="{"warn" if shared and n else ""}">{text}</p>' for n, text in enumerate(sentences))
    columns = html.escape(", ".join(profile["asked"]))
    return (
        f"<section><h3>Duplicates and overlap</h3>{lines}"
        f"<p>Compared by {columns}, ignoring case and white space.</p></section>"
    )


def _sentence(count: int, singular: str, plural: str, total: int) -> str:
    share = f" ({100 * count / total:.1f} %)" if total and count else ""
    start = "No row" if not count else "1 row" if count == 1 else f"{count:,} rows"
    return html.escape(f"{start}{share} {plural if count > 1 else singular}.")


def _pairs(pairs: list[list[int]]) -> str:
    if not pairs:
        return ""
    return " For example row " + ", ".join(f"{second:,} = {first:,}" for first, second in pairs[:3]) + "."


def _labels(profile: Mapping[str, Any]) -> str:
    labels = profile["labels"]
    if not labels:
        return ""
    totals = {name: sum(counts.values()) for name, counts in labels["shown"].items()}
    most, rows = max(totals.values(), default=1), profile["rows"] or 1
    lines = "".join(
        f'<li><span title="{html.escape(name, quote=True)}">{html.escape(name) or "(empty)"}</span>'
        f'<i style="width:{100 * count / most:.1f}%"></i><span>{count:,} · {100 * count / rows:.1f} %</span></li>'
        for name, count in totals.items()
    )
    rare = f" {labels['rest']:,} rows have rarer labels." if labels["rest"] else ""
    noun = "label" if labels["different"] == 1 else "labels"
    return (
        f"<section><h3>Labels in {html.escape(profile['label'])}</h3><ul>{lines}</ul>"
        f"<p>{labels['different']:,} different {noun}.{rare}</p></section>"
    )


def _lengths(profile: Mapping[str, Any], model: str) -> list[str]:
    lengths = profile.get("lengths", {}).get(model, {})
    return [_histogram(name, column, model) for name, column in lengths.items()]


def _histogram(name: str, lengths: Mapping[str, Any], model: str) -> str:
    counts, width = lengths["counts"], lengths["width"]
    most, bars = max(counts, default=1) or 1, []
    step = 100 / max(1, len(counts))
    for index, count in enumerate(counts):
        high = 88 * count / most
        span = f"{index * width:,}" if width == 1 else f"{index * width:,} to {(index + 1) * width - 1:,}"
        bars.append(
            f'<rect x="{index * step:.3f}%" y="{90 - high:.2f}" width="{step * 0.86:.3f}%" height="{high:.2f}">'
            f"<title>{span} tokens: {count:,} rows</title></rect>"
        )
    about = f"Lengths of {name} in tokens of {model}"
    sampled = "" if lengths["n"] == lengths["of"] else f", {lengths['n']:,} sampled of {lengths['of']:,} rows"
    figures = (
        f"Median {lengths['p50']:,}, 95 % up to {lengths['p95']:,}, longest {lengths['max']:,}; "
        f"n = {lengths['n']:,}{sampled}."
    )
    return (
        f"<section><h3>{html.escape(name)} in tokens</h3>"
        f'<svg role="img" aria-label="{html.escape(about, quote=True)}">{"".join(bars)}</svg>'
        f'<p class="axis"><span>0</span><span>{len(counts) * width:,} tokens</span></p>'
        f"<p>{html.escape(figures)} By {html.escape(model)}.</p></section>"
    )
