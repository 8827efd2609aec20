"""The committed alert rules, and what Grafana does with their queries and expressions.

Source: the documentation of Grafana's server-side expressions. A query gives one series for each set of labels;
"reduce" makes one number of each; "math" and "threshold" work label set by label set and give 1 or 0, and a math of two
variables keeps the label sets that both have.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import yaml

from testbed.process import REPOSITORY

RULES = REPOSITORY / "grafana" / "provisioning" / "alerting" / "rules.yml"

Labels = tuple[tuple[str, str], ...]
Series = dict[Labels, list[float]]

_REDUCERS: dict[str, Callable[[list[float]], float]] = {"last": lambda values: values[-1]}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {"lt": operator.lt, "gt": operator.gt}
_MATH = re.compile(r"\$\{(\w+)\} (>=|<=|>|<) ([0-9.]+)")
_MATH_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


class Database(Protocol):
    """What can be asked as Grafana asks."""

    def query(self, statement: str, *, user: str = "admin") -> list[dict[str, Any]]:
        """The rows of a statement, each a dict with its columns and tags."""


@dataclass(frozen=True)
class Outcome:
    """What one evaluation of a rule found: whether it fires, for each label set. Empty is Grafana's "no data"."""

    firing: dict[Labels, bool]

    def of(self, **labels: str) -> bool | None:
        """Whether the alert of these labels fires; None when the query returned no such series."""
        return self.firing.get(tuple(sorted(labels.items())))


def rule_groups() -> list[dict[str, Any]]:
    """The groups of the file."""
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    return groups


def rules() -> list[dict[str, Any]]:
    """Every rule of every group."""
    return [rule for group in rule_groups() for rule in group["rules"]]


def rule(uid: str) -> dict[str, Any]:
    """One rule by its uid."""
    return next(rule for rule in rules() if rule["uid"] == uid)


def evaluate(rule: dict[str, Any], influxdb: Database) -> Outcome:
    """Evaluates a rule once, with the rights that Grafana has.

    Raises:
        ValueError: InfluxDB refused a query, or two series of a query have the same labels, which Grafana refuses.
    """
    series: dict[str, Series] = {}
    numbers: dict[str, dict[Labels, float]] = {}
    for step in rule["data"]:
        model, name = step["model"], step["refId"]
        if step["datasourceUid"] != "__expr__":
            series[name] = _query(influxdb, model["query"])
        elif model["type"] == "reduce":
            reducer = _REDUCERS[model["reducer"]]
            numbers[name] = {labels: reducer(v) for labels, v in series[model["expression"]].items()}
        elif model["type"] == "threshold":
            evaluator = model["conditions"][0]["evaluator"]
            compare = _COMPARISONS[evaluator["type"]]
            limit = evaluator["params"][0]
            numbers[name] = {
                labels: float(compare(value, limit)) for labels, value in numbers[model["expression"]].items()
            }
        else:
            assert model["type"] == "math", model
            numbers[name] = _math(model["expression"], numbers)
    return Outcome({labels: value != 0 for labels, value in numbers[rule["condition"]].items()})


def _query(influxdb: Database, statement: str) -> Series:
    found: Series = {}
    times: set[tuple[Labels, int]] = set()
    for row in influxdb.query(statement, user="grafana"):
        values = {key: value for key, value in row.items() if key not in {"time", "name"}}
        labels = tuple(sorted((key, value) for key, value in values.items() if isinstance(value, str)))
        columns = [value for value in values.values() if not isinstance(value, str)]
        if len(columns) != 1 or (labels, row["time"]) in times:
            raise ValueError(f"two series with the labels {labels}")
        times.add((labels, row["time"]))
        if columns[0] is not None:
            found.setdefault(labels, []).append(float(columns[0]))
    return found


def _math(expression: str, numbers: dict[str, dict[Labels, float]]) -> dict[Labels, float]:
    """Comparisons of a variable with a number, joined by &&: all that the rules use."""
    parts = [_MATH.fullmatch(part) for part in expression.split(" && ")]
    terms = [(part[1], _MATH_COMPARISONS[part[2]], float(part[3])) for part in parts if part]
    assert len(terms) == len(parts), f"not understood: {expression}"
    common = set.intersection(*(set(numbers[name]) for name, _, _ in terms))
    return {
        labels: float(all(compare(numbers[name][labels], limit) for name, compare, limit in terms))
        for labels in common
    }
