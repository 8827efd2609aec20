"""Secrets on disk: whole or not at all, owned by their reader, never overwritten."""

import fcntl
import os
from pathlib import Path

import pytest

from edge_manager.site.credentials import CREDENTIALS, Account, make_missing, password_of, passwords_of
from edge_manager.site.secret_store import Reader, SecretStore

READER = Reader("reader", 1234, 5678)


class Owners:
    """Takes the place of os.chown, which only root may call, and remembers."""

    def __init__(self) -> None:
        self.of: dict[str, tuple[int, int]] = {}

    def __call__(self, path: Path, uid: int, gid: int) -> None:
        self.of[path.name] = (uid, gid)


def _store(root: Path) -> SecretStore:
    return SecretStore(root, change_owner=Owners())


def test_a_new_secret_can_be_read_by_its_reader_alone(tmp_path: Path) -> None:
    owners = Owners()
    store = SecretStore(tmp_path, change_owner=owners)
    store.write_new(READER, "key", "value")
    path = store.path(READER, "key")
    assert path.stat().st_mode & 0o777 == 0o400
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert set(owners.of.values()) == {(1234, 5678)}
    # Telegraf takes a line end for a part of the secret.
    assert path.read_bytes() == b"value"


def test_a_secret_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.write_new(READER, "key", "first")
    with pytest.raises(FileExistsError):
        store.write_new(READER, "key", "second")
    assert store.read(READER, "key") == "first"
    assert [file.name for file in (tmp_path / "reader").iterdir()] == ["key"]


def test_a_secret_that_a_person_wrote_with_an_editor_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "reader").mkdir()
    (tmp_path / "reader" / "key").write_text("by hand\n")
    assert _store(tmp_path).read(READER, "key") == "by hand"


def test_replacing_says_whether_anything_changed(tmp_path: Path) -> None:
    store = _store(tmp_path)
    assert store.replace(READER, "made", "one")
    assert not store.replace(READER, "made", "one")
    assert store.replace(READER, "made", "two")
    assert store.read(READER, "made") == "two"


def test_what_is_missing_is_made_and_the_rest_stays(tmp_path: Path) -> None:
    store = _store(tmp_path)
    assert make_missing(store) == list(CREDENTIALS)
    before = {name: password_of(store, credential) for name, credential in CREDENTIALS.items()}
    assert len(set(before.values())) == len(before)
    lost = CREDENTIALS["mqtt-predictor"]
    store.path(lost.reader, lost.file).unlink()
    assert make_missing(store) == ["mqtt-predictor"]
    after = {name: password_of(store, credential) for name, credential in CREDENTIALS.items()}
    assert {name for name in before if before[name] != after[name]} == {"mqtt-predictor"}


def test_every_user_of_an_account_has_a_password(tmp_path: Path) -> None:
    store = _store(tmp_path)
    with pytest.raises(LookupError, match="run setup first"):
        passwords_of(store, Account.MQTT)
    make_missing(store)
    services = {"simulator", "predictor", "monitor", "drift", "telegraf", "gateway", "legacy", "probe"}
    assert set(passwords_of(store, Account.MQTT)) == services
    assert set(passwords_of(store, Account.INFLUXDB)) == {"admin", "telegraf", "grafana", "history"}


def test_no_two_secrets_share_a_file() -> None:
    homes = [(credential.reader.name, credential.file) for credential in CREDENTIALS.values()]
    assert len(set(homes)) == len(homes)


def test_of_two_changes_at_one_time_the_second_waits(tmp_path: Path) -> None:
    store = _store(tmp_path)

    def is_free() -> bool:
        handle = os.open(tmp_path / "reader", os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(handle)
        return True

    with store.locked(READER):
        assert not is_free()
    assert is_free()
