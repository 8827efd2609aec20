"""The real servers as fixtures, for every room's tests. They run the configuration that ships; testbed says how.

All are started once for the whole run (so a test uses deviceIDs of its own) and need testbed/install.sh first.
Nothing is started that no test asks for.

- ``site``: the secrets of each reader and the broker's users, made by the setup service's own code:
  ``site.mqtt_password("predictor")``, ``site.influxdb_password("grafana")``,
  ``site.secrets_of("predictor")`` (what FANWATCH_SECRETS_DIR of that service names).
- ``mosquitto``: ``.host``, ``.port``, ``.connect(user)`` (a signed-in client: publish,
  publish_all, subscribe, next; and settle, before a broker is killed).
- ``influxdb``: with users, database, policies and continuous queries: ``.url``, ``.token(user)``, ``.query(...)``,
  ``.points(measurement, device)``, ``.wait_points(...)``. Database "fan", bucket "fan/raw".
- ``telegraf``: between the two, ready (subscribed) when a test gets it.
- ``new_site``: makes further sites, for a test that wants servers of its own:
  ``with Mosquitto(new_site()) as broker, InfluxDB(broker.site) as database:``.

Each server has start(wait=True), stop(), kill() (SIGKILL), restart(killed=False), send(signal) and log(). A test that
stops a shared server starts it again, or better takes one of its own.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed.influxdb import InfluxDB
from testbed.mosquitto import Mosquitto
from testbed.site import Site
from testbed.telegraf import Telegraf


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def mosquitto(site: Site) -> Iterator[Mosquitto]:
    with Mosquitto(site) as server:
        yield server


@pytest.fixture(scope="session")
def influxdb(site: Site) -> Iterator[InfluxDB]:
    with InfluxDB(site) as server:
        server.prepare()
        yield server


@pytest.fixture(scope="session")
def telegraf(mosquitto: Mosquitto, influxdb: InfluxDB) -> Iterator[Telegraf]:
    with Telegraf(mosquitto, influxdb) as server:
        yield server


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[Callable[[], Site]]:
    made: list[Site] = []

    def make() -> Site:
        made.append(Site(tmp_path / f"site{len(made)}"))
        return made[-1]

    yield make
    # pytest keeps the folders of the last runs; the logs are worth that, a queue of 200 MB is not.
    for site in made:
        shutil.rmtree(site.folder / "mosquitto" / "data", ignore_errors=True)
