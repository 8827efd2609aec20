"""The documentation is true: what it names exists, what it promises has its test."""

import re
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = [
    REPOSITORY / "README.md",
    REPOSITORY / "CHANGELOG.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
README = (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_something_that_is_there(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text())
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", document.read_text())) <= targets


@pytest.mark.parametrize(
    ("document", "heading"),
    [
        ("README.md", "## What a bad input gets"),
        ("docs/live-page.md", "## What is refused, each with a test"),
    ],
)
def test_every_row_of_a_table_of_refusals_has_the_test_that_it_names(document: str, heading: str) -> None:
    section = (REPOSITORY / document).read_text().split(heading)[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    named = [re.findall(r"`(test_[a-z0-9_]+)`", row) for row in rows]
    assert all(named), "a row without a test"
    defined = {
        name
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert {name for names in named for name in names} - defined == set()


def test_the_ports_of_the_readme_are_those_that_compose_publishes() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    published = {port.split(":")[-2] for service in services.values() for port in service.get("ports", [])}
    section = README.split("**Run:**")[1].split("\n## ")[0]
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", section)) == published


def test_the_readmes_folder_table_names_every_room() -> None:
    rooms = {path.parent.name for path in REPOSITORY.glob("*/__init__.py") if path.parent.name != "tests"}
    section = README.split("## The way of one reading")[1].split("\n## ")[0]
    assert rooms - set(re.findall(r"\[(\w+)/\]", section)) == set()
