"""One plant for all tests of this folder that only read."""

from collections.abc import Iterator

import pytest

from testbed.influxdb import InfluxDB
from testbed.site import Site
from tests.grafana.plant import running_plant


@pytest.fixture(scope="session")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    """The database of a plant with a past; one fan is broken, one has fallen silent."""
    with running_plant(Site(tmp_path_factory.mktemp("plant"))) as database:
        yield database
