"""A site as the setup service leaves it: each reader's secrets, the broker's users and rules."""

import os
from pathlib import Path

from edge_manager.site.broker_users import update_password_file
from edge_manager.site.credentials import MOSQUITTO, Account, make_missing, passwords_of
from edge_manager.site.preparation import PASSWORD_FILE, prepare_broker
from edge_manager.site.secret_store import SecretStore


def _keep_owner(_path: Path, _uid: int, _gid: int) -> None:
    """The tests run every server as themselves."""


class Site:
    """Secrets and broker users, made by the code that makes them on a real site.

    Args:
        folder: Where everything of this site lies; the servers keep their data beside the secrets.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = SecretStore(folder / "secrets", change_owner=_keep_owner)
        make_missing(self.store)
        prepare_broker(self.store)

    def secrets_of(self, reader: str) -> Path:
        """The secrets folder of a service: what its FANWATCH_SECRETS_DIR names."""
        return self.folder / "secrets" / reader

    def mqtt_password(self, user: str) -> str:
        """The password of a service's MQTT user."""
        return passwords_of(self.store, Account.MQTT)[user]

    def influxdb_password(self, user: str) -> str:
        """The password of an InfluxDB user."""
        return passwords_of(self.store, Account.INFLUXDB)[user]

    def add_fan(self, device_id: str, password: str) -> None:
        """Adds a fan that signs in as itself; a running broker needs SIGHUP to see it."""
        text = self.store.read(MOSQUITTO, PASSWORD_FILE) or ""
        salts = {device_id: os.urandom(64)}
        self.store.replace(
            MOSQUITTO, PASSWORD_FILE, update_password_file(text + "\n", {device_id: password}, salts)
        )
