"""The setup container's commands for the broker's users: add, remove, rotate, users.

`fanwatch add` and the others call these in the container and tell the broker; whoever has Docker alone calls them as
`docker compose run --rm --no-deps -T setup add fan NAME`, on Kubernetes in the pod of the Job access (docs/k3s.md). The
broker's health check sees the change and reloads.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated

import structlog
import typer

from edge_manager.influxdb import InfluxDB, InfluxDBError
from edge_manager.settings import SetupSettings
from edge_manager.site.access import CERTIFICATE, Access, Granted, Rotated
from edge_manager.site.broker_access import BrokerUser, Kind, default_read
from edge_manager.site.certificates import Authority
from edge_manager.site.credentials import CREDENTIALS, OPERATOR, Account, new_password, passwords_of
from edge_manager.site.handout import Handout
from edge_manager.site.preparation import AUTHORITY_FILE, prepare_certificates, prepare_influxdb
from edge_manager.site.secret_store import SecretStore

__all__ = ["app"]

_RELOAD = "The broker takes it within ten seconds; at once: docker compose exec mosquitto sh -c 'kill -HUP 1'"
_RESTART = "Then the service must read it: docker compose restart {service}"
_RELOAD_IN_KUBERNETES = (
    "The broker takes it within two minutes, when Kubernetes has shown it the changed Secret."
)
_RESTART_IN_KUBERNETES = "Then its pods must read it: kubectl delete pod -l app.kubernetes.io/name={service}"
_ROTATABLE = {
    name: credential
    for name, credential in CREDENTIALS.items()
    if (credential.account is Account.INFLUXDB and credential.user != "admin") or name == "page-session"
}
"""Besides the broker's users: what a reader takes up by starting again."""
_ELSEWHERE = {
    "page": "on the live page, or with `fanwatch people password operator`",
    "grafana": "in Grafana, under Profile: it keeps the password itself after the first start",
    "grafana-secret-key": "not at all: what Grafana stored under it would be lost",
    "influxdb-admin": "in InfluxDB, as its admin, and then in the operator's volume",
}

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
add_app = typer.Typer(no_args_is_help=True, help="Lets a fan or a client in at the broker.")
app.add_typer(add_app, name="add")

Name = Annotated[str, typer.Argument(help="The user's name at the broker; a fan's deviceID.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]


@add_app.command()
def fan(name: Name, as_json: AsJson = False) -> None:
    """Lets a fan in, which may publish its own readings and nothing else."""
    with _site() as site:
        site.hand_out(site.access.add(BrokerUser(name, Kind.FAN)), as_json)


@add_app.command()
def client(
    name: Name,
    read: Annotated[
        list[str] | None, typer.Option(help="A topic that it may subscribe to; again for each.")
    ] = None,
    write: Annotated[
        list[str] | None, typer.Option(help="A topic that it may publish to; again for each.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Lets a program in; without topics it may read alarms and verdicts."""
    with _site() as site:
        reads = tuple(read or ()) if read or write else default_read(site.settings.acl_file.read_text())
        granted = site.access.add(BrokerUser(name, Kind.CLIENT, reads, tuple(write or ())))
        site.hand_out(granted, as_json)


@app.command()
def remove(name: Name, as_json: AsJson = False) -> None:
    """Takes a fan or a client out."""
    with _site() as site:
        listed = site.access.remove(name)
        if as_json:
            typer.echo(json.dumps({"removed": asdict(listed)}))
        else:
            typer.echo(f"{name} ({listed.kind}) cannot sign in any more.\n{site.reload}")


@app.command()
def rotate(
    name: Annotated[
        str,
        typer.Argument(help=f"A user of the broker, {CERTIFICATE}, or one of {', '.join(_ROTATABLE)}."),
    ],
    as_json: AsJson = False,
) -> None:
    """Gives a user another password, or the broker another certificate."""
    with _site() as site:
        if name in _ELSEWHERE:
            raise ValueError(f"{name} is not changed here: {_ELSEWHERE[name]}")
        if name == CERTIFICATE:
            prepare_certificates(site.store, site.settings.broker_names, datetime.now(UTC), renew=True)
            rotated = Rotated(None, None)
        elif name in _ROTATABLE:
            rotated = _rotate_file(site, name)
        else:
            rotated = site.access.rotate(name.removeprefix("mqtt-") if name in CREDENTIALS else name)
        handout = None if rotated.granted is None else site.handout(rotated.granted)
        if as_json:
            content = None if handout is None else asdict(handout)
            typer.echo(json.dumps({"handout": content, "restart": rotated.restart}))
            return
        if handout is not None:
            typer.echo(handout.to_text())
        typer.echo(site.reload)
        if rotated.restart is not None:
            typer.echo(site.restart.format(service=rotated.restart))


@app.command()
def users(as_json: AsJson = False) -> None:
    """Lists who may sign in at the broker, and what for."""
    with _site() as site:
        listed = site.access.users()
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in listed], indent=1))
        return
    for each in listed:
        topics = [*(f"reads {topic}" for topic in each.read), *(f"writes {topic}" for topic in each.write)]
        typer.echo(f"{each.name:24} {each.kind:14} {', '.join(topics)}".rstrip())


@dataclass(frozen=True)
class _Site:
    settings: SetupSettings
    store: SecretStore
    access: Access
    ca_certificate: str

    @property
    def reload(self) -> str:
        return _RELOAD_IN_KUBERNETES if self.settings.secrets_in_kubernetes else _RELOAD

    @property
    def restart(self) -> str:
        return _RESTART_IN_KUBERNETES if self.settings.secrets_in_kubernetes else _RESTART

    def handout(self, granted: Granted) -> Handout:
        return Handout.of(granted, self.settings.broker_names, self.ca_certificate)

    def hand_out(self, granted: Granted, as_json: bool) -> None:
        handout = self.handout(granted)
        typer.echo(handout.to_json() if as_json else f"{handout.to_text()}\n{self.reload}")


@contextmanager
def _site() -> Iterator[_Site]:
    """The site's files, nobody else's to change meanwhile. A mistake ends with a sentence."""
    # Standard output is for the answer.
    structlog.configure(
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    settings = SetupSettings()
    try:
        store = settings.open_store()
        with store.locked(OPERATOR):
            access = Access(store, settings.acl_file.read_text())
            yield _Site(settings, store, access, _ca_certificate(store))
    except (ValueError, LookupError, OSError, InfluxDBError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def _ca_certificate(store: SecretStore) -> str:
    authority = store.read(OPERATOR, AUTHORITY_FILE)
    if authority is None:
        raise LookupError("this site is not set up yet: start it first, or run setup")
    return Authority(authority).certificate


def _rotate_file(site: _Site, name: str) -> Rotated:
    credential = _ROTATABLE[name]
    site.store.replace(credential.reader, credential.file, new_password())
    if credential.account is Account.INFLUXDB:
        # Whatever fails from here on, the next setup makes the database's passwords those of the files.
        prepare_influxdb(
            lambda user, password: InfluxDB(str(site.settings.influxdb_url), user, password, wait_s=10),
            passwords_of(site.store, Account.INFLUXDB),
            site.settings.schema_dir,
            site.settings.retention_days,
        )
    return Rotated(None, credential.reader.name)
