"""A whole site of real servers: backed up while readings flow, destroyed, brought back on an empty machine."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from benchmarks.chaos.flow import BrokerAddress, Flow
from benchmarks.chaos.ledger import Key
from edge_manager.backup.encryption import Recipients, new_key
from edge_manager.backup.operations import BackupError, Opener, back_up, restore
from edge_manager.site.secret_store import SecretStore
from testbed.process import REPOSITORY
from testbed.readings import reading
from testbed.site import Site
from testbed.waiting import wait_until
from tests.edge_manager.kept_site import KeptSite
from tests.inference.model_versions import Signer, add_version

pytestmark = pytest.mark.timeout(240)

DEVICES = 20
WAITING = "waiting"
"""A device whose readings are in the broker's queue alone when the backup is made."""


class EmptySite(Site):
    """The folders of a machine on which nobody has run setup: the volumes that Compose makes."""

    def __init__(self, folder: Path, readers: list[str]) -> None:
        self.folder = folder
        self.store = SecretStore(folder / "secrets", change_owner=lambda *_: None)
        for reader in readers:
            (folder / "secrets" / reader).mkdir(parents=True)


def link_secrets(kept: KeptSite, site: Site) -> None:
    (kept.kept / "secrets").rmdir()
    (kept.kept / "secrets").symlink_to(site.folder / "secrets")


def stored(site: KeptSite, measurement: str) -> set[Key]:
    """Every reading that a measurement has: device and number."""
    rows = site.influxdb.query(f'SELECT "seq" FROM "fan"."raw"."{measurement}" GROUP BY "deviceID"')
    return {Key(row["deviceID"], int(row["seq"])) for row in rows}


def address(site: KeptSite) -> BrokerAddress:
    return BrokerAddress(
        site.broker.host, site.broker.port, "simulator", site.site.mqtt_password("simulator")
    )


class Before:
    """What was known of the site when its backup was made."""

    acknowledged: set[Key]
    alarm_id: int
    broken: str
    backup: Path
    secret_key: Path
    readers: list[str]


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, signer: Signer) -> Before:
    """A site lives, is backed up under load, and is destroyed."""
    folder, known = tmp_path_factory.mktemp("before"), Before()
    secret, public = new_key()
    known.secret_key, known.backup = folder / "key", folder / "site.backup"
    known.secret_key.write_text(secret)
    (folder / "key.pub").write_text(public)
    live = KeptSite(folder / "site", signer)
    for version in ("1", "2"):
        live.models.add(add_version(folder / "bundles", version, signer))
    live.models.use("1", "the first")
    live.models.use("2", "better")
    site = Site(folder / "servers")
    link_secrets(live, site)
    live.open(site)
    known.readers = sorted(path.name for path in (site.folder / "secrets").iterdir())
    try:
        live.start()
        add_person(live, "kim", "a long enough password")
        with Flow(address(live), "fan", 100) as flow:
            known.broken = flow.broken_device
            alarm = live.wait_alarm(known.broken)
            assert alarm.alarm_id is not None
            known.alarm_id = alarm.alarm_id
            live.telegraf.stop()
            live.predictor.stop()
            with live.broker.connect("simulator") as fan:
                fan.publish_all([(f"fan/messages/{WAITING}", reading(WAITING, seq=seq)) for seq in range(50)])
            known.acknowledged = set(flow.acknowledged)
            known.acknowledged |= {Key(WAITING, seq) for seq in range(50)}
            live.stack.before_database = live.telegraf.start
            back_up(live.stack, known.backup, Recipients(folder / "key.pub"), datetime.now(UTC))
            assert flow.acknowledged_count > len(known.acknowledged) - 50, "readings flowed meanwhile"
    finally:
        live.destroy()
    return known


