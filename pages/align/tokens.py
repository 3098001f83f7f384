"""Completions in colour: each token by one of its figures, on one scale for all completions beside one another."""

from collections.abc import Sequence
from typing import Any

from genai_lab.services.alignment import LOG_RATIO, Rollout, TokenFigures

MOST = 55  # percent of the colour, so that text stays readable in both schemes
UNITS = {"KL": "nats", LOG_RATIO: "nats", "entropy": "nats", "advantage": "", "value": ""}
COLOURS = {
    "KL": "KL to the reference", LOG_RATIO: "log-ratio to the reference", "advantage": "advantage", "value": "value",
    "entropy": "entropy",
}  # fmt: skip
CARDS = """
{{#if value.waiting}}<p class="panel-note" role="status">{{value.waiting}}</p>{{/if}}
{{#if value.cards.length}}<div class="ro-view" data-step="{{value.step}}"><h2>{{value.title}}</h2>
<p class="ro-prompt">{{value.prompt}}</p>
<p class="ro-legend">{{value.legend.what}}{{#if value.legend.low}}<span>{{value.legend.low}}</span>
<i class="{{value.legend.kind}}" aria-hidden="true"></i><span>{{value.legend.high}}</span>{{/if}}</p>
<div class="ro-cards">{{#each value.cards}}<section class="ro-card {{#if this.picked}}picked{{/if}}"
aria-label="{{this.name}}"><h3>{{this.name}} <b>{{this.score}}</b></h3>
<p class="ro-text">{{#each this.tokens}}<span class="rt {{this.[1]}}" style="--much:{{this.[2]}}%"
title="{{this.[3]}}">{{this.[0]}}</span>{{/each}}</p>
<dl>{{#each this.facts}}<dt>{{this.[0]}}</dt><dd>{{this.[1]}}</dd>{{/each}}</dl>
{{#if this.table.length}}<details><summary>Figures of each token</summary>
<div class="grid-scroll" tabindex="0" role="region" aria-label="Tokens of {{this.name}}"><table class="grid"><thead><tr>
{{#each this.names}}<th scope="col">{{this}}</th>{{/each}}</tr></thead><tbody>{{#each this.table}}<tr>
{{#each this}}<td>{{this}}</td>{{/each}}</tr>{{/each}}</tbody></table></div></details>{{/if}}</section>{{/each}}
</div></div>{{/if}}
"""


def cards(
    step: int, rollouts: Sequence[Rollout], tokens: Sequence[TokenFigures | None], colour: str, picked: int
) -> dict[str, Any]:
    """The value of CARDS: the completions of one prompt; without figures of its tokens a text stands plain."""
    first = rollouts[0]
    known = [figures for figures in tokens if figures is not None and colour in figures.figures]
    largest = max((abs(value) for figures in known for value in figures.figures[colour]), default=0.0)
    return {
        "step": step,
        "title": f"Step {step:,}, row {first.row:,}",
        "prompt": first.prompt,
        "legend": legend(colour, largest, bool(known)),
        "cards": [
            _card(number, rollout, figures, colour, largest, rollout.index == picked)
            for number, (rollout, figures) in enumerate(zip(rollouts, tokens, strict=True), 1)
        ],
    }


def legend(colour: str, largest: float, known: bool) -> dict[str, str]:
    if not known:
        return {"what": f"This step has no {COLOURS[colour]} of tokens."}
    unit = f" {UNITS[colour]}" if UNITS[colour] else ""
    signed = colour not in ("KL", "entropy")
    return {
        "what": f"Tokens by {COLOURS[colour]}:",
        "kind": "both" if signed else "one",
        "low": f"−{largest:.3g}{unit}" if signed else "0",
        "high": f"{largest:.3g}{unit}",
    }


def _card(
    number: int, rollout: Rollout, figures: TokenFigures | None, colour: str, largest: float, picked: bool
) -> dict[str, Any]:
    facts = [
        *([label, f"{value:.3f}"] for label, value in rollout.parts.items()),
        ["KL", f"{rollout.kl:.2f} nats"],
        ["length", f"{rollout.tokens:,} tokens, {'ended' if rollout.ended else 'cut'}"],
        ["repeated 3-grams", f"{100 * rollout.repeated:.0f} %"],
    ]
    return {
        "name": f"Completion {number}",
        "score": f"score {rollout.score:.3f}",
        "facts": facts,
        "picked": picked,
        "tokens": _spans(figures, colour, largest) if figures else [[rollout.text, "", 0, ""]],
        "names": ["token", *figures.figures] if figures else [],
        "table": _table(figures) if figures else [],
    }


def _spans(figures: TokenFigures, colour: str, largest: float) -> list[list[Any]]:
    """[text, which way, how much, all figures in words] of each token."""
    values = figures.figures.get(colour)
    spans = []
    for place, text in enumerate(figures.texts):
        value = values[place] if values else 0.0
        much = round(MOST * abs(value) / largest) if largest else 0
        way = "more" if colour in ("KL", "entropy") else "up" if value > 0 else "down"
        words = ", ".join(f"{name} {column[place]:.3g}" for name, column in figures.figures.items())
        spans.append([text, way if much else "", much, words])
    return spans


def _table(figures: TokenFigures) -> list[list[str]]:
    columns = figures.figures.values()
    return [
        [visible(text), *(f"{column[place]:.3f}" for column in columns)] for place, text in enumerate(figures.texts)
    ]


def visible(text: str) -> str:
    return text.replace(" ", "·").replace("\n", "↵") or "…"
