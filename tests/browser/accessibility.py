"""What axe-core finds wrong with a page (Deque's engine, MPL 2.0; axe-playwright-python brings it and runs it)."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# WCAG 2.2 A and AA with all before it, and what axe's makers hold for good practice.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

TOO_SMALL = """() => [...document.querySelectorAll('a, button, select, input, textarea, summary, label.choice')]
  .filter((each) => each.checkVisibility() && !each.matches('.skip, [tabindex="-1"], .choice input'))
  .map((each) => [each, each.getBoundingClientRect()])
  .filter(([each, { width, height }]) => width > 0 && (width < 43.9 || height < 43.9)
    // What covers its whole tile is as large as that (its ::after catches the finger).
    && !each.matches('.tile-link'))
  .map(([each, { width, height }]) => `${each.outerHTML.slice(0, 90)} ${width.toFixed(0)}x${height.toFixed(0)}`)"""
"""Targets under 44 CSS pixels (WCAG 2.5.5): too small for a finger in a glove."""


def violations(page: Page) -> list[str]:
    """Each rule that is broken, with the elements that break it; none is what is wanted."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": _RULES}})
    return [
        f"{each['id']}: {[node['html'][:160] for node in each['nodes']][:4]}"
        for each in found.response["violations"]
    ]
