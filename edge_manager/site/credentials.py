"""Who holds which credential. Each has one home, the folder of the process that reads it; nothing keeps a copy.

The broker's password file and InfluxDB's users are made from these, and made again when they no longer fit.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from edge_manager.site.secret_store import Reader, SecretStore

__all__ = [
    "CREDENTIALS",
    "GIVEN",
    "MOSQUITTO",
    "OPERATOR",
    "Account",
    "Credential",
    "make_missing",
    "new_password",
    "password_of",
    "passwords_of",
]

# The uids that docker-compose.yml runs each service with. Mosquitto's and Grafana's are their images' own.
_OURS = 10001
_TELEGRAF_UID = 10002

MOSQUITTO = Reader("mosquitto", 1883, 1883)
_GRAFANA = Reader("grafana", 472, 0)
_DRIFT = Reader("drift", _OURS, _OURS)
_HISTORY = Reader("history", _OURS, _OURS)
_MONITOR = Reader("monitor", _OURS, _OURS)
_PREDICTOR = Reader("predictor", _OURS, _OURS)
_SIMULATOR = Reader("simulator", _OURS, _OURS)
_TELEGRAF = Reader("telegraf", _TELEGRAF_UID, _TELEGRAF_UID)
# What only people and the setup service itself read.
OPERATOR = Reader("operator", 0, 0)


class Account(StrEnum):
    """Where a credential lets its holder in."""

    GRAFANA = "grafana"
    INFLUXDB = "influxdb"
    MQTT = "mqtt"


@dataclass(frozen=True, slots=True)
class Credential:
    """One secret and its home.

    Attributes:
        name: What people call it: `show NAME`.
        purpose: One line for people.
        reader: The process that reads it.
        file: The file's name in that reader's folder.
        account: Where it is a user's password, if it is one.
        user: That user.
    """

    name: str
    purpose: str
    reader: Reader
    file: str
    account: Account | None = None
    user: str = ""


def _mqtt(user: str, purpose: str, reader: Reader, file: str) -> Credential:
    return Credential(f"mqtt-{user}", f"MQTT user {user}: {purpose}", reader, file, Account.MQTT, user)


def _influxdb(user: str, purpose: str, reader: Reader, file: str) -> Credential:
    return Credential(
        f"influxdb-{user}", f"InfluxDB user {user}: {purpose}", reader, file, Account.INFLUXDB, user
    )


_ALL = (
    Credential("grafana", "Grafana's user admin", _GRAFANA, "admin_password", Account.GRAFANA, "admin"),
    Credential("grafana-secret-key", "the key under which Grafana stores secrets", _GRAFANA, "secret_key"),
    Credential(
        "page", "the live page's user operator, until it is changed there", _MONITOR, "fanwatch_page_password"
    ),
    Credential(
        "page-session", "the key that signs the live page's cookies", _MONITOR, "fanwatch_session_secret"
    ),
    _mqtt("legacy", "fans of the first generation, on the flat topic", OPERATOR, "mqtt_legacy"),
    _mqtt("simulator", "the simulated fans", _SIMULATOR, "fanwatch_mqtt_password"),
    _mqtt("predictor", "the predictor", _PREDICTOR, "fanwatch_mqtt_password"),
    _mqtt("monitor", "the live page", _MONITOR, "fanwatch_mqtt_password"),
    _mqtt("drift", "the drift watch", _DRIFT, "fanwatch_mqtt_password"),
    _mqtt("telegraf", "Telegraf", _TELEGRAF, "fanwatch_mqtt_password"),
    _mqtt("probe", "the broker's health check, may read $SYS", OPERATOR, "mqtt_probe"),
    _influxdb("admin", "may do everything", OPERATOR, "influxdb_admin"),
    _influxdb("telegraf", "may write", _TELEGRAF, "influxdb_password"),
    _influxdb("grafana", "may read", _GRAFANA, "influxdb_password"),
    _influxdb("history", "the nightly backfill", _HISTORY, "fanwatch_influxdb_password"),
)
GIVEN = MappingProxyType(
    {
        given.name: given
        for given in (
            Credential(
                "notify-urls",
                "whom the monitor calls: URLs of apprise, separated by white space",
                _MONITOR,
                "fanwatch_notify_urls",
            ),
            Credential(
                "work-order-url",
                "where the monitor posts drafts of work orders",
                _MONITOR,
                "fanwatch_work_order_url",
            ),
        )
    }
)
"""Secrets that nobody can make up: a person gives them, or there are none."""

CREDENTIALS = MappingProxyType({credential.name: credential for credential in _ALL})


def new_password() -> str:
    """160 random bits in hexadecimal: no character that a shell, a URL, InfluxQL or an options file minds."""
    return secrets.token_hex(20)


def make_missing(store: SecretStore, password: Callable[[], str] = new_password) -> list[str]:
    """Writes each credential that has no file yet, and never touches one that has.

    Returns:
        The names of the new ones.
    """
    made = []
    for credential in CREDENTIALS.values():
        if store.read(credential.reader, credential.file) is None:
            store.write_new(credential.reader, credential.file, password())
            made.append(credential.name)
    return made


def passwords_of(store: SecretStore, account: Account) -> dict[str, str]:
    """The password of every user of one account, by user.

    Raises:
        LookupError: One is not there yet.
    """
    return {c.user: password_of(store, c) for c in CREDENTIALS.values() if c.account == account}


def password_of(store: SecretStore, credential: Credential) -> str:
    """One password as its user types it.

    Raises:
        LookupError: It is not there yet.
    """
    content = store.read(credential.reader, credential.file)
    if content is None:
        raise LookupError(f"{credential.name} does not exist yet: run setup first")
    return content
