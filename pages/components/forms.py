"""Forms by name: handlers take `{name: value}` and return `{name: update}`; nothing depends on the order of inputs.

A `Form` holds components of a page under names: inputs, panels, states. A settings dataclass is drawn as inputs whose
names are those of its fields, so a new setting needs no page:

    form = Form(prompt=gr.Textbox(label="Prompt"), table=gr.HTML())
    names = form.add_settings(Sampling, prefix="pg")
    form.on(button.click, run_grid, lab, inputs=["prompt", *names], outputs=["table"])

    def run_grid(lab: Lab, values: Values) -> Updates:
        sampling = read_settings(Sampling, values)    # raises the dataclass' own LabError
        return {"table": render(lab, values["prompt"], sampling)}

A handler may yield updates too; what an update leaves out stays as it is, so `{}` changes nothing. Parameters typed
gr.Request, gr.EventData or gr.SelectData still arrive. `write_settings` is the way back from settings to updates.
Names may have sections ("method.lora.rank"): `section(values, "method.lora")` gives the values of one.

Drafts are `{name: value}` as JSON in the browser: `keep_draft` writes one, `read_draft` reads it.
"""

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.context import Context

from pages.components.errors import INTERNAL, event_handler
from pages.components.loading import hold
from pages.components.settings_inputs import Updates, Values, draw_settings

_DRAFT_SCRIPT = "(...values) => JSON.stringify(Object.fromEntries(NAMES.map((name, i) => [name, values[i]])))"
# Takes over what was proposed for the fields that still hold what they held when the question was sent.
_PROPOSAL_SCRIPT = """(text, ...values) => {
  const { asked, proposed } = JSON.parse(text || '{"asked": {}, "proposed": {}}');
  const now = Object.fromEntries(NAMES.map((name, i) => [name, values[i]]));
  const same = name => JSON.stringify(now[name] ?? null) === JSON.stringify(asked[name] ?? null);
  if (!CHOICES.every(same)) return NAMES.map(name => now[name]);
  const partly = NAMES.some(name => name in proposed && !same(name)), otherwise = OTHERWISE;
  return NAMES.map(name => {
    if (partly && name in otherwise) return otherwise[name];
    return name in proposed && same(name) ? proposed[name] : now[name];
  });
}"""


