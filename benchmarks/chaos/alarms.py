"""What people are told: Grafana's alerts, by the committed rules, and the monitor's alarms, as InfluxDB has them."""

from dataclasses import dataclass

from testbed.alert_rules import Database, evaluate, rules

DATABASE_AWAY = "DatasourceError"
"""What Grafana raises of a rule whose execErrState is Error while InfluxDB does not answer."""

EVALUATION_S = 10
"""Grafana evaluates every ten seconds; an alert is as much later than its data at the most."""


ABOUT_A_MACHINE_OR_SENSOR = frozenset(
    {"machine_fault", "wear", "flat_line", "out_of_range", "spikes", "clock_skew"}
)
"""Kinds of alarm that no fault of the stack may bring about. A silence it may: the readings do not come."""


@dataclass(frozen=True, slots=True)
class Told:
    """The monitor's alarms of a case's devices."""

    standing: frozenset[tuple[str, str]]
    """Device and kind of what is active now."""
    ever: frozenset[tuple[str, str]]
    """Of what was active at any time."""


class Alarms:
    """The alerts as they stand, without Grafana's pending times.

    Args:
        database: The stack's.
        prefix: Of the devices whose alerts count; others are another case's.
    """

    def __init__(self, database: Database, prefix: str) -> None:
        self._database = database
        self._prefix = prefix

    def firing(self) -> set[str]:
        """The alerts that fire, each by its title and its labels' values."""
        found = set()
        for rule in rules():
            try:
                outcome = evaluate(rule, self._database)
            except OSError:
                if rule["execErrState"] == "Error":
                    found.add(DATABASE_AWAY)
                continue
            for labels, fires in outcome.firing.items():
                known = dict(labels)
                if fires and known.get("deviceID", self._prefix).startswith(self._prefix):
                    found.add(" ".join([rule["title"], *known.values()]))
        return found

    def told(self) -> Told:
        """What the monitor has told of the devices, through broker, Telegraf and InfluxDB.

        Raises:
            OSError: InfluxDB does not answer.
        """
        rows = self._database.query(
            f'SELECT "active", "kind" FROM "alarm" WHERE "deviceID" =~ /^{self._prefix}-[0-9]+$/ GROUP BY "deviceID"',
            user="grafana",
        )
        now = {row["deviceID"]: row for row in sorted(rows, key=lambda row: row["time"])}
        return Told(
            frozenset((device, row["kind"]) for device, row in now.items() if row["active"]),
            frozenset((row["deviceID"], row["kind"]) for row in rows if row["active"]),
        )


def pending_s(title: str) -> float:
    """How long a rule must hold before its alert fires, evaluation included, seconds."""
    [wait] = {rule["for"] for rule in rules() if rule["title"] == title}
    return float(wait.removesuffix("s")) + EVALUATION_S
