"""The alarms of a running monitor: the desk, what wakes it when something is due, and the couriers."""

import threading
from datetime import UTC, datetime, timedelta

import structlog

from contract.topics import Topics
from monitor.alarms.courier import Courier, Pace, Sender
from monitor.alarms.database import AlarmDatabase, StoreError
from monitor.alarms.desk import AlarmDesk
from monitor.alarms.figures import AlarmFigures, Counts, Waiting
from monitor.alarms.notifier import Notifier
from monitor.alarms.outbox import JOURNAL, PUBLISH, WORK_ORDER, Outbox, notify_channel
from monitor.alarms.publisher import AlarmPublisher, Connection
from monitor.alarms.settings import AlarmSettings
from monitor.alarms.work_orders import WorkOrders
from monitor.clock import Clock

_LOG = structlog.get_logger()
_AFTER_A_FAILURE_S = 5.0
_LONGEST_SLEEP_S = 3600.0
# Both hold up the whole channel: the publisher to keep the order, the notifier to make one message of what waits.
_PUBLISHING = Pace(first_retry=timedelta(seconds=1), longest_retry=timedelta(seconds=5), whole=True)
_DRAFTING = Pace(first_retry=timedelta(seconds=5), longest_retry=timedelta(hours=1))


class AlarmService:
    """Everything that the alarms run: made and started in the process that serves them.

    Args:
        settings: The alarms' own.
        topics: Where the current alarm of each device is published.
        connection: To the broker.
        clock: Of the monitor.

    Raises:
        StoreError: The file cannot be used.
        BadDestination: A notification URL is not understood.
    """

    def __init__(self, settings: AlarmSettings, topics: Topics, connection: Connection, clock: Clock) -> None:
        self._clock = clock
        self._path = settings.alarm_file
        self._database = AlarmDatabase(self._path)
        self.desk = AlarmDesk(self._database, settings.policy(), clock)
        notifying = Pace(
            gather=timedelta(seconds=settings.notify_gather_s),
            interval=timedelta(seconds=settings.notify_interval_s),
            first_retry=timedelta(seconds=10),
            longest_retry=timedelta(minutes=10),
            whole=True,
        )
        ways: dict[str, tuple[Sender, Pace]] = {
            PUBLISH: (AlarmPublisher(connection, topics.alarm_of, retain=True), _PUBLISHING),
            JOURNAL: (AlarmPublisher(connection, topics.alarm_journal_of, retain=False), _PUBLISHING),
        }
        if settings.work_order_url is not None:
            ways[WORK_ORDER] = (WorkOrders(settings.work_order_url), _DRAFTING)
        for number, url in enumerate(settings.destinations()):
            ways[notify_channel(number)] = (Notifier(url, number + 1, self.desk.state_of), notifying)
        with self._database.transaction():
            Outbox(self._database).keep_only(ways)
        self._channels = tuple(ways)
        self._couriers = [
            Courier(AlarmDatabase(self._path), channel, sender, clock, pace)
            for channel, (sender, pace) in ways.items()
        ]
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)
        self.desk.listen(self.wake)

    def start(self) -> None:
        """Begin to wake and to carry; what was left by the last run goes out now."""
        self._thread.start()
        for courier in self._couriers:
            courier.start()

    def stop(self) -> None:
        """Stop; what is left in the outbox waits for the next start."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_AFTER_A_FAILURE_S + 1)
        for courier in self._couriers:
            courier.stop()
        self._database.close()

    def complaint(self) -> str | None:
        """Why the alarms do not work, or None when they do; for the health check, once started."""
        if not self._thread.is_alive():
            return "nothing wakes the alarms any more: its thread has ended, see the log"
        dead = [courier.channel for courier in self._couriers if not courier.is_alive()]
        return f"nobody carries {', '.join(dead)} any more, see the log" if dead else None

    def figures(self) -> AlarmFigures:
        """What there is to count, now; what cannot be read is left out."""
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        counts: Counts | None = None
        waiting = {channel: Waiting(0, 0.0) for channel in self._channels}
        try:
            counts = self.desk.counts()
            with AlarmDatabase(self._path, read_only=True) as reader:
                for channel, (things, oldest) in Outbox(reader).waiting_by_channel().items():
                    waiting[channel] = Waiting(things, max(0.0, (now - oldest).total_seconds()))
        except StoreError as error:
            _LOG.warning("alarms_not_counted", why=str(error))
        return AlarmFigures(
            counts=counts,
            waiting=waiting,
            commit_failures=self._database.commit_failures,
            takes_commits=self._database.takes_commits,
        )

    def wake(self) -> None:
        """Look again: something changed, or the broker is back."""
        self._wake.set()
        for courier in self._couriers:
            courier.wake()

    def _run(self) -> None:
        """Sleep until something is due, let it happen, and sleep again."""
        while not self._stopping:
            self._wake.clear()
            sleep_s = _LONGEST_SLEEP_S
            try:
                self.desk.tick()
                due = self.desk.next_deadline()
                if due is not None:
                    now = datetime.fromtimestamp(self._clock.now(), UTC)
                    sleep_s = min(sleep_s, (due - now).total_seconds())
            except StoreError as error:
                _LOG.error("alarms_not_stored", why=str(error))
                sleep_s = _AFTER_A_FAILURE_S
            if sleep_s > 0:
                self._wake.wait(sleep_s)
