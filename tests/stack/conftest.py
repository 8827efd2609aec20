"""The services of the main path, between the real servers of tests/conftest.py."""

from collections.abc import Iterator

import pytest

from testbed.mosquitto import Mosquitto
from testbed.services import Inference, Predictor
from testbed.site import Site


@pytest.fixture(scope="session")
def inference(site: Site) -> Iterator[Inference]:
    with Inference(site) as service:
        yield service


@pytest.fixture(scope="session")
def predictor(mosquitto: Mosquitto, inference: Inference) -> Iterator[Predictor]:
    with Predictor(mosquitto, inference.url) as service:
        yield service
