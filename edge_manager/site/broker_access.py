"""Who may read and write what at the broker: the shipped rules, and those of the fans and clients that people added.

Format of the rules: acl_file of https://mosquitto.org/man/mosquitto-conf-5.html. A broker that reloads a file it cannot
read ends, so nothing that a person types gets there unchecked.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

from contract.identity import DEVICE_ID_PATTERN

__all__ = ["BrokerUser", "Kind", "compose_rules", "default_read", "own_topics", "read_users", "write_users"]

_OWN_TOPIC = re.compile(r"^pattern write (?P<root>\S+)/messages/%u$", re.MULTILINE)
_TOPIC_BYTES = 500
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Kind(StrEnum):
    """What signs in."""

    FAN = "fan"
    """A machine: writes its own readings, by the shipped pattern, and nothing else."""
    CLIENT = "client"
    """A program: reads and writes the topics that it was given."""


@dataclass(frozen=True, slots=True)
class BrokerUser:
    """A user of the broker that a person added. Its password stands nowhere, its hash in the broker's password file.

    Attributes:
        name: Of the user; for a fan its deviceID.
        kind: What it is.
        read: The topics that it may subscribe to.
        write: The topics that it may publish to.

    Raises:
        ValueError: The name or a topic is impossible.
    """

    name: str
    kind: Kind
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(DEVICE_ID_PATTERN, self.name):
            raise ValueError(
                f"{self.name!r} cannot be a name: expected 1 to 64 letters, digits, dots, hyphens or underscores"
            )
        if self.kind is Kind.FAN and (self.read or self.write):
            raise ValueError("a fan writes its own readings and nothing else; add a client for more")
        for topic in (*self.read, *self.write):
            _check_topic(topic)


def compose_rules(shipped: str, users: Iterable[BrokerUser]) -> str:
    """The broker's whole access rules: the shipped ones, then a block for each client.

    Args:
        shipped: The text of mosquitto/acl.
        users: What people added.
    """
    blocks = [shipped.rstrip("\n")]
    for user in users:
        if user.kind is Kind.FAN:
            continue  # the shipped pattern is its rule
        lines = [f"# Added by a person: fanwatch users.\nuser {user.name}"]
        # The shipped pattern would let it write as a machine of its own name.
        lines += [
            f"topic deny {own}"
            for own in own_topics(shipped, user.name)
            if not any(_covers(topic, own) for topic in user.write)
        ]
        lines += [f"topic read {topic}" for topic in user.read]
        lines += [f"topic write {topic}" for topic in user.write]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def own_topics(shipped: str, name: str) -> list[str]:
    """The topics on which the shipped pattern lets a user speak for itself: one for each topic root."""
    return [f"{root}/messages/{name}" for root in _OWN_TOPIC.findall(shipped)]


def default_read(shipped: str) -> tuple[str, ...]:
    """What a client may read unless told otherwise: alarms and verdicts."""
    return tuple(f"{root}/{what}/#" for root in _OWN_TOPIC.findall(shipped) for what in ("alarms", "anomaly"))


def read_users(text: str) -> dict[str, BrokerUser]:
    """The users that write_users() wrote, by name.

    Raises:
        ValueError: The text is something else.
    """
    try:
        users = [
            BrokerUser(each["name"], Kind(each["kind"]), tuple(each["read"]), tuple(each["write"]))
            for each in json.loads(text)
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a list of the broker's users: {error!r}") from error
    return {user.name: user for user in users}


def write_users(users: Iterable[BrokerUser]) -> str:
    """Users as JSON, in order of their names."""
    return json.dumps([asdict(user) for user in sorted(users, key=lambda user: user.name)], indent=1)


def _check_topic(topic: str) -> None:
    levels = topic.split("/")
    wrong = (
        not topic.strip()
        or topic != topic.strip()
        or len(topic.encode()) > _TOPIC_BYTES
        or _CONTROL.search(topic)
        or any("#" in level for level in levels[:-1])
        or any(level not in {"+", "#"} and ("+" in level or "#" in level) for level in levels)
    )
    if wrong:
        raise ValueError(
            f"{topic!r} is no topic: expected one such as fan/alarms/# or fan/anomaly/+, of at most "
            f"{_TOPIC_BYTES} bytes"
        )
    if topic.startswith("$share"):
        raise ValueError(
            f"{topic!r}: a shared subscription needs the right to the topic behind it; give that one"
        )


def _covers(granted: str, topic: str) -> bool:
    """Whether a topic filter matches a topic: MQTT 5, 4.7."""
    levels, wanted = granted.split("/"), topic.split("/")
    for index, level in enumerate(levels):
        if level == "#":
            return True
        if index >= len(wanted) or level not in {"+", wanted[index]}:
            return False
    return len(levels) == len(wanted)