class Form:
    """Components of a page by name; `on` wires a handler that takes and returns values by these names."""

    def __init__(self, **components: Block) -> None:
        self.components: dict[str, Block] = {}
        self.add(components)

    def __getitem__(self, name: str) -> Any:
        return self.components[name]

    def add(self, components: Mapping[str, Block] | None = None, /, **named: Block) -> None:
        """Adds components that are drawn already."""
        for name, component in {**(components or {}), **named}.items():
            if name in self.components:
                raise ValueError(f"two components of a form are called {name!r}")
            self.components[name] = component

    def include(self, other: "Form", names: Iterable[str] | None = None, section: str = "") -> list[str]:
        """Adds components of another form, under names within `section` where there is one; returns these names."""
        included = list(other.components if names is None else names)
        within = {name: f"{section}.{name}" if section else name for name in included}
        self.add({within[name]: other[name] for name in included})
        return list(within.values())

    def add_settings(self, cls: type, names: Sequence[str] | None = None, *, section: str = "", **layout: Any) -> list:
        """Draws inputs for a settings dataclass here (see `draw_settings`); returns the names that they have in the
        form.
        """
        inputs = draw_settings(cls, names, **layout)
        within = {f"{section}.{name}" if section else name: component for name, component in inputs.items()}
        self.add(within)
        return list(within)

    def pick(self, names: Iterable[str]) -> list[Any]:
        return [self.components[name] for name in names]

    def inputs(self, names: Iterable[str]) -> set[Any]:
        """The set of these components: Gradio hands their values over as a dict."""
        return set(self.pick(names))

    def reader(self, fn: Callable[..., Any], *bound: Any) -> Callable[..., Any]:
        """`fn` as Gradio calls it for a set of inputs: readable errors, values by name, the result unchanged."""
        return self._wrap(fn, bound, lambda result: result)

    def handler(self, fn: Callable[..., Any], *bound: Any) -> Callable[..., Any]:
        """As `reader`, with updates by name as the result."""
        return self._wrap(fn, bound, self._by_component)

    def _wrap(self, fn: Callable[..., Any], bound: tuple[Any, ...], result: Callable[[Any], Any]) -> Callable[..., Any]:
        inner = event_handler(fn, *bound)
        if inspect.isgeneratorfunction(inner):

            def answer(*args: object) -> Any:
                for updates in inner(*map(self._by_name, args)):
                    yield result(updates)

        else:

            def answer(*args: object) -> Any:
                return result(inner(*map(self._by_name, args)))

        answer.__signature__ = inspect.signature(inner)  # type: ignore[attr-defined]
        answer.__annotations__ = dict(getattr(inner, "__annotations__", {}))
        answer.__name__ = getattr(fn, "__name__", "answer")
        return answer

    def on(
        self,
        event: Callable[..., Any],
        fn: Callable[..., Any],
        *bound: Any,
        inputs: Iterable[str] = (),
        outputs: Iterable[str] = (),
        **options: Any,
    ) -> Any:
        """On `event` (a button's click, a dependency's `then`), calls `fn(*bound, values)` and applies its updates.

        Without inputs `fn` gets no values. Returns Gradio's dependency, for `.then` and `.success`.
        """
        sources = self.inputs(inputs) or None
        return event(self.handler(fn, *bound), sources, self.pick(outputs), **{**INTERNAL, **options})

    def fill(
        self,
        event: Callable[..., Any],
        fn: Callable[..., Any],
        *bound: Any,
        inputs: Sequence[str] = (),
        outputs: Iterable[str] = (),
    ) -> Any:
        """As `on`, for an answer that fills fields: the page takes no typing until it has come."""
        return hold(event, self.handler(fn, *bound), self.inputs(inputs), self.pick(outputs))

    def on_load(
        self, fn: Callable[..., Any], *bound: Any, inputs: Sequence[str] = (), outputs: Iterable[str] = ()
    ) -> Any:
        """`fill` when the page that is being built opens."""
        if Context.root_block is None:
            raise RuntimeError("on_load belongs inside a page's build function")
        return self.fill(Context.root_block.load, fn, *bound, inputs=inputs, outputs=outputs)

    def propose(
        self,
        event: Callable[..., Any],
        fn: Callable[..., Any],
        *bound: Any,
        choices: Sequence[str],
        inputs: Sequence[str] = (),
        outputs: Sequence[str],
        otherwise: Mapping[str, Any] | None = None,
    ) -> Any:
        """As `on`, for an answer to a choice that proposes values for other fields and may come late.

        A field that was changed after the question was sent keeps its value, and where one of `choices` was changed no
        proposal is taken over. Values for outputs that are no inputs, and choices of fields, are applied at once. Where
        only a part is taken over, the fields of `otherwise` get its values. Returns the last dependency.
        """
        question_names = list(dict.fromkeys([*choices, *inputs]))
        watched = [*choices, *(name for name in outputs if name in question_names and name not in choices)]
        box = gr.Textbox("", visible="hidden", show_label=False, container=False)
        relay = Form(**{"proposal box": box})
        relay.include(self, dict.fromkeys([*question_names, *outputs]))

        def answer(values: Values) -> Updates:
            updates = fn(*bound, values)
            now, proposed = _split_proposals(updates, set(watched) - set(choices))
            question = {
                "asked": {name: _sent(self[name], values[name]) for name in watched},
                "proposed": {name: _sent(self[name], value) for name, value in proposed.items()},
            }
            return {**now, "proposal box": json.dumps(question)}

        answer.__name__ = getattr(fn, "__name__", "answer")
        first = relay.on(
            event,
            answer,
            inputs=question_names,
            outputs=[*outputs, "proposal box"],
            trigger_mode="always_last",
            queue=False,
        )
        fields_ = self.pick(watched)
        script = _PROPOSAL_SCRIPT
        for word, names in (("NAMES", watched), ("CHOICES", list(choices)), ("OTHERWISE", dict(otherwise or {}))):
            script = script.replace(word, json.dumps(names))
        return first.success(None, [box, *fields_], fields_, js=script, queue=False, **INTERNAL)

    def keep_draft(self, draft: gr.BrowserState, names: Sequence[str], watched: Iterable[str] | None = None) -> None:
        """After every change of a `watched` component (of all), keeps the values of `names` in the browser."""
        for component in self.pick(names if watched is None else watched):
            self.save_draft(component.change, draft, names, queue=False)

    def save_draft(
        self, event: Callable[..., Any], draft: gr.BrowserState, names: Sequence[str], **options: Any
    ) -> Any:
        """On `event`, keeps the values of `names` in the browser."""
        script = _DRAFT_SCRIPT.replace("NAMES", json.dumps(list(names)))
        return event(None, self.pick(names), draft, js=script, **{**INTERNAL, **options})

    def _by_name(self, values: Any) -> Any:
        """Gradio's dict of a set of inputs with names for components; every other argument as it is."""
        if not (isinstance(values, dict) and values and all(isinstance(key, Block) for key in values)):
            return values
        names = {component._id: name for name, component in self.components.items()}
        return {names[component._id]: value for component, value in values.items()}

    def _by_component(self, updates: Any) -> Any:
        if updates is None or (isinstance(updates, dict) and "__type__" in updates):
            return updates
        if not isinstance(updates, dict):
            raise TypeError(f"a handler of a form returns updates by name, not {type(updates).__name__}")
        return {self.components[name]: update for name, update in updates.items()} or gr.skip()


