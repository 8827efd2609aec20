"""A site as the setup service leaves it: each reader's secrets, the broker's users and rules."""

import os
from datetime import UTC, datetime
from pathlib import Path

from edge_manager.site.broker_users import update_password_file, without_users
from edge_manager.site.certificates import Authority, server_names
from edge_manager.site.credentials import MOSQUITTO, OPERATOR, Account, make_missing, passwords_of
from edge_manager.site.preparation import (
    AUTHORITY_FILE,
    PASSWORD_FILE,
    prepare_broker,
    prepare_certificates,
)
from edge_manager.site.secret_store import SecretStore

ACL = Path(__file__).parents[1] / "mosquitto" / "acl"
"""The shipped access rules."""


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
        prepare_certificates(self.store, server_names([]), datetime.now(UTC))
        self.use_rules(ACL.read_text())

    def use_rules(self, shipped: str) -> None:
        """Makes the broker's files from these shipped access rules; a running broker needs SIGHUP to see them."""
        prepare_broker(self.store, shipped)

    @property
    def authority(self) -> Path:
        """A file with the certificate of the site's authority: what a device needs to trust the broker."""
        held = self.store.read(OPERATOR, AUTHORITY_FILE)
        assert held is not None
        file = self.folder / "ca.crt"
        file.write_text(Authority(held).certificate)
        return file

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

    def remove_fan(self, device_id: str) -> None:
        """Takes a fan's password away; a running broker needs SIGHUP to see it."""
        text = self.store.read(MOSQUITTO, PASSWORD_FILE) or ""
        self.store.replace(MOSQUITTO, PASSWORD_FILE, without_users(text, {device_id}))
