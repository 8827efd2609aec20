"""Letting fans and clients in at the broker, and out again; new passwords for them and for the services.

Everything here changes files only. The broker sees them at SIGHUP, which also cuts off whoever's password is no
longer good; a service reads its own password when it starts.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from edge_manager.site.broker_access import BrokerUser, Kind, own_topics, read_users, write_users
from edge_manager.site.broker_users import users_of
from edge_manager.site.credentials import CREDENTIALS, MOSQUITTO, OPERATOR, Account, Credential, new_password
from edge_manager.site.preparation import PASSWORD_FILE, USERS_FILE, prepare_broker
from edge_manager.site.secret_store import SecretStore

__all__ = ["CERTIFICATE", "Access", "AccessError", "Granted", "Listed", "Rotated"]

CERTIFICATE = "certificate"
"""What `rotate` takes besides users: the broker's key and certificate. So nobody can be called that."""
_SERVICES = {c.user: c for c in CREDENTIALS.values() if c.account is Account.MQTT}
_BY_HAND = "made by hand"


class AccessError(ValueError):
    """What was asked for cannot be done; the sentence says why, and what can."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What somebody needs to sign in.

    Attributes:
        user: The name at the broker.
        kind: What it is, in a word.
        password: In clear. It stands nowhere else.
        publish: The topics that it may publish to.
        subscribe: The topics that it may subscribe to.
    """

    user: str
    kind: str
    password: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a new password means.

    Attributes:
        granted: What to tell who signs in with it; None for a service, which reads it from its own file.
        restart: The service that has to be started again to read it.
    """

    granted: Granted | None
    restart: str | None


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list of users. kind is fan, client, service, or "made by hand"."""

    name: str
    kind: str
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


class Access:
    """The broker's users of one site.

    Args:
        store: Where its secrets are.
        shipped_rules: The text of mosquitto/acl.
        password: Makes a password.
        random_bytes: Where salts come from.
    """

    def __init__(
        self,
        store: SecretStore,
        shipped_rules: str,
        password: Callable[[], str] = new_password,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._rules = shipped_rules
        self._password = password
        self._random_bytes = random_bytes

    def add(self, user: BrokerUser) -> Granted:
        """Lets a fan or a client in.

        Raises:
            AccessError: The name is taken.
        """
        if user.name in {*_SERVICES, *CREDENTIALS, CERTIFICATE}:
            raise AccessError(f"{user.name} is a name of Fanwatch's own: choose another one")
        known = self._users()
        if user.name in self._with_password():
            kind = known[user.name].kind if user.name in known else _BY_HAND
            raise AccessError(
                f"{user.name} is there already ({kind}): `rotate {user.name}` gives it another password, "
                f"`remove {user.name}` takes it out"
            )
        return self._let_in(known, user)

    def remove(self, name: str) -> Listed:
        """Takes a user that people added out again.

        Raises:
            AccessError: There is none, or it is a service's.
        """
        if name in _SERVICES:
            raise AccessError(
                f"{name} is a service of Fanwatch and cannot be removed: `rotate {name}` gives it another password"
            )
        listed = next((each for each in self.users() if each.name == name), None)
        if listed is None:
            raise AccessError(f"there is no user {name}: {self._names()}")
        known = self._users()
        known.pop(name, None)
        # The password first: whatever happens in between, the one who shall be out is out.
        prepare_broker(self._store, self._rules, self._random_bytes, removed={name})
        self._write(known)
        prepare_broker(self._store, self._rules, self._random_bytes)
        return listed

    def rotate(self, name: str) -> Rotated:
        """Gives a user of the broker another password.

        Raises:
            AccessError: There is no such user.
        """
        if name in _SERVICES:
            return self._rotate_service(_SERVICES[name])
        known = self._users()
        if name in known:
            return Rotated(self._let_in(known, known[name]), None)
        if name in self._with_password():
            raise AccessError(
                f"{name} was made by hand, so nobody knows what it may do: remove it, and add it as a fan or a client"
            )
        raise AccessError(f"there is no user {name}: {self._names()}")

    def users(self) -> list[Listed]:
        """Everybody who may sign in at the broker."""
        known = self._users()
        passwords = self._with_password()
        services = [Listed(name, "service") for name in sorted(_SERVICES)]
        added = [
            Listed(user.name, user.kind, user.read, self._writes(user))
            for user in known.values()
            if user.name in passwords
        ]
        by_hand = [
            Listed(name, _BY_HAND) for name in passwords if name not in known and name not in _SERVICES
        ]
        return [*services, *added, *by_hand]

    def _let_in(self, known: dict[str, BrokerUser], user: BrokerUser) -> Granted:
        password = self._password()
        # The rules first: nobody signs in before it is said what he may do.
        self._write(known | {user.name: user})
        prepare_broker(self._store, self._rules, self._random_bytes, new={user.name: password})
        return Granted(user.name, user.kind, password, self._writes(user), user.read)

    def _writes(self, user: BrokerUser) -> tuple[str, ...]:
        return tuple(own_topics(self._rules, user.name)) if user.kind is Kind.FAN else user.write

    def _rotate_service(self, credential: Credential) -> Rotated:
        password = self._password()
        self._store.replace(credential.reader, credential.file, password)
        prepare_broker(self._store, self._rules, self._random_bytes)
        if credential.reader is not OPERATOR:
            return Rotated(None, credential.reader.name)
        if credential.user == "legacy":
            flat = tuple(topic.rpartition("/")[0] for topic in own_topics(self._rules, credential.user))
            return Rotated(Granted(credential.user, "first-generation fans", password, flat, ()), None)
        return Rotated(None, None)  # the broker's own health check, whose file was written with the rest

    def _users(self) -> dict[str, BrokerUser]:
        return read_users(self._store.read(OPERATOR, USERS_FILE) or "[]")

    def _write(self, users: dict[str, BrokerUser]) -> None:
        self._store.replace(OPERATOR, USERS_FILE, write_users(users.values()))

    def _with_password(self) -> list[str]:
        return users_of(self._store.read(MOSQUITTO, PASSWORD_FILE) or "")

    def _names(self) -> str:
        names = [each.name for each in self.users() if each.kind != "service"]
        return f"people added {', '.join(names)}" if names else "people have added nobody yet"
