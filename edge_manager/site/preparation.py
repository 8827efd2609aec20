"""What makes a site ready to start: secrets, the broker's users, InfluxDB's users and schema.

Safe to run at every start.
"""

import os
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import structlog

from edge_manager.influxdb import InfluxDB, InfluxDBError, InfluxDBUnreachableError
from edge_manager.site.broker_access import compose_rules, read_users
from edge_manager.site.broker_users import update_password_file, without_users
from edge_manager.site.certificates import Authority, make_authority, make_server_certificate, reason_to_renew
from edge_manager.site.credentials import MOSQUITTO, OPERATOR, Account, make_missing, passwords_of
from edge_manager.site.secret_store import SecretStore
from edge_manager.statements import fill_in, read_statements

__all__ = [
    "ACL_FILE",
    "AUTHORITY_FILE",
    "PASSWORD_FILE",
    "TLS_FILE",
    "USERS_FILE",
    "prepare_broker",
    "prepare_certificates",
    "prepare_influxdb",
    "prepare_secrets",
]

# The names under which mosquitto/mosquitto.conf and the broker's health check find them.
PASSWORD_FILE = "mosquitto_passwords"  # noqa: S105 # a file's name
ACL_FILE = "mosquitto_acl"
TLS_FILE = "mosquitto_tls.pem"
PROBE_OPTIONS_FILE = "probe_options"
# In the operator's folder, where no service looks: who may sign certificates, and what people added.
AUTHORITY_FILE = "certificate_authority.pem"
USERS_FILE = "mqtt_users.json"
_SALT_BYTES = 64

# InfluxDB's answers to a statement whose work is done, if with another value (influxdb/schema says when).
_POLICY_STANDS = "retention policy already exists"
_USER_STANDS = "user already exists"

log = structlog.get_logger()


def prepare_secrets(store: SecretStore) -> None:
    """Makes each secret that is not there yet."""
    made = make_missing(store)
    log.info("secrets ready", made=made)


def prepare_certificates(
    store: SecretStore, names: tuple[str, ...], now: datetime, *, renew: bool = False
) -> None:
    """Makes the site's certificate authority once, and the broker's certificate when it needs another.

    Args:
        store: Where the secrets are.
        names: What the broker's certificate is for, of certificates.server_names().
        now: The time.
        renew: Makes another certificate though the old one is still good.

    Raises:
        ValueError: The authority's file is damaged. It is not replaced: every device trusts the old one.
    """
    held = store.read(OPERATOR, AUTHORITY_FILE)
    try:
        authority = None if held is None else Authority(held)
    except ValueError as error:
        raise ValueError(
            f"the certificate authority cannot be read ({error}): bring back {AUTHORITY_FILE} of the volume"
            " secrets-operator, or remove it, after which every device needs the new one"
        ) from error
    if authority is None or authority.expired(now):
        authority = make_authority(now)
        store.replace(OPERATOR, AUTHORITY_FILE, authority.pem)
        log.info("certificate authority made", expired=held is not None)
    why = "asked for" if renew else reason_to_renew(store.read(MOSQUITTO, TLS_FILE), authority, names, now)
    if why is not None:
        store.replace(MOSQUITTO, TLS_FILE, make_server_certificate(authority, names, now))
    log.info("certificates ready", names=names, renewed=why)


def prepare_broker(
    store: SecretStore,
    shipped_rules: str,
    random_bytes: Callable[[int], bytes] = os.urandom,
    *,
    new: Mapping[str, str] = MappingProxyType({}),
    removed: Collection[str] = (),
) -> None:
    """Writes what Mosquitto reads: its password file, its access rules and the options of its health check.

    Args:
        store: Where the secrets are.
        shipped_rules: The text of mosquitto/acl.
        random_bytes: Where salts come from.
        new: Passwords that people's fans and clients get, by user.
        removed: Users whose passwords go.
    """
    passwords = passwords_of(store, Account.MQTT) | dict(new)
    users = read_users(store.read(OPERATOR, USERS_FILE) or "[]")
    old = without_users(store.read(MOSQUITTO, PASSWORD_FILE) or "", removed)
    salts = {user: random_bytes(_SALT_BYTES) for user in passwords}
    changed = [
        store.replace(MOSQUITTO, ACL_FILE, compose_rules(shipped_rules, users.values())),
        store.replace(MOSQUITTO, PASSWORD_FILE, update_password_file(old, passwords, salts)),
        # A file, because a password among a command's arguments stands in every process listing.
        store.replace(MOSQUITTO, PROBE_OPTIONS_FILE, f"-u probe\n-P {passwords['probe']}\n"),
    ]
    log.info("broker ready", users=sorted([*passwords, *users]), changed=any(changed))


def prepare_influxdb(
    connect: Callable[[str, str], InfluxDB],
    passwords: dict[str, str],
    schema_dir: Path,
    retention_days: int | None = None,
) -> None:
    """Makes the users, the database, its retention policies and continuous queries, as the schema files say.

    Args:
        connect: Makes a connection from a user and a password.
        passwords: Of InfluxDB's users.
        schema_dir: influxdb/schema.
        retention_days: How long raw keeps readings; None leaves what stands, at first the schema's 30 days.

    Raises:
        InfluxDBError: InfluxDB is not there, or its admin has another password than ours.
    """
    users = read_statements((schema_dir / "users.influxql").read_text())
    schema = read_statements((schema_dir / "schema.influxql").read_text())
    values = {f"{user}_password": password for user, password in passwords.items()}
    admin = connect("admin", passwords["admin"])
    # The very first statement is the only one that InfluxDB takes while it has no admin.
    make_admin, *make_others = users
    try:
        admin.execute(fill_in(make_admin, values))
    except InfluxDBUnreachableError:
        raise
    except InfluxDBError as error:
        raise InfluxDBError(
            f"{error}. If InfluxDB's data is older than the secrets (their volume was removed, the data's was"
            " not), its admin has a password that is gone: bring back the volume secrets-operator, or remove"
            " influxdb-data too"
        ) from error
    for statement in schema:
        _execute(admin, statement, unless=_POLICY_STANDS)
    if retention_days is not None:
        admin.execute(f'ALTER RETENTION POLICY "raw" ON "fan" DURATION {retention_days:d}d')
    for statement in make_others:
        if not _execute(admin, fill_in(statement, values), unless=_USER_STANDS):
            user = statement.split('"')[1]
            admin.execute(fill_in(f"SET PASSWORD FOR \"{user}\" = '${user}_password'", values))
            log.info("password renewed", influxdb_user=user)
    log.info("influxdb ready", users=sorted(passwords))


def _execute(influxdb: InfluxDB, statement: str, unless: str) -> bool:
    """Executes a statement; False when InfluxDB answers that what stands already differs."""
    try:
        influxdb.execute(statement)
    except InfluxDBError as error:
        if unless not in str(error):
            raise
        return False
    return True
