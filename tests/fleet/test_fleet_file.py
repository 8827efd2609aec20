"""fleet.toml: what is taken, and what each mistake is told as."""

from pathlib import Path

import pytest

from edge_manager.fleet.fleet_file import FleetError, read_fleet

SITE = '[[sites]]\nname = "hall-1"\nssh = "edge@hall-1"\nfolder = "/srv/fanwatch"\n'


def read(folder: Path, text: str) -> Path:
    (folder / "fleet.toml").write_text(text)
    return folder / "fleet.toml"


def test_a_site_is_a_name_a_target_and_a_folder_and_the_first_is_the_canary(tmp_path: Path) -> None:
    fleet = read_fleet(
        read(tmp_path, 'public_keys = ["our.pub"]\n' + SITE + SITE.replace("hall-1", "hall-2"))
    )
    assert [site.name for site in fleet.sites] == ["hall-1", "hall-2"]
    assert fleet.canary_site.name == "hall-1"
    assert fleet.public_keys == (tmp_path / "our.pub",)
    assert fleet.model_command == "docker compose run --rm --no-deps -T model"
    assert [site.name for site in fleet.only(["hall-2"]).sites] == ["hall-2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "sites: Field required"),
        ("sites = [", "is no TOML"),
        (SITE + SITE, "site hall-1 is named twice"),
        ('canary = "hall-9"\n' + SITE, "the canary hall-9 is no site of this file; there are hall-1"),
        (SITE.replace("edge@hall-1", "-oProxyCommand=x"), "sites.0.ssh: String should match"),
        (SITE.replace("edge@hall-1", "edge@hall-1 -x"), "sites.0.ssh: String should match"),
        (SITE.replace("/srv/fanwatch", "srv"), "sites.0.folder: String should match"),
        (SITE.replace("/srv/fanwatch", "/srv\\nx"), "sites.0.folder: String should match"),
        (SITE + "port = 22\n", "sites.0.port: Extra inputs are not permitted"),
    ],
)
def test_each_mistake_is_a_sentence_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FleetError) as error:
        read_fleet(read(tmp_path, text))
    assert said in str(error.value)


def test_a_missing_file_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match=r"expected a list of sites, see docs/fleet\.md"):
        read_fleet(tmp_path / "fleet.toml")


def test_an_unknown_site_is_told_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="there is no site 'hall-9'; there are hall-1"):
        read_fleet(read(tmp_path, SITE)).only(["hall-9"])
