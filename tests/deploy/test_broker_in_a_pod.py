"""The broker where Kubernetes has mounted its Secret: each file is a link to a link (AtomicWriter of the kubelet)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.chart import folder_of, pod_of, rendered
from testbed.mosquitto import Mosquitto
from testbed.pod_files import mount, variables_of
from testbed.site import Site


class InAPod(Mosquitto):
    """With the variables of the chart's container."""

    def __init__(self, site: Site, variables: dict[str, str]) -> None:
        super().__init__(site)
        self._variables = variables

    def environment(self) -> dict[str, str]:
        return super().environment() | self._variables


def mounted_as_kubernetes_does(folder: Path) -> None:
    files = folder_of(folder)
    for name in files:
        (folder / name).unlink()
    mount(folder, files)


@pytest.fixture
def site(new_site: Callable[[], Site]) -> Site:
    made = new_site()
    mounted_as_kubernetes_does(made.secrets_of("mosquitto"))
    return made


def test_the_broker_opens_the_files_of_a_mounted_secret(site: Site) -> None:
    with InAPod(site, variables_of(pod_of(rendered("values.yaml"), "mosquitto"))) as broker:
        broker.connect("monitor").close()


def test_without_the_charts_variable_it_does_not_start(site: Site) -> None:
    broker = InAPod(site, {}).start(wait=False)
    assert broker.wait_ended() != 0
    assert "mosquitto_passwords" in broker.log()
