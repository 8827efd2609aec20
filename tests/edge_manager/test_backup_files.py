"""The file that a backup is, without a site: damage, hostile names, keys, databases copied while they are written."""

import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from edge_manager.backup.archive import (
    ABOUT,
    FORMAT,
    MANIFEST,
    About,
    ArchiveError,
    ArchiveWriter,
    Manifest,
    checked_name,
    unpack,
    verify,
)
from edge_manager.backup.command import app
from edge_manager.backup.encryption import (
    LockError,
    Passphrase,
    Recipients,
    new_key,
    read_passphrase,
    sealed,
)
from edge_manager.backup.operations import BackupError, Opener, back_up, check, restore
from edge_manager.backup.places import PlaceError, clear, collect, held, place
from edge_manager.backup.site_files import SiteFile
from edge_manager.backup.site_stack import SiteStack
from testbed.process import REPOSITORY
from testbed.small_volume import SmallVolume
from testbed.waiting import wait_until

THEN = About(format=FORMAT, made_at="2026-11-27T12:00:00.000Z", fanwatch="0.1.0", host="nuc")
PASSPHRASE = Passphrase("correct horse battery")


def tar_of(members: list[tuple[tarfile.TarInfo, bytes]]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(mode="w", fileobj=out) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    out.seek(0)
    return out


def member(
    name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    return info, content if kind == tarfile.REGTYPE else b""


def written(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with ArchiveWriter(out, THEN) as archive:
        archive.add_tar("kept", tar_of([member(name, content) for name, content in files.items()]))
        archive.finish()
    return out.getvalue()


WHOLE = written({"monitor/alarms.sqlite3": os.urandom(40_000), "models/fan/1/manifest.json": b"{}"})


def test_a_whole_archive_verifies_and_is_an_ordinary_tar() -> None:
    manifest = verify(io.BytesIO(WHOLE))
    assert manifest.about == THEN
    assert manifest.parts() == ["kept"]
    with tarfile.open(fileobj=io.BytesIO(WHOLE)) as archive:
        assert archive.getnames() == [
            ABOUT, "kept/monitor/alarms.sqlite3", "kept/models/fan/1/manifest.json", MANIFEST,
        ]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_changes_nothing_that_counts(at: int, by: int) -> None:
    """A tar has padding, times and modes that the digests do not cover: those may change, the files may not."""
    damaged = bytearray(WHOLE)
    damaged[at] ^= by
    try:
        manifest = verify(io.BytesIO(bytes(damaged)))
    except ArchiveError:
        return
    assert manifest.files == verify(io.BytesIO(WHOLE)).files


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(WHOLE) - 10_240 - 1))
def test_an_archive_cut_anywhere_is_refused(at: int) -> None:
    with pytest.raises(ArchiveError):
        verify(io.BytesIO(WHOLE[:at]))


def test_a_damaged_file_is_named_with_both_digests() -> None:
    at = WHOLE.index(b"{}", WHOLE.index(b"models/fan"))
    damaged = WHOLE[:at] + b"[]" + WHOLE[at + 2 :]
    with pytest.raises(
        ArchiveError, match=r"kept/models/fan/1/manifest\.json: is damaged: .* the manifest says 2 with"
    ):
        verify(io.BytesIO(damaged))


@pytest.mark.parametrize("name", ["/etc/passwd", "../out", "a/../../out", "a\\..\\b", "", "a\0b"])
def test_a_name_that_leads_out_is_refused(name: str) -> None:
    with pytest.raises(ArchiveError):
        checked_name(name)


HOSTILE = {
    "a name that climbs": member("monitor/../../../etc/cron.d/x"),
    "an absolute name": member("/etc/cron.d/x"),
    "a symbolic link": member("monitor/link", kind=tarfile.SYMTYPE, link="/etc"),
    "a hard link": member("monitor/link", kind=tarfile.LNKTYPE, link="../../etc/shadow"),
    "a device": member("monitor/sda", kind=tarfile.BLKTYPE),
    "a pipe": member("monitor/pipe", kind=tarfile.FIFOTYPE),
    "a place that is none": member("elsewhere/file"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_member_is_refused_by_who_places_it_too_and_nothing_lands_outside(
    what: str, tmp_path: Path
) -> None:
    (tmp_path / "kept" / "monitor").mkdir(parents=True)
    with pytest.raises(PlaceError):
        place(tmp_path / "kept", tar_of([HOSTILE[what]]), own=lambda *_: None)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["kept", "monitor"]


@pytest.mark.parametrize("what", [name for name in HOSTILE if "place" not in name])
def test_a_hostile_archive_is_refused_when_it_is_verified(what: str) -> None:
    info, content = HOSTILE[what]
    info = info.replace(name=info.name if info.name.startswith("/") else f"kept/{info.name}")
    about = THEN.model_dump_json().encode()
    with pytest.raises(ArchiveError):
        verify(tar_of([member(ABOUT, about), (info, content)]))


def test_what_is_no_backup_or_of_a_later_format_gets_a_sentence() -> None:
    with pytest.raises(ArchiveError, match="cut short or no tar"):
        verify(io.BytesIO(b"not a tar at all" * 100))
    with pytest.raises(ArchiveError, match="this is no backup of Fanwatch"):
        verify(tar_of([member("holiday.jpg"), member("b.jpg")]))
    later = Manifest(about=THEN.model_copy(update={"format": 2}), files={})
    with pytest.raises(
        ArchiveError, match=r"it has format 2, made by Fanwatch 0\.1\.0; this one reads up to 1"
    ):
        verify(tar_of([member(MANIFEST, later.model_dump_json().encode())]))


def test_what_changes_between_verifying_and_using_is_noticed() -> None:
    manifest = verify(io.BytesIO(WHOLE))
    other = written({"monitor/alarms.sqlite3": b"exchanged", "models/fan/1/manifest.json": b"{}"})

    @contextmanager
    def sink() -> Iterator[IO[bytes]]:
        yield io.BytesIO()

    with pytest.raises(ArchiveError, match="is not what it was a moment ago"):
        unpack(io.BytesIO(other), manifest, {"kept": sink})


# -- keys ------------------------------------------------------------------------------------------


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    for name in ("ours", "other"):
        secret, public = new_key()
        (tmp_path / name).write_text(f"# a comment\n{secret}\n")
        (tmp_path / f"{name}.pub").write_text(f"{public}\n")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "ssh")], check=True, timeout=30
    )
    return tmp_path


