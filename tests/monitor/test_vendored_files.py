import hashlib
import re
from pathlib import Path

STATIC = Path(__file__).parents[2] / "monitor" / "static"
VENDOR = STATIC / "vendor"


def recorded() -> dict[str, str]:
    lines = (VENDOR / "SHA256SUMS").read_text().splitlines()
    return {name.removeprefix("./"): digest for digest, name in (line.split() for line in lines)}


def test_each_file_from_others_is_the_one_that_was_recorded() -> None:
    present = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    assert present == recorded()


def test_each_part_from_others_comes_with_its_licence_and_origin() -> None:
    for folder in (path for path in VENDOR.iterdir() if path.is_dir()):
        assert {"LICENSE", "ORIGIN"} <= {path.name for path in folder.iterdir()}


def test_no_script_of_ours_parses_text_as_html_or_names_another_host() -> None:
    for path in (STATIC / "js").glob("*.js"):
        text = path.read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(", text
        ), path
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
