"""`fanwatch up --bundle` as people call it, as far as the engine."""

import re
from pathlib import Path

import pytest

from tests.edge_manager.test_device_commands import NO_ENGINE, fanwatch
from tests.inference.model_versions import Signer
from tests.installation.test_install import bundle_of


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--bundle", "site.fanwatch"), "Give --key FILE"),
        (("--bundle", "site.fanwatch", "--key", "k.pub", "--build"), "give one of the two"),
        (("--key", "k.pub"), "give --bundle FILE too"),
        (("--bundle", "none.fanwatch", "--key", "k.pub"), "none.fanwatch"),
    ],
    ids=["no key", "build too", "key alone", "no such file"],
)
def test_what_does_not_go_together_gets_a_sentence_and_writes_nothing(
    tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    done = fanwatch("up", *options, folder=tmp_path)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_a_stranger_has_signed_starts_nothing(tmp_path: Path) -> None:
    ours, stranger = (Signer.make(tmp_path / name) for name in ("ours", "stranger"))
    file = bundle_of(tmp_path, stranger)
    site = tmp_path / "site"
    site.mkdir()
    done = fanwatch("up", "--bundle", str(file), "--key", str(ours.public_key), folder=site)
    assert done.returncode == 1
    assert str(file) in done.stderr
    assert "sign" in done.stderr
    assert list(site.iterdir()) == []


def test_a_bundle_that_is_good_gets_as_far_as_the_engine(tmp_path: Path) -> None:
    signer = Signer.make(tmp_path / "keys")
    file = bundle_of(tmp_path, signer)
    site = tmp_path / "site"
    site.mkdir()
    done = fanwatch("up", "--bundle", str(file), "--key", str(signer.public_key), folder=site, **NO_ENGINE)
    assert done.returncode == 1
    assert re.match("error: (no Docker engine answers|Docker is not installed)", done.stderr)