def add_person(site: KeptSite, name: str, password: str) -> None:
    file = str(site.kept / "monitor" / "accounts.sqlite3")
    subprocess.run(
        [sys.executable, "-m", "monitor.login", "add", name, "--file", file],
        input=f"{password}\n",
        cwd=REPOSITORY,
        check=True,
        text=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, before: Before, signer: Signer) -> Iterator[KeptSite]:
    """Another machine, with nothing on it."""
    folder = tmp_path_factory.mktemp("after")
    other = KeptSite(folder / "site", signer)
    site = EmptySite(folder / "servers", before.readers)
    link_secrets(other, site)
    other.open(site)
    yield other
    other.close()


@pytest.fixture(scope="module")
def restored(empty: KeptSite, before: Before) -> KeptSite:
    """The site, brought back there and started."""
    restore(empty.stack, before.backup, Opener(before.secret_key), overwrite=False)
    assert empty.stack.running() == []
    empty.start()
    return empty


def test_every_reading_acknowledged_before_the_backup_is_in_it_with_its_verdict(
    restored: KeptSite, before: Before
) -> None:
    assert len(before.acknowledged) > 100
    for measurement in ("telemetry", "anomaly"):
        wait_until(
            lambda each=measurement: before.acknowledged <= stored(restored, each),  # type: ignore[misc]
            within_s=60,
            what=f"every reading in {measurement}",
        )


def test_the_alarm_that_stood_stands_again_under_its_number(restored: KeptSite, before: Before) -> None:
    with requests.get(f"{restored.monitor.url}/api/alarms", timeout=5) as answer:
        alarms = {alarm["device"]: alarm for alarm in answer.json()["alarms"]}
    assert alarms[before.broken]["id"] == before.alarm_id


def test_people_and_the_operator_sign_in_with_their_passwords_and_nobody_with_another(
    restored: KeptSite,
) -> None:
    assert restored.sign_in("kim", "a long enough password") == 302
    assert restored.sign_in("operator", restored.monitor.first_password) == 302
    assert restored.sign_in("kim", "another long password") != 302


def test_the_model_in_use_is_in_use_and_the_one_before_can_be_gone_back_to(restored: KeptSite) -> None:
    deployment = restored.models.deployment()
    assert deployment is not None
    assert (deployment.champion, deployment.previous, deployment.why) == ("2", "1", "better")
    assert requests.get(f"{restored.inference.url}/v2/models/fan", timeout=5).json()["versions"] == ["2"]


def test_new_readings_flow_through_the_whole_path(restored: KeptSite) -> None:
    with Flow(address(restored), "new", 50) as flow:
        wait_until(lambda: flow.acknowledged_count >= 200, within_s=30, what="200 readings")
        flow.pause()
        wait_until(flow.all_acknowledged, within_s=20, what="the last acknowledgement")
        sent = set(flow.acknowledged)
        wait_until(lambda: sent <= stored(restored, "anomaly"), within_s=30, what="their verdicts")


def test_a_second_restore_refuses_to_overwrite_what_is_there_and_changes_nothing(
    restored: KeptSite, before: Before
) -> None:
    count = len(stored(restored, "anomaly"))
    with pytest.raises(BackupError, match=r"has data already.*--overwrite-existing-data"):
        restore(restored.stack, before.backup, Opener(before.secret_key), overwrite=False)
    assert restored.monitor.running
    assert len(stored(restored, "anomaly")) >= count


def test_told_in_so_many_words_a_restore_throws_away_what_came_since(
    restored: KeptSite, before: Before
) -> None:
    with Flow(address(restored), "since", 50) as flow:
        wait_until(lambda: flow.acknowledged_count >= 50, within_s=30, what="50 readings")
        flow.pause()
        wait_until(flow.all_acknowledged, within_s=20, what="the last acknowledgement")
        wait_until(
            lambda: set(flow.acknowledged) <= stored(restored, "telemetry"), within_s=30, what="them stored"
        )
    restore(restored.stack, before.backup, Opener(before.secret_key), overwrite=True)
    restored.start()
    wait_until(
        lambda: before.acknowledged <= stored(restored, "anomaly"), within_s=60, what="what was in the backup"
    )
    assert not [key for key in stored(restored, "telemetry") if key.device.startswith("since")]
    assert restored.sign_in("kim", "a long enough password") == 302
