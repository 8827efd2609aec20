"""The way from a machine to its verdict, between the real servers of tests/conftest.py."""

from collections.abc import Iterator

import pytest

from testbed.mosquitto import Mosquitto
from testbed.services import Inference, Predictor
from testbed.site import Site


@pytest.fixture(scope="session")
def predictor(site: Site, mosquitto: Mosquitto) -> Iterator[Predictor]:
    with Inference(site) as inference, Predictor(mosquitto, inference.url) as service:
        yield service
