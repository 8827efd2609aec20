"""Facts into findings: what is wrong, and the command that mends it or shows more. Pure.

The limits are those of Grafana's alerts (grafana/provisioning/alerting/rules.yml), where there is one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from edge_manager.device_health.facts import Disk, Facts, Service

__all__ = ["Finding", "Limits", "Severity", "find"]

QUEUE_LIMIT = 200_000
QUEUE_BYTES_LIMIT = 209_715_200
"""Both of mosquitto/mosquitto.conf."""


class Severity(StrEnum):
    """How bad."""

    ERROR = "error"
    """Something does not work, or data is being lost."""
    WARNING = "warning"
    """It works, and will not for ever."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: Names the kind; docs/keeping.md lists them.
        severity: How bad.
        what: One sentence for a person, with the figures.
        do: The commands, one a line; what stands behind # is for the reader.
    """

    code: str
    severity: Severity
    what: str
    do: str


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on something is wrong."""

    silent_after_s: float = 300
    """A fan that says nothing for so long."""
    stale_after_s: float = 60
    """A verdict, or a figure of a service, that is the newest and so old."""
    disk_fills: float = 0.80
    disk_full: float = 0.90
    """The broker ends itself at 0.95."""
    queue_growth: int = 1000
    """Messages more than ten minutes ago."""
    certificate_days: float = 30
    """setup renews it 90 days before its end, so that this many say that it did not run for long."""
    clock_tolerance_s: float = 5


_WHO_IS_AWAY = (
    "docker compose ps  # who is away or unhealthy does not fetch them: predictor, monitor, drift, telegraf"
)
_MAKE_ROOM = (
    "docker system df  # then, of what nobody uses: docker image prune, docker builder prune\n"
    "du -xh --max-depth=2 {folder} | sort -h | tail"
)
_LOGS = "docker compose logs --tail 50 {name}"


def find(facts: Facts, limits: Limits = Limits()) -> list[Finding]:
    """Everything that is wrong, what is worst first; what merely follows from something else is left out.

    Args:
        facts: Of one moment.
        limits: From where on something is wrong.
    """
    found = [
        *_ports(facts),
        *_services(facts),
        *_influxdb(facts, limits),
        *_verdicts(facts, limits),
        *_queue(facts, limits),
        *_disks(facts, limits),
        *_clock(facts, limits),
        *_certificate(facts, limits),
        *_model(facts),
        *_fans(facts, limits),
    ]
    return sorted(found, key=lambda each: each.severity is not Severity.ERROR)


def _error(code: str, what: str, do: str) -> Finding:
    return Finding(code, Severity.ERROR, what, do)


def _warning(code: str, what: str, do: str) -> Finding:
    return Finding(code, Severity.WARNING, what, do)


def _ports(facts: Facts) -> Iterator[Finding]:
    for port in facts.ports_taken:
        yield _error(
            "port_taken",
            f"port {port.number} on {port.address}, which {port.service} publishes, is not to be had: {port.why}.",
            f"ss -ltnp 'sport = :{port.number}'  # who has it; end that, "
            "or give Fanwatch another address in FANWATCH_BIND",
        )


def _services(facts: Facts) -> Iterator[Finding]:
    if facts.services is None:
        return
    if not facts.services:
        yield _error("not_started", "no service of Fanwatch was started here.", "docker compose up --detach")
        return
    for service in facts.services:
        logs = _LOGS.format(name=service.name)
        if service.is_down:
            yield _error("service_down", _told(service), f"{logs}\ndocker compose up --detach {service.name}")
        elif service.health == "unhealthy":
            yield _error(
                "service_unhealthy",
                f"{service.name} runs, and its health check says that it does not work.",
                logs,
            )
        elif service.health == "starting":
            yield _warning(
                "service_starting", f"{service.name} is still starting.", f"{logs}  # if it stays so"
            )


def _told(service: Service) -> str:
    how = f"ended with exit code {service.exit_code}" if service.state == "exited" else f"is {service.state}"
    return f"{service.name} {how}."


def _is_up(facts: Facts, name: str) -> bool:
    """Whether a service runs as far as anybody knows: else its absence is a finding already."""
    return facts.services is None or any(
        each.name == name and each.state == "running" for each in facts.services
    )


def _may_be_asked(facts: Facts, name: str) -> bool:
    """Whether no finding of its own says that a service is away."""
    return facts.services != () and all(
        each.state == "running" for each in facts.services or () if each.name == name
    )


