"""The broker's password file."""

import subprocess
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_manager.site.broker_users import hash_password, password_matches, update_password_file
from testbed.process import server_binary

SALT = bytes(range(64))
OTHER_SALT = bytes(64)


@settings(max_examples=20)
@given(st.text(min_size=1, max_size=80), st.binary(min_size=64, max_size=64))
def test_a_hash_matches_its_own_password_and_no_other(password: str, salt: bytes) -> None:
    stored = hash_password(password, salt)
    assert password_matches(password, stored)
    assert not password_matches(password + "x", stored)


def test_a_hash_that_mosquittos_own_tool_wrote_matches(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    command = [
        str(server_binary("mosquitto_passwd")),
        "-H",
        "sha512-pbkdf2",
        "-c",
        "-b",
        str(file),
        "ann",
        "secret",
    ]
    subprocess.run(command, check=True, capture_output=True)
    user, stored = file.read_text().strip().split(":")
    assert user == "ann"
    assert password_matches("secret", stored)
    assert not password_matches("Secret", stored)
    # The same shape, so the broker reads ours as it reads its own.
    assert [len(part) for part in hash_password("secret", SALT).split("$")] == [
        len(p) for p in stored.split("$")
    ]


def test_a_damaged_hash_matches_nothing() -> None:
    for stored in ("", "$7$", "$7$1000$!!$!!", "$7$ten$AAAA$AAAA", "$7$1000$AAAA", "plain"):
        assert not password_matches("secret", stored)


def test_a_missing_user_is_added_and_everything_else_stays() -> None:
    before = "# made by hand\nfan-7:$7$1000$AAAA$BBBB\n"
    after = update_password_file(before, {"probe": "secret"}, {"probe": SALT})
    assert after.startswith(before)
    assert password_matches("secret", after.splitlines()[-1].removeprefix("probe:"))


def test_a_line_that_fits_is_not_touched() -> None:
    text = update_password_file("", {"probe": "secret"}, {"probe": SALT})
    assert update_password_file(text, {"probe": "secret"}, {"probe": OTHER_SALT}) == text


def test_a_line_that_no_longer_fits_is_replaced_in_its_place() -> None:
    text = update_password_file("", {"a": "1", "b": "2"}, {"a": SALT, "b": SALT})
    after = update_password_file(text, {"a": "new", "b": "2"}, {"a": OTHER_SALT, "b": OTHER_SALT})
    assert after.splitlines()[1] == text.splitlines()[1]
    assert password_matches("new", after.splitlines()[0].removeprefix("a:"))


def test_a_hash_of_another_kind_is_left_to_whoever_made_it() -> None:
    text = "probe:$argon2id$v=19$m=512,t=4,p=1$c2FsdA$aGFzaA\n"
    assert update_password_file(text, {"probe": "secret"}, {"probe": SALT}) == text
