"""The running stack tells no secret: not in a process listing, not in an environment, not in a log."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from testbed.influxdb import InfluxDB
from testbed.mosquitto import Mosquitto
from testbed.process import ServerProcess
from testbed.services import Inference, Monitor, Predictor, Simulator
from testbed.site import Site
from testbed.telegraf import Telegraf


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="module")
def servers(site: Site) -> Iterator[list[ServerProcess]]:
    with (
        Mosquitto(site) as mosquitto,
        InfluxDB(site) as influxdb,
        Inference(site) as inference,
    ):
        influxdb.prepare()
        with (
            Telegraf(mosquitto, influxdb) as telegraf,
            Predictor(mosquitto, inference.url) as predictor,
            Monitor(mosquitto, inference.url) as monitor,
            Simulator(mosquitto, fans=1, rate=5, seed=1) as simulator,
        ):
            # Somebody who fails to sign in is what a log speaks of.
            with pytest.raises(ConnectionRefusedError):
                mosquitto.connect("predictor", "wrong")
            yield [mosquitto, influxdb, inference, telegraf, predictor, monitor, simulator]


def secrets_of(site: Site) -> dict[bytes, str]:
    """Every line of every secret file that is long enough to be one, and where it stands."""
    return {
        line.strip(): str(file.relative_to(site.folder))
        for file in (site.folder / "secrets").rglob("*")
        if file.is_file() and not file.name.endswith("_acl")
        for line in file.read_bytes().splitlines()
        if len(line.strip()) >= 20 and not line.startswith((b"-----", b"#"))
    }


def told(secrets: dict[bytes, str], text: bytes) -> list[str]:
    return [place for secret, place in secrets.items() if secret in text]


def test_no_secret_stands_in_a_command_line_an_environment_or_a_log(
    site: Site, servers: list[ServerProcess]
) -> None:
    secrets = secrets_of(site)
    assert len(secrets) > 15
    for server in servers:
        main = psutil.Process(server.pid)
        for process in (main, *main.children(recursive=True)):
            folder = Path(f"/proc/{process.pid}")
            for name in ("cmdline", "environ"):
                content = (folder / name).read_bytes()
                assert name == "environ" or content
                assert told(secrets, content) == [], (server.name, name)
        log = server.log_file.read_bytes()
        assert told(secrets, log) == [], server.log_file
    # It would be found: this is the file that the predictor itself reads.
    [password] = [secret for secret in secrets if secret.decode() == site.mqtt_password("predictor")]
    assert told(secrets, b"a" + password + b"b")
