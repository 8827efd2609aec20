"""Calls people: e-mail, webhook, MQTT and whatever else apprise can reach, one message for many alarms.

A URL says where and holds the password for it. It comes from the secrets folder, is given to apprise and to nothing
else; apprise's own log, which quotes parts of URLs, is turned off.
"""

import logging
from collections.abc import Callable, Sequence

import apprise
from apprise.common import PersistentStoreMode
from pydantic import SecretStr

from contract.alarm import AlarmPriority, AlarmState
from monitor.alarms.courier import Sent
from monitor.alarms.lifecycle import UNANSWERED
from monitor.alarms.outbox import Outgoing
from monitor.alarms.wire import Call

_MOST_LINES = 20


class BadDestination(ValueError):  # noqa: N818 - it names the thing
    """A URL that apprise does not understand; told by its place and its scheme, never by its text."""


class Notifier:
    """One destination.

    Args:
        url: As apprise writes it: mailtos://, json://, mqtts://...
        place: Its place in the setting, from 1, by which errors name it.
        state_of: The state of an alarm now. Who is answered, shelved or suppressed by then is not told of.

    Raises:
        BadDestination: apprise does not understand the URL.
    """

    def __init__(self, url: SecretStr, place: int, state_of: Callable[[int], AlarmState]) -> None:
        _silence_apprise()
        self._state_of = state_of
        # Nothing on disk, and in this thread: the courier waits for the outcome.
        asset = apprise.AppriseAsset(
            app_id="Fanwatch", async_mode=False, storage_mode=PersistentStoreMode.MEMORY
        )
        self._way = apprise.Apprise(asset=asset)
        if not self._way.add(url.get_secret_value()):
            raise BadDestination(
                f"notification URL number {place}: not understood. Expected one of apprise's, such as "
                "mailtos://user:password@smtp.example.com?to=someone@example.com"
            )

    def send(self, batch: Sequence[Outgoing]) -> Sent:
        """Send one message for all of the batch that still call for somebody."""
        calls = {each.number: Call.model_validate_json(each.body) for each in batch}
        current = {
            number: call for number, call in calls.items() if self._state_of(call.alarm_id) in UNANSWERED
        }
        obsolete = tuple(calls.keys() - current.keys())
        if not current:
            return Sent(obsolete=obsolete)
        title, body = message(list(current.values()))
        urgent = any(call.priority == AlarmPriority.HIGH for call in current.values())
        kind = apprise.NotifyType.FAILURE if urgent else apprise.NotifyType.WARNING
        if self._way.notify(body, title, kind, body_format=apprise.NotifyFormat.TEXT):
            return Sent(arrived=tuple(current), obsolete=obsolete)
        return Sent(obsolete=obsolete, why_not="the destination did not take it")


def message(calls: list[Call]) -> tuple[str, str]:
    """Title and body for one alarm or many; the urgent first, at most 20 lines."""
    ordered = sorted(calls, key=lambda call: (call.priority, call.at))
    first = ordered[0]
    if len(ordered) == 1:
        priority = AlarmPriority(first.priority).name.lower()
        title = f"Alarm ({priority}): {first.device_id}, {first.kind.replace('_', ' ')}"
    else:
        devices = len({call.device_id for call in calls})
        high = sum(call.priority == AlarmPriority.HIGH for call in calls)
        title = (
            f"{len(calls)} alarms on {devices} device{'' if devices == 1 else 's'}, {high} of high priority"
        )
    lines = [call.sentence for call in ordered[:_MOST_LINES]]
    if len(ordered) > _MOST_LINES:
        lines.append(f"and {len(ordered) - _MOST_LINES} more")
    return title, "\n".join(lines)


def _silence_apprise() -> None:
    """Its lines quote addresses and parts of URLs at any level; ours say what happened instead."""
    logging.getLogger("apprise").disabled = True