def lock(keys: Path, how: str) -> Recipients | Passphrase:
    return PASSPHRASE if how == "passphrase" else Recipients(keys / f"{how}.pub")


def sealed_file(keys: Path, how: str) -> Path:
    file = keys / "backup"
    with file.open("wb") as out, sealed(out, lock(keys, how)) as stream:
        stream.write(WHOLE)
    return file


def read(keys: Path, file: Path, how: str) -> Manifest:
    key = None if how == "passphrase" else keys / how
    return check(file, Opener(key, PASSPHRASE if how == "passphrase" else None))


@pytest.mark.parametrize("how", ["ours", "ssh", "passphrase"])
def test_what_is_encrypted_shows_nothing_and_opens_again(keys: Path, how: str) -> None:
    file = sealed_file(keys, how)
    assert b"alarms.sqlite3" not in file.read_bytes()
    assert read(keys, file, how).about == THEN


@pytest.mark.parametrize(
    "damage", ["a changed byte", "cut in the middle", "its last byte cut", "more behind it"]
)
def test_a_damaged_encrypted_file_is_refused(keys: Path, damage: str) -> None:
    file = sealed_file(keys, "ours")
    content = bytearray(file.read_bytes())
    if damage == "a changed byte":
        content[len(content) // 2] ^= 1
    elif damage == "cut in the middle":
        del content[len(content) // 2 :]
    elif damage == "its last byte cut":
        del content[-1]
    else:
        content += b"more"
    file.write_bytes(content)
    with pytest.raises((LockError, ArchiveError), match=r"damaged|cut short"):
        read(keys, file, "ours")


def test_another_key_or_passphrase_or_none_gets_one_sentence(keys: Path) -> None:
    file = sealed_file(keys, "ours")
    with pytest.raises(LockError, match="was encrypted for another key than this one"):
        check(file, Opener(keys / "other"))
    with pytest.raises(LockError, match="is encrypted; give the secret key with --key"):
        check(file, Opener())
    with pytest.raises(LockError, match="holds no secret key; expected the file of"):
        check(file, Opener(keys / "ours.pub"))
    file = sealed_file(keys, "passphrase")
    with pytest.raises(LockError, match="another passphrase, or a damaged file"):
        check(file, Opener(passphrase=Passphrase("another passphrase")))
    with pytest.raises(LockError, match="give it with --passphrase-file"):
        check(file, Opener(keys / "ours"))


def test_a_file_without_keys_and_a_short_passphrase_are_refused(keys: Path) -> None:
    (keys / "empty").write_text("# nothing\n")
    with pytest.raises(LockError, match="holds no key"):
        Recipients(keys / "empty")
    (keys / "wrong").write_text("age1wrong\n")
    with pytest.raises(LockError, match="a line is no key"):
        Recipients(keys / "wrong")
    (keys / "short").write_text("hunter2\n")
    with pytest.raises(LockError, match="12 characters or more"):
        read_passphrase(keys / "short")


def test_keygen_makes_a_pair_and_never_replaces_one(tmp_path: Path) -> None:
    runner = CliRunner()
    answer = runner.invoke(app, ["keygen", "--out", str(tmp_path / "site.key")])
    assert answer.exit_code == 0
    secret = (tmp_path / "site.key").read_text()
    assert secret.startswith("AGE-SECRET-KEY-1")
    assert secret.strip() not in answer.output
    assert (tmp_path / "site.key").stat().st_mode & 0o777 == 0o600
    assert Recipients(tmp_path / "site.key.pub").keys
    assert runner.invoke(app, ["keygen", "--out", str(tmp_path / "site.key")]).exit_code == 1
    assert (tmp_path / "site.key").read_text() == secret


# -- volumes -----------------------------------------------------------------------------------------


WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
n = 0
while True:
    database.executescript(f'BEGIN; INSERT INTO a VALUES ({n}); INSERT INTO b VALUES ({n}); COMMIT;')
    n += 1
    if n == 100: print('writes', flush=True)
"""


def rows_in(file: Path) -> int:
    with closing(sqlite3.connect(file)) as database:
        [[count]] = database.execute("SELECT count(*) FROM a").fetchall()
    return int(count)


def test_a_database_is_copied_as_one_committed_state_while_somebody_writes_it(tmp_path: Path) -> None:
    """Two tables that are always equal, written without a pause by another process, in the monitor's mode."""
    kept = tmp_path / "kept"
    (kept / "monitor").mkdir(parents=True)
    file = kept / "monitor" / "alarms.sqlite3"
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.executescript("CREATE TABLE a (n); CREATE TABLE b (n);")
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writes\n"
        counts = []
        for number in range(5):
            out = io.BytesIO()
            collect(kept, out)
            out.seek(0)
            into = tmp_path / f"copy{number}"
            (into / "monitor").mkdir(parents=True)
            assert place(into, out, own=lambda *_: None) == 1, "the database alone: no journal, no snapshot"
            with closing(sqlite3.connect(into / "monitor" / "alarms.sqlite3")) as copy:
                [[of_a, of_b, verdict]] = copy.execute(
                    "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b), (SELECT * FROM pragma_quick_check)"
                ).fetchall()
            assert of_a == of_b
            assert verdict == "ok"
            counts.append(of_a)
            wait_until(lambda: rows_in(file) > counts[-1], within_s=30, what="another row of the writer")
        assert counts == sorted(set(counts)), "it was written meanwhile, and each copy is newer"
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()  # type: ignore[union-attr]


def test_modes_come_back_and_what_is_temporary_or_a_link_is_left_out(tmp_path: Path) -> None:
    kept, into = tmp_path / "kept", tmp_path / "into"
    folder = kept / "secrets" / "monitor"
    folder.mkdir(parents=True)
    (folder / "fanwatch_mqtt_password").write_text("secret")
    (folder / "fanwatch_mqtt_password").chmod(0o400)
    (folder / ".new-abc").write_text("half")
    (folder / "link").symlink_to("/etc/passwd")
    folder.chmod(0o700)
    said: list[str] = []
    out = io.BytesIO()
    collect(kept, out, said.append)
    (into / "secrets" / "monitor").mkdir(parents=True)
    out.seek(0)
    owners: dict[str, tuple[int, int]] = {}
    place(into, out, own=lambda path, uid, gid: owners.__setitem__(path.name, (uid, gid)))
    restored = into / "secrets" / "monitor"
    assert [path.name for path in restored.iterdir()] == ["fanwatch_mqtt_password"]
    assert (restored / "fanwatch_mqtt_password").stat().st_mode & 0o777 == 0o400
    assert restored.stat().st_mode & 0o777 == 0o700
    assert owners == {
        "monitor": (os.getuid(), os.getgid()),
        "fanwatch_mqtt_password": (os.getuid(), os.getgid()),
    }
    assert [line for line in said if "link" in line]


def test_the_brokers_queue_comes_first_and_influxdbs_files_not_at_all(tmp_path: Path) -> None:
    for name in ("grafana", "influxdb", "models", "mosquitto"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    out = io.BytesIO()
    collect(tmp_path, out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
        files = [each.name for each in archive if each.isreg()]
        archive_names = archive.getnames()
    assert files == ["mosquitto/file", "grafana/file", "models/file"]
    assert "influxdb" in archive_names, "its folder alone, so that it belongs to InfluxDB again"


def test_held_names_what_is_not_empty_and_clear_empties_and_keeps_the_mounts(tmp_path: Path) -> None:
    for name in ("influxdb", "models", "secrets/monitor", "secrets/operator"):
        (tmp_path / name).mkdir(parents=True)
    assert held(tmp_path) == []
    (tmp_path / "influxdb" / "data").mkdir()
    (tmp_path / "influxdb" / "data" / "file").write_text("x")
    (tmp_path / "secrets" / "operator" / "influxdb_admin").write_text("x")
    assert held(tmp_path) == ["influxdb", "secrets/operator"]
    clear(tmp_path)
    assert held(tmp_path) == []
    assert (tmp_path / "secrets" / "operator").is_dir()


def test_a_damaged_database_stops_the_backup_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "monitor").mkdir()
    file = tmp_path / "monitor" / "alarms.sqlite3"
    with closing(sqlite3.connect(file)) as database:
        database.executescript("CREATE TABLE a (n); INSERT INTO a VALUES (1);")
    content = bytearray(file.read_bytes())
    content[100:4000] = bytes(3900)
    file.write_bytes(content)
    with pytest.raises(PlaceError, match=r"alarms\.sqlite3"):
        collect(tmp_path, io.BytesIO())


def test_a_copy_never_brings_the_volume_near_where_the_broker_ends_itself(tmp_path: Path) -> None:
    with SmallVolume(tmp_path / "kept", 20) as volume:
        (volume.folder / "mosquitto").mkdir()
        with closing(sqlite3.connect(volume.folder / "mosquitto" / "mosquitto.sqlite3")) as database:
            database.execute("CREATE TABLE a (n)")
            database.execute("INSERT INTO a VALUES (zeroblob(5000000))")
            database.commit()
        collect(volume.folder, io.BytesIO())
        volume.fill(0.7)
        with pytest.raises(PlaceError, match=r"no room for a copy of 5 MB.*make room"):
            collect(volume.folder, io.BytesIO())


# -- a site that fails ---------------------------------------------------------------------------------


class FailingSite(SiteStack):
    """A site whose commands are what a test says."""

    def __init__(
        self, collect: str = "true", database: str = "true", held: str = "[]", clear: str = "true"
    ) -> None:
        self._scripts = {
            "collect": collect,
            "held": f"echo '{held}'",
            "place": "cat >/dev/null",
            "clear": clear,
        }
        self.folder = REPOSITORY
        self._database = database
        self.stopped = 0
        self.files: dict[str, Path] = {}

    def images(self) -> dict[str, str]:
        return {}

    def site_files(self) -> dict[str, SiteFile]:
        return {name: SiteFile(path, path) for name, path in self.files.items()}

    def places(self, verb: str) -> list[str]:
        return ["sh", "-c", self._scripts[verb]]

    def database(self, script: str) -> list[str]:  # noqa: ARG002 - the interface's
        return ["sh", "-c", self._database]

    def running(self) -> list[str]:
        return []

    def stop(self) -> None:
        self.stopped += 1

    def start_database(self) -> None:
        pass


EMPTY_TAR = (
    f"{sys.executable} -c \"import sys, tarfile; tarfile.open(mode='w|', fileobj=sys.stdout.buffer).close()\""
)


@pytest.mark.parametrize(
    ("site", "sentence"),
    [
        (FailingSite(collect="echo 'error: no room' >&2; exit 1"), "could not be copied: no room"),
        (
            FailingSite(EMPTY_TAR, "echo 'database not found' >&2; exit 3"),
            "history in InfluxDB could not be copied: database",
        ),
        (FailingSite(f"{EMPTY_TAR}; echo broke >&2; exit 1"), "could not be copied: broke"),
    ],
)
def test_a_backup_of_which_a_part_fails_says_which_and_leaves_no_file(
    site: FailingSite, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match=sentence):
        back_up(site, tmp_path / "x.backup", None, datetime.now(UTC))
    assert list(tmp_path.iterdir()) == []


def test_a_backup_never_replaces_another_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    site = FailingSite(EMPTY_TAR, EMPTY_TAR)
    back_up(site, tmp_path / "x.backup", None, datetime.now(UTC))
    assert (tmp_path / "x.backup").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / "x.backup").read_bytes()
    with pytest.raises(BackupError, match="never replaces another"):
        back_up(site, tmp_path / "x.backup", None, datetime.now(UTC))
    assert (tmp_path / "x.backup").read_bytes() == before


def test_a_restore_with_a_damaged_file_or_data_in_the_way_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "x.backup"
    file.write_bytes(WHOLE[: len(WHOLE) // 2])
    site = FailingSite()
    with pytest.raises(ArchiveError, match="cut short"):
        restore(site, file, Opener(), overwrite=True)
    file.write_bytes(WHOLE)
    site = FailingSite(held='["monitor"]')
    with pytest.raises(BackupError, match=r"has data already \(monitor\), and nothing was changed"):
        restore(site, file, Opener(), overwrite=False)
    assert site.stopped == 0


def test_the_sites_own_files_come_back_where_this_machine_has_none_of_its_own(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    (there / ".env").write_text("FANWATCH_BIND=0.0.0.0\n")
    site = FailingSite(EMPTY_TAR, EMPTY_TAR)
    site.files = {"env": there / ".env"}
    back_up(site, tmp_path / "x.backup", None, datetime.now(UTC))
    other = FailingSite(database="cat >/dev/null")
    other.files = {"env": here / ".env"}
    restore(other, tmp_path / "x.backup", Opener(), overwrite=False)
    assert (here / ".env").read_text() == "FANWATCH_BIND=0.0.0.0\n"
    (here / ".env").write_text("FANWATCH_BIND=10.0.0.7\n")
    said: list[str] = []
    restore(other, tmp_path / "x.backup", Opener(), overwrite=False, say=said.append)
    assert (here / ".env").read_text() == "FANWATCH_BIND=10.0.0.7\n", "a machine's own stays"
    assert [line for line in said if "stays as it is on this machine" in line]
    (here / ".env").unlink()
    full = FailingSite(held='["monitor"]')
    full.files = other.files
    with pytest.raises(BackupError, match="nothing was changed"):
        restore(full, tmp_path / "x.backup", Opener(), overwrite=False)
    assert not (here / ".env").exists()


def test_a_restore_that_fails_half_way_says_that_the_site_is_not_whole(tmp_path: Path) -> None:
    site = FailingSite(EMPTY_TAR, f"{EMPTY_TAR}")
    file = tmp_path / "x.backup"
    out = io.BytesIO()
    with ArchiveWriter(out, THEN) as archive:
        archive.add_tar("influxdb", tar_of([member("x.manifest")]))
        archive.finish()
    file.write_bytes(out.getvalue())
    site = FailingSite(
        database="cat >/dev/null; echo 'error updating meta: database already exists' >&2; exit 1"
    )
    with pytest.raises(
        BackupError, match=r"database already exists.*half restored.*--overwrite-existing-data"
    ):
        restore(site, file, Opener(), overwrite=False)
    assert site.stopped == 2


def test_a_site_that_could_not_be_emptied_is_not_whole_either(tmp_path: Path) -> None:
    (tmp_path / "x.backup").write_bytes(WHOLE)
    site = FailingSite(held='["monitor"]', clear="echo 'error: monitor: is busy' >&2; exit 1")
    with pytest.raises(
        BackupError, match=r"failed: monitor: is busy\. The site is half restored: do not start it"
    ):
        restore(site, tmp_path / "x.backup", Opener(), overwrite=True)


def test_the_commands_say_a_mistake_in_one_line(tmp_path: Path) -> None:
    runner = CliRunner()
    answer = runner.invoke(app, ["restore", str(tmp_path / "none"), "--check"])
    assert answer.exit_code == 1
    assert "No such file" in answer.stderr
    (tmp_path / "x.backup").write_bytes(WHOLE)
    answer = runner.invoke(app, ["restore", str(tmp_path / "x.backup"), "--check", "--json"])
    assert json.loads(answer.stdout)["parts"] == ["kept"]
    (tmp_path / "p").write_text("long enough passphrase")
    arguments = [
        "backup",
        "--out",
        str(tmp_path / "y"),
        "--key",
        "a",
        "--passphrase-file",
        str(tmp_path / "p"),
    ]
    assert "expected --key or --passphrase-file, not both" in runner.invoke(app, arguments).stderr


def test_without_docker_a_backup_says_so(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").touch()
    answer = subprocess.run(
        [sys.executable, "-m", "fanwatch.cli", "backup", "--out", str(tmp_path / "x")],
        env={"PATH": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode == 1
    assert "Docker is not installed" in answer.stderr
    assert "Traceback" not in answer.stderr