def read_draft(
    text: str | None, names: Iterable[str], former: Sequence[str] = (), aliases: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """The values of a draft that this form has, by name; None where there is no draft.

    A list is a draft of an earlier version: its values in the order of the names `former`. `aliases` are former names
    of fields.
    """
    try:
        draft = json.loads(text) if text else None
    except ValueError:
        return None
    if isinstance(draft, list) and former and len(draft) == len(former):
        draft = dict(zip(former, draft, strict=True))
    if not isinstance(draft, dict):
        return None
    draft = {(aliases or {}).get(name, name): value for name, value in draft.items()}
    present = {name: draft[name] for name in names if name in draft}
    return present or None


def section(values: Values, name: str) -> dict[str, Any]:
    """The values under `name`: of {"method.lora.rank": 8} in the section "method.lora", {"rank": 8}."""
    return {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")}


def in_section(values: Values, name: str) -> dict[str, Any]:
    """The reverse of `section`."""
    return {f"{name}.{key}": value for key, value in values.items()}


def _sent(component: Block, value: Any) -> Any:
    """The value as the browser holds it, which for a drawn text differs from the handler's."""
    return component.postprocess(value) if isinstance(component, gr.HTML) else value


def _split_proposals(updates: Updates, names: set[str]) -> tuple[Updates, dict[str, Any]]:
    """(what is applied at once, the values that are proposed for the fields `names`)."""
    now, proposed = dict(updates), {}
    if "__type__" in updates:  # gr.skip()
        return {}, {}
    for name in names & updates.keys():
        update = now.pop(name)
        if not (isinstance(update, dict) and "__type__" in update):
            proposed[name] = update
            continue
        if "value" in update:
            proposed[name] = update["value"]
        if properties := {key: value for key, value in update.items() if key not in ("value", "__type__")}:
            now[name] = gr.update(**properties)
    return now, proposed
