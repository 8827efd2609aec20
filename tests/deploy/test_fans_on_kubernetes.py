"""Letting a fan in on Kubernetes: setup changes the Secret, the kubelet shows it, the broker's probe reloads."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from edge_manager import settings
from edge_manager.commands import app
from edge_manager.site.kubernetes_secrets import KubernetesSecrets
from edge_manager.site.preparation import PASSWORD_FILE
from testbed.chart import folder_of, pod_of, rendered
from testbed.kubernetes_api import KubernetesApi
from testbed.mosquitto import Connection, Mosquitto
from testbed.pod_files import mount, variables_of
from testbed.site import ACL, Site
from testbed.waiting import wait_until

Command = Callable[..., str]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[KubernetesApi]:
    with KubernetesApi(tmp_path / "kubernetes") as server:
        yield server


class InAPod(Mosquitto):
    """The broker with the chart's variables, and its Secret as the kubelet mounts it."""

    def __init__(self, site: Site, api: KubernetesApi) -> None:
        super().__init__(site)
        self._api = api
        self._folder = site.secrets_of("mosquitto")
        for name in folder_of(self._folder):
            (self._folder / name).unlink()
        self.refresh()

    def refresh(self) -> None:
        """What the kubelet does within its minute, and the probe within ten seconds after."""
        mount(self._folder, self._api.held("secrets-mosquitto"))
        if self.running:
            assert self.check_health()

    def environment(self) -> dict[str, str]:
        return super().environment() | variables_of(pod_of(rendered("values.yaml"), "mosquitto"))


@pytest.fixture
def command(api: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """One command in a pod of the Job access, each time a new one."""
    url = f"https://127.0.0.1:{api.server_port}"
    monkeypatch.setattr(settings, "KubernetesSecrets", partial(KubernetesSecrets, url, api.account))
    pods = iter(range(100))

    def run(*words: str, code: int = 0) -> str:
        environment = {
            "FANWATCH_SECRETS_IN_KUBERNETES": "true",
            "FANWATCH_SECRETS_ROOT": str(tmp_path / f"pod{next(pods)}"),
            "FANWATCH_ACL_FILE": str(ACL),
            "FANWATCH_HOSTNAMES": "fans.plant.example",
        }
        result = CliRunner().invoke(app, list(words), env=environment)
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.stderr

    yield run
    # A command configures the log of its whole process, which here is that of the tests.
    structlog.reset_defaults()


@pytest.fixture
def broker(api: KubernetesApi, new_site: Callable[[], Site]) -> Iterator[InAPod]:
    """As after setup: the site's secrets are in Kubernetes."""
    site = new_site()
    for reader in site.folder.joinpath("secrets").iterdir():
        api.connect().create(f"secrets-{reader.name}", folder_of(reader))
    with InAPod(site, api) as server:
        # It reads everything again at its first look, whatever has changed.
        assert server.check_health()
        yield server


def sign_in(broker: Mosquitto, handout: dict[str, str]) -> Connection:
    return broker.connect(handout["user"], handout["password"])


def test_a_fan_that_is_let_in_signs_in_and_speaks_for_itself_alone_without_a_restart_of_the_broker(
    broker: InAPod, command: Command
) -> None:
    started = broker.pid
    handout = json.loads(command("add", "fan", "hall2-fan7", "--json"))
    assert handout["host"] == "fans.plant.example"
    broker.refresh()
    with broker.connect("predictor") as predictor, sign_in(broker, handout) as fan:
        predictor.subscribe("fan/messages/#")
        fan.publish("fan/messages/hall2-fan8", "as another one")
        fan.publish("fan/messages/hall2-fan7", "as itself")
        assert predictor.next().topic == "fan/messages/hall2-fan7"
    assert broker.pid == started


def test_a_fan_that_is_taken_out_is_cut_off(broker: InAPod, command: Command) -> None:
    handout = json.loads(command("add", "fan", "hall2-fan7", "--json"))
    broker.refresh()
    with sign_in(broker, handout) as fan:
        command("remove", "hall2-fan7")
        broker.refresh()
        wait_until(fan.disconnected.is_set, within_s=20, what="the end of the connection")
    with pytest.raises(ConnectionRefusedError):
        sign_in(broker, handout)


def test_a_new_password_lets_in_and_the_old_one_does_not(broker: InAPod, command: Command) -> None:
    old = json.loads(command("add", "fan", "hall2-fan7", "--json"))
    new = json.loads(command("rotate", "hall2-fan7", "--json"))["handout"]
    broker.refresh()
    sign_in(broker, new).close()
    with pytest.raises(ConnectionRefusedError):
        sign_in(broker, old)


def test_the_next_setup_keeps_whom_people_let_in(
    broker: InAPod, api: KubernetesApi, command: Command
) -> None:
    command("add", "fan", "hall2-fan7")
    before = api.held("secrets-mosquitto")
    # It ends where InfluxDB would come next, which is not here.
    unreachable = {"FANWATCH_INFLUXDB_URL": "http://127.0.0.1:9", "FANWATCH_INFLUXDB_WAIT_S": "0.1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in unreachable.items():
            patch.setenv(name, value)
        command("setup", code=1)
    assert api.held("secrets-mosquitto")[PASSWORD_FILE] == before[PASSWORD_FILE]
    assert "hall2-fan7" in command("users")


def test_what_is_to_be_done_next_is_said_in_the_words_of_kubernetes(broker: InAPod, command: Command) -> None:
    assert broker.running
    for said in (
        command("add", "fan", "hall2-fan7"),
        command("rotate", "predictor"),
        command("remove", "hall2-fan7"),
    ):
        assert "docker" not in said
        assert "within two minutes" in said
    assert "kubectl delete pod -l app.kubernetes.io/name=drift" in command("rotate", "drift")


def test_when_somebody_else_changed_the_secret_meanwhile_the_second_try_does_it(
    broker: InAPod, api: KubernetesApi, command: Command
) -> None:
    """Two people at once: who comes second is told so, and nothing of it is half done."""
    api.interfere_with = "secrets-mosquitto"
    assert "run this again" in command("add", "fan", "hall2-fan7", "--json", code=1)
    handout = json.loads(command("add", "fan", "hall2-fan7", "--json"))
    broker.refresh()
    sign_in(broker, handout).close()
