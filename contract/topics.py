"""The MQTT topics, under one root ("fan" unless a site says otherwise)."""

import re
from dataclasses import dataclass

from contract.identity import DEVICE_ID_PATTERN

_LONGEST = 1024
"""Characters of a topic; MQTT allows 65,535 bytes, and a deviceID follows."""
_DEVICE_ID = re.compile(DEVICE_ID_PATTERN)
_ROOT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOPIC = re.compile(r"[^/+#$\x00-\x1f\x7f][^/+#\x00-\x1f\x7f]*(/[^/+#\x00-\x1f\x7f]+)*")


@dataclass(frozen=True, slots=True)
class Topics:
    """Every topic of one kind of machine.

    Args:
        root: First level of every topic.
        readings: Where readings are published in place of root/messages, and root/messages/<deviceID> accordingly.
        verdicts: Where verdicts go in place of root/anomaly.

    Raises:
        ValueError: The root is not one plain topic level, the others are no topics, or what is published would come
            back as a reading.
    """

    root: str = "fan"
    readings: str | None = None
    verdicts: str | None = None

    def __post_init__(self) -> None:
        if not _ROOT.fullmatch(self.root):
            raise ValueError(f"topic root {self.root!r}: expected 1 to 64 letters, digits, _ or -")
        for topic in (self.messages, self.anomalies):
            if len(topic) > _LONGEST or not _TOPIC.fullmatch(topic):
                raise ValueError(
                    f"topic {topic!r}: expected levels parted by /, none empty, without + and #, not begun by $, "
                    f"at most {_LONGEST} characters"
                )
        for topic in (self.anomalies, self.rejected, self.status_of("")):
            if f"{topic}/".startswith(f"{self.messages}/"):
                raise ValueError(
                    f"readings from {self.messages!r}, its sublevels included: what goes to {topic!r} would come "
                    "back as a reading; choose topics that do not contain one another"
                )

    @property
    def messages(self) -> str:
        """The flat topic of the first generation."""
        return self.readings or f"{self.root}/messages"

    @property
    def anomalies(self) -> str:
        """The verdict topic that matches it."""
        return self.verdicts or f"{self.root}/anomaly"

    @property
    def all_messages(self) -> str:
        """Filter of every reading: covers the flat topic and each device's own."""
        return f"{self.messages}/#"

    @property
    def all_anomalies(self) -> str:
        """Filter of every verdict."""
        return f"{self.anomalies}/#"

    @property
    def all_commands(self) -> str:
        """Filter of every command."""
        return f"{self.root}/commands/+"

    @property
    def all_statuses(self) -> str:
        """Filter of every service's status."""
        return f"{self.root}/status/+"

    @property
    def rejected(self) -> str:
        """The dead-letter topic."""
        return f"{self.root}/rejected"

    def messages_of(self, device_id: str) -> str:
        """The topic of one device's readings."""
        return f"{self.messages}/{device_id}"

    def anomaly_for(self, messages_topic: str) -> str:
        """The verdict topic that matches a reading's topic."""
        return f"{self.anomalies}{messages_topic[len(self.messages) :]}"

    def command_of(self, device_id: str) -> str:
        """The topic on which a simulated device takes commands."""
        return f"{self.root}/commands/{device_id}"

    def alarm_of(self, device_id: str) -> str:
        """The retained alarm of one device."""
        return f"{self.root}/alarms/{device_id}"

    def alarm_journal_of(self, device_id: str) -> str:
        """Every change of every alarm of one device."""
        return f"{self.root}/alarms/{device_id}/journal"

    def status_of(self, service: str) -> str:
        """The retained status of one service."""
        return f"{self.root}/status/{service}"

    def device_of(self, topic: str) -> str | None:
        """The device that a topic names, or None on the flat topic.

        Raises:
            ValueError: What follows the flat topic is not one device's name.
        """
        levels = topic[len(self.messages) :].split("/")[1:]
        if not levels:
            return None
        if len(levels) > 1 or not _DEVICE_ID.fullmatch(levels[0]):
            raise ValueError(
                f"topic {topic!r}: expected {self.messages} or {self.messages}/<deviceID>, "
                f"with a deviceID matching {DEVICE_ID_PATTERN}"
            )
        return levels[0]
