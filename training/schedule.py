"""The schedule: a run of the pipeline by a crontab line, each in a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC

from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.cron import CronTrigger

_MISSED_S = 6 * 3600


class InvalidSchedule(ValueError):  # noqa: N818 - it names the thing
    """A crontab line that cannot be kept; says what was expected."""


def read_cron(line: str) -> CronTrigger:
    """The times of a crontab line, in UTC.

    Raises:
        InvalidSchedule: It is none, or names a day of the week by a number.
    """
    fields = line.split()
    if len(fields) == 5 and any(letter.isdigit() for letter in fields[4]):
        # The scheduler counts from Monday and cron from Sunday; a run on the wrong day is found out late.
        raise InvalidSchedule(
            f"{line!r}: name the day of the week, as in sun or mon-fri; numbers mean different days"
        )
    try:
        return CronTrigger.from_crontab(line, timezone=UTC)
    except ValueError as error:
        raise InvalidSchedule(
            f"{line!r} is no crontab line ({error}); expected five fields such as '30 2 * * sun'"
        ) from error


def keep_schedule(trigger: CronTrigger, arguments: Sequence[str], tell: Callable[[str], None]) -> None:
    """Run the pipeline at its times until SIGTERM or Ctrl-C; a run that is under way then is ended too.

    One at a time; a time that was missed (the machine was off) is made good once, within six hours.

    Args:
        trigger: The times.
        arguments: Of `fanwatch pipeline run`.
        tell: Gets a line when a run ends.
    """
    scheduler = BlockingScheduler(timezone=UTC)
    running: list[subprocess.Popen[bytes]] = []

    def run_once() -> None:
        # A process of its own: TensorFlow never gives its memory back.
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "fanwatch.cli", "pipeline", "run", *arguments]
        )
        running.append(process)
        try:
            tell(f"run ended with exit code {process.wait()}")
        finally:
            running.remove(process)

    def stop(*_: object) -> None:
        for process in running:
            process.terminate()
        scheduler.shutdown(wait=False)

    scheduler.add_job(run_once, trigger, coalesce=True, max_instances=1, misfire_grace_time=_MISSED_S)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    scheduler.start()
