"""Which of Grafana's alerts fire now: the committed rules, evaluated on the stack's own InfluxDB."""

from testbed.alert_rules import Database, evaluate, rules

DATABASE_AWAY = "DatasourceError"
"""What Grafana raises of a rule whose execErrState is Error while InfluxDB does not answer."""

EVALUATION_S = 10
"""Grafana evaluates every ten seconds; an alert is as much later than its data at the most."""


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


def pending_s(title: str) -> float:
    """How long a rule must hold before its alert fires, evaluation included, seconds."""
    [wait] = {rule["for"] for rule in rules() if rule["title"] == title}
    return float(wait.removesuffix("s")) + EVALUATION_S
