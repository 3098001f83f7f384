"""axe-core on a page, once: all rules as the page stands, contrast in the other colours, and no window too narrow."""

from pathlib import Path

from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules/axe-core/axe.min.js"
SIZES = {"wide": (1440, 900), "phone": (390, 844)}
SETTLED = """async () => {
  await document.fonts.ready;
  for (let frame = 0; frame < 5; frame++) await new Promise(requestAnimationFrame);
  const moving = () => document.getAnimations().find(
    one => one.playState === "running" && one.effect?.getComputedTiming().endTime < Infinity);
  for (let one = moving(); one; one = moving()) await one.finished.catch(() => null);
}"""
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"
AXE_RUN = """rules => axe.run(document, {resultTypes: ["violations"], ...(rules && {runOnly: rules})})
  .then(result => result.violations)"""


def settle(page: Page) -> None:
    """Waits until fonts are there and animations that have an end have ended."""
    page.evaluate(SETTLED)


def serious_violations(page: Page, rules: list[str] | None = None) -> list[str]:
    """Violations of serious or critical impact, one line each; `rules` limits what is checked."""
    settle(page)
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text())
    return [
        f"{violation['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for violation in page.evaluate(AXE_RUN, rules)
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"][:3]
    ]


def assert_accessible(page: Page) -> None:
    """All rules in the page's own size and colours, then contrast and width in the other ones; restores both."""
    assert serious_violations(page) == []
    size = page.viewport_size or {"width": 0, "height": 0}
    scheme = "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
    for width, height in sorted(SIZES.values(), key=lambda other: other[0] == size["width"]):
        page.set_viewport_size({"width": width, "height": height})
        if width != size["width"]:
            page.emulate_media(color_scheme="light" if scheme == "dark" else "dark")
            assert serious_violations(page, ["color-contrast"]) == []
        settle(page)
        assert page.evaluate(OVERFLOW) <= 0, f"the page scrolls sideways at a width of {width}"
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)  # type: ignore[arg-type]
    settle(page)