def _influxdb(facts: Facts, limits: Limits) -> Iterator[Finding]:
    figures = facts.figures
    if figures is None:
        # Where history is away, which is asked to ask, that is a finding already, and InfluxDB may be well.
        if facts.figures_unknown and _may_be_asked(facts, "history"):
            yield _error(
                "influxdb_away",
                f"InfluxDB could not be asked; while it is away nothing is stored and the broker keeps it: "
                f"{facts.figures_unknown}.",
                f"{_LOGS.format(name='influxdb')}\ndocker compose up --detach influxdb history",
            )
        return
    if figures.write_refused:
        yield _error(
            "writes_refused",
            f"InfluxDB answers and takes no points: {figures.write_refused}.",
            f"df -h  # a full disk is the usual reason\n{_LOGS.format(name='influxdb')}",
        )
        return
    age = figures.newest_figure_age_s
    if age is not None and age > limits.stale_after_s and _is_up(facts, "telegraf"):
        taken = " takes points and" if figures.write_refused == "" else ""
        yield _error(
            "nothing_stored",
            f"InfluxDB{taken} answers, but the newest figure that Telegraf stored is {_age(age)} old.",
            f"{_LOGS.format(name='telegraf')}\n"
            "docker compose run --rm setup && docker compose restart telegraf  # if it says 401: another password",
        )
        return
    for name, service_age in figures.services.items():
        if (
            (service_age is None or service_age > limits.stale_after_s)
            and _is_up(facts, name)
            and age is not None
        ):
            silence = "nothing within an hour" if service_age is None else f"nothing for {_age(service_age)}"
            yield _error(
                "service_silent",
                f"{name} does not tell its figures: {silence}.",
                f"{_LOGS.format(name=name)}\ndocker compose restart {name}",
            )
    for name in figures.offline:
        if name != "simulator" and _is_up(facts, name):
            yield _error(
                "broker_lost",
                f"{name} is not at the broker.",
                f"{_LOGS.format(name=name)}\n{_LOGS.format(name='mosquitto')}",
            )


def _verdicts(facts: Facts, limits: Limits) -> Iterator[Finding]:
    figures = facts.figures
    if figures is None:
        return
    age = figures.newest_verdict_age_s
    if age is None:
        yield _warning(
            "no_verdict_yet",
            "no verdict was stored within a week: no fan sends, or none of its readings is scored.",
            f"{_LOGS.format(name='mosquitto')}  # does a fan sign in?\n"
            f"{_LOGS.format(name='predictor')}  # are its readings refused?",
        )
    elif age > limits.stale_after_s:
        yield _error(
            "no_fresh_verdict",
            f"the newest verdict is {_age(age)} old: readings end somewhere between the fans and InfluxDB, "
            "or none come.",
            "\n".join(_LOGS.format(name=name) for name in ("predictor", "inference", "telegraf")),
        )


def _queue(facts: Facts, limits: Limits) -> Iterator[Finding]:
    figures, broker = facts.figures, facts.broker
    if broker is None and facts.broker_unknown and _may_be_asked(facts, "mosquitto"):
        yield _error(
            "broker_away",
            f"the broker does not answer: {facts.broker_unknown}.",
            _LOGS.format(name="mosquitto"),
        )
    waiting = (
        broker.waiting if broker is not None else figures.queue_messages if figures is not None else None
    )
    if waiting is not None:
        share = waiting / QUEUE_LIMIT
        if figures is not None and figures.queue_bytes is not None:
            share = max(share, figures.queue_bytes / QUEUE_BYTES_LIMIT)
        grown = _grown(facts)
        if share >= 0.5:
            yield _error(
                "queue_fills",
                f"{waiting:,} messages wait at the broker; a queue may be {share:.0%} full. A full one drops what "
                "is newest.",
                _WHO_IS_AWAY,
            )
        elif grown is not None and grown >= limits.queue_growth:
            yield _warning(
                "queue_grows",
                f"{waiting:,} messages wait at the broker, {grown:,} more than ten minutes ago.",
                _WHO_IS_AWAY,
            )
    if figures is not None and figures.dropped_last_hour:
        yield _error(
            "messages_dropped",
            f"the broker threw {figures.dropped_last_hour:,} messages away within an hour: a queue was full, and "
            "what they said is lost.",
            _WHO_IS_AWAY,
        )


def _grown(facts: Facts) -> int | None:
    """By how many more messages wait at the broker than ten minutes ago: retained ones do not wait."""
    figures = facts.figures
    if figures is None or figures.queue_messages_before is None:
        return None
    kept = facts.broker.messages if facts.broker is not None else figures.queue_messages
    return None if kept is None else kept - figures.queue_messages_before - figures.retained_grown


