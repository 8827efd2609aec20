"""What makes a site ready to start: secrets, the broker's users, InfluxDB's users and schema.

Safe to run at every start.
"""

import os
from collections.abc import Callable
from pathlib import Path

import structlog

from edge_manager.influxdb import InfluxDB, InfluxDBError, InfluxDBUnreachableError
from edge_manager.site.broker_users import update_password_file
from edge_manager.site.credentials import MOSQUITTO, Account, make_missing, passwords_of
from edge_manager.site.secret_store import SecretStore
from edge_manager.statements import fill_in, read_statements

__all__ = ["prepare_broker", "prepare_influxdb", "prepare_secrets"]

# The names under which mosquitto/mosquitto.conf and the broker's health check find them.
PASSWORD_FILE = "mosquitto_passwords"  # noqa: S105 # a file's name
PROBE_OPTIONS_FILE = "probe_options"
_SALT_BYTES = 64

# InfluxDB's answers to a statement whose work is done, if with another value (influxdb/schema says when).
_POLICY_STANDS = "retention policy already exists"
_USER_STANDS = "user already exists"

log = structlog.get_logger()


def prepare_secrets(store: SecretStore) -> None:
    """Makes each secret that is not there yet."""
    made = make_missing(store)
    log.info("secrets ready", made=made)


def prepare_broker(store: SecretStore, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
    """Writes what Mosquitto reads: its password file and the options of its health check.

    Args:
        store: Where the secrets are.
        random_bytes: Where salts come from.
    """
    passwords = passwords_of(store, Account.MQTT)
    old = store.read(MOSQUITTO, PASSWORD_FILE) or ""
    salts = {user: random_bytes(_SALT_BYTES) for user in passwords}
    changed = [
        store.replace(MOSQUITTO, PASSWORD_FILE, update_password_file(old, passwords, salts)),
        # A file, because a password among a command's arguments stands in every process listing.
        store.replace(MOSQUITTO, PROBE_OPTIONS_FILE, f"-u probe\n-P {passwords['probe']}\n"),
    ]
    log.info("broker ready", users=sorted(passwords), changed=any(changed))


def prepare_influxdb(
    connect: Callable[[str, str], InfluxDB], passwords: dict[str, str], schema_dir: Path
) -> None:
    """Makes the users, the database, its retention policies and continuous queries, as the schema files say.

    Args:
        connect: Makes a connection from a user and a password.
        passwords: Of InfluxDB's users.
        schema_dir: influxdb/schema.

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
