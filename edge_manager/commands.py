"""The commands of the edge manager. They wire; what they do lies in the modules that they call."""

import json
import logging
import signal
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import structlog
import typer
from prometheus_client import start_http_server

from edge_manager.history.heartbeat import Heartbeat
from edge_manager.history.metrics import HistoryMetrics
from edge_manager.history.service import History, HistoryState, health_problem
from edge_manager.influxdb import InfluxDB, InfluxDBError
from edge_manager.settings import HistorySettings, SetupSettings, secrets_dir
from edge_manager.site.certificates import Authority
from edge_manager.site.command import app as site_app
from edge_manager.site.credentials import (
    CREDENTIALS,
    GATEWAY,
    GIVEN,
    OPERATOR,
    Account,
    password_of,
    passwords_of,
)
from edge_manager.site.gateway_certificate import CERTIFICATE_FILE, prepare_gateway
from edge_manager.site.preparation import (
    AUTHORITY_FILE,
    prepare_broker,
    prepare_certificates,
    prepare_influxdb,
    prepare_secrets,
)
from edge_manager.statements import read_statements

__all__ = ["app"]

app = typer.Typer(
    help="Sets up a device and keeps it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


_CA = "ca"
_OPCUA_CERTIFICATE = "opcua-certificate"

app.add_typer(site_app)


def _configure_log() -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


@app.command()
def setup() -> None:
    """Makes what is missing of the secrets, the broker's users and InfluxDB's schema. Safe to run again."""
    _configure_log()
    settings = SetupSettings()
    try:
        store = settings.open_store()
        names = settings.broker_names
        with store.locked(OPERATOR):
            prepare_secrets(store)
            prepare_certificates(store, names, datetime.now(UTC))
            prepare_broker(store, settings.acl_file.read_text())
            prepare_gateway(store, datetime.now(UTC))
        prepare_influxdb(
            lambda user, password: InfluxDB(
                str(settings.influxdb_url), user, password, wait_s=settings.influxdb_wait_s
            ),
            passwords_of(store, Account.INFLUXDB),
            settings.schema_dir,
            settings.retention_days,
        )
    except (InfluxDBError, OSError, ValueError) as error:
        structlog.get_logger().error("setup failed", error=str(error))
        raise typer.Exit(1) from error
    typer.echo(
        f"Fanwatch is set up.\n"
        f"  live page  {settings.page_url}  (user operator)\n"
        f"  Grafana    {settings.grafana_url}  (user admin)\n"
        f"  the page's password: {settings.show_command} page\n"
        f"  Grafana's password:  {settings.show_command} grafana\n"
        f"  every credential:    {settings.show_command}\n"
        f"  MQTT for devices, encrypted: port 8883; the certificate to trust: {settings.show_command} {_CA}"
    )


@app.command()
def show(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"The credentials; without any, the list of all; {_CA}: the authority's certificate; "
            f"{_OPCUA_CERTIFICATE}: the one that the plant's OPC UA servers must trust."
        ),
    ] = None,
) -> None:
    """Prints credentials, one a line and nothing else, so that a script can use them."""
    if not names:
        for credential in CREDENTIALS.values():
            typer.echo(f"{credential.name:20} {credential.purpose}")
        return
    if names == [_CA]:
        _show_authority()
        return
    if names == [_OPCUA_CERTIFICATE]:
        _show_gateway_certificate()
        return
    unknown = [name for name in names if name not in CREDENTIALS]
    if unknown:
        typer.echo(f"error: no credential {unknown[0]!r}; there are {', '.join(CREDENTIALS)}", err=True)
        raise typer.Exit(2)
    try:
        store = SetupSettings().open_store()
        passwords = [password_of(store, CREDENTIALS[name]) for name in names]
    except (LookupError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    for password in passwords:
        typer.echo(password)


def _show_authority() -> None:
    """No secret: what a device needs to trust the broker."""
    held = SetupSettings().open_store().read(OPERATOR, AUTHORITY_FILE)
    if held is None:
        typer.echo("error: there is no certificate authority yet: run setup first", err=True)
        raise typer.Exit(1)
    typer.echo(Authority(held).certificate, nl=False)


def _show_gateway_certificate() -> None:
    """No secret: what an OPC UA server needs to trust the gateway."""
    held = SetupSettings().open_store().read(GATEWAY, CERTIFICATE_FILE)
    if held is None:
        typer.echo("error: the gateway has no certificate yet: run setup first", err=True)
        raise typer.Exit(1)
    typer.echo(held)


@app.command()
def keep(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(GIVEN)}.")],
) -> None:
    """Keeps standard input as a secret of its reader, in place of an older one; an empty input takes it away."""
    if name not in GIVEN:
        typer.echo(f"error: no secret {name!r} is given by people; there are {', '.join(GIVEN)}", err=True)
        raise typer.Exit(2)
    given = GIVEN[name]
    content = sys.stdin.read().strip()
    try:
        store = SetupSettings().open_store()
        if content:
            changed = store.replace(given.reader, given.file, content)
        else:
            changed = store.remove(given.reader, given.file)
    except OSError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    done = "kept" if content else "taken away"
    typer.echo(f"{name} is {done}; restart {given.reader.name}" if changed else f"{name} is as it was")


@app.command()
def history() -> None:
    """Keeps the downsampled history complete, and tells the age of the newest verdict on /metrics."""
    _configure_log()
    settings = HistorySettings(_secrets_dir=secrets_dir())

    def connect(timeout_s: float) -> InfluxDB:
        return InfluxDB(
            str(settings.influxdb_url),
            settings.influxdb_username,
            settings.influxdb_password.get_secret_value(),
            timeout_s=timeout_s,
        )

    def now() -> datetime:
        return datetime.now(UTC)

    heartbeat = Heartbeat(connect(timeout_s=10), now)
    service = History(
        connect(timeout_s=600),
        read_statements((settings.schema_dir / "backfill.influxql").read_text()),
        settings.backfill_days,
        settings.history_state_file,
        now,
        heartbeat,
    )
    try:
        start_http_server(settings.listen_port, settings.listen_host, HistoryMetrics(heartbeat).registry)
    except OSError as error:
        structlog.get_logger().error(
            "port not free", host=settings.listen_host, port=settings.listen_port, error=str(error)
        )
        raise typer.Exit(1) from error
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.stop())
    service.serve(
        settings.backfill_cron,
        timedelta(seconds=settings.backfill_start_delay_s),
        timedelta(seconds=settings.history_check_interval_s),
        timedelta(seconds=settings.heartbeat_interval_s),
    )


@app.command()
def health() -> None:
    """Asks whether the history service works: exit code 0 when it does."""
    settings = HistorySettings(_secrets_dir=secrets_dir())
    try:
        state = HistoryState(**json.loads(settings.history_state_file.read_text()))
    except FileNotFoundError:
        state = HistoryState()
    problem = health_problem(state, datetime.now(UTC), timedelta(seconds=settings.history_check_interval_s))
    typer.echo(problem or "the history service works")
    sys.exit(1 if problem else 0)