def _disks(facts: Facts, limits: Limits) -> Iterator[Finding]:
    seen = list(facts.disks)
    fullness = [(disk, f", {disk.free_bytes / 1e9:.1f} GB are free") for disk in seen]
    if facts.figures is not None and facts.figures.broker_volume_used is not None:
        used = facts.figures.broker_volume_used
        # Usually the same disk, told once.
        if not any(abs(disk.used - used) < 0.02 for disk in seen):
            fullness.append((Disk("the broker's volume", used, 0), ""))
    for disk, free in fullness:
        if disk.used < limits.disk_fills:
            continue
        sentence = f"{disk.what} is {disk.used:.0%} full{free}."
        if disk.holds_data:
            sentence += (
                " At 95 % the broker ends itself, so that it acknowledges nothing that it cannot keep."
            )
        do = _MAKE_ROOM.format(folder=disk.folder)
        if disk.used >= limits.disk_full:
            yield _error("disk_full", sentence, do)
        else:
            yield _warning("disk_fills", sentence, do)


def _clock(facts: Facts, limits: Limits) -> Iterator[Finding]:
    figures = facts.figures
    age = figures.newest_figure_age_s if figures is not None else None
    if age is not None and age < -limits.clock_tolerance_s:
        yield _error(
            "clock_back",
            f"what was stored last is {_age(-age)} ahead of this machine's clock: it was set back, or was ahead.",
            "date --utc  # is it right?\ntimedatectl set-ntp true",
        )
    if facts.clock_synchronised is False:
        yield _warning(
            "clock_unsynchronised",
            "the kernel says that its clock is not synchronised: readings more than 5 minutes ahead of it are refused.",
            "timedatectl set-ntp true\ntimedatectl timesync-status",
        )
    if figures is not None and figures.refused_for_time:
        yield _warning(
            "readings_refused_for_time",
            f"{figures.refused_for_time:,} readings were refused within an hour for their time: a fan's clock is off, "
            "or this machine's.",
            "date --utc  # this machine's\n"
            "# then the clocks of the fans whose tiles on the live page say that their readings are refused",
        )


def _certificate(facts: Facts, limits: Limits) -> Iterator[Finding]:
    certificate = facts.certificate
    if certificate is None or certificate.days_left > limits.certificate_days:
        return
    do = "fanwatch rotate certificate  # devices trust the new one as they did the old"
    if certificate.days_left <= 0:
        yield _error(
            "certificate_expired",
            f"the certificate at {certificate.address} expired {-certificate.days_left:.0f} days ago: devices "
            "refuse it.",
            do,
        )
    else:
        yield _warning(
            "certificate_expires",
            f"the certificate at {certificate.address} expires in {certificate.days_left:.0f} days.",
            do,
        )


def _model(facts: Facts) -> Iterator[Finding]:
    figures = facts.figures
    if figures is None:
        return
    if figures.inference_ready is False or (figures.inference_ready and not figures.models):
        yield _error(
            "model_missing",
            "the scoring service has no model that scores.",
            f"docker compose run --rm model list fan\n{_LOGS.format(name='inference')}  # says why it refuses one",
        )
    elif figures.model_refused:
        serving = ", ".join(figures.models) or "the one before"
        yield _warning(
            "model_refused",
            f"the scoring service refused a version of the model within a day, and goes on with {serving}.",
            f"{_LOGS.format(name='inference')}  # says why\ndocker compose run --rm model list fan",
        )


def _fans(facts: Facts, limits: Limits) -> Iterator[Finding]:
    figures = facts.figures
    if figures is None:
        return
    silent = {name: age for name, age in figures.fans.items() if age > limits.silent_after_s}
    if not silent or len(silent) == len(figures.fans):
        return  # all of them: that is no fan's fault, and "no fresh verdict" says so
    for name, age in sorted(silent.items(), key=lambda each: -each[1])[:20]:
        yield _warning(
            "fan_silent",
            f"nothing was heard of fan {name} for {_age(age)}.",
            f"docker compose logs --since 1h mosquitto | grep -w {name}  # is it refused? Else look at its power "
            "and its network",
        )
    if len(silent) > 20:
        yield _warning(
            "fan_silent", f"{len(silent) - 20} more fans are silent.", "fanwatch status  # lists every fan"
        )


def _age(seconds: float) -> str:
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
