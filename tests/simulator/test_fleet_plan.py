"""A fleet is described in words, and a word that makes no sense gets a sentence."""

import pytest

from contract.command import Condition
from simulator.plan import FleetPlan


def test_fans_begin_as_they_are_described() -> None:
    plan = FleetPlan(6, faulty=["5", "6"], conditions=["4=wearing:60", "3=silent"])
    fans = plan.build(seed=1, now_s=0)
    assert [fan.device_id for fan in fans] == ["1", "2", "3", "4", "5", "6"]
    assert [fan.condition for fan in fans] == [
        Condition.HEALTHY,
        Condition.HEALTHY,
        Condition.SILENT,
        Condition.WEARING,
        Condition.FAULTY,
        Condition.FAULTY,
    ]
    assert fans[3].label(59.9) is None
    assert fans[3].label(60) == 1


def test_a_prefix_names_the_fans_and_may_be_left_out_where_one_is_meant() -> None:
    fans = FleetPlan(2, prefix="line2-", faulty=["2"]).build(seed=1, now_s=0)
    assert [(fan.device_id, fan.condition.value) for fan in fans] == [
        ("line2-1", "healthy"),
        ("line2-2", "faulty"),
    ]


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (FleetPlan(6, faulty=["7"]), "there is no fan '7'"),
        (FleetPlan(6, conditions=["5=broken"]), "expected FAN=CONDITION"),
        (FleetPlan(6, conditions=["wearing"]), "expected FAN=CONDITION"),
        (FleetPlan(6, conditions=["5=wearing:soon"]), "no number of seconds"),
        (FleetPlan(6, conditions=["5=wearing:-1"]), "no number of seconds"),
        (FleetPlan(6, conditions=["5=faulty:10"]), "only wearing takes a time"),
    ],
)
def test_a_word_without_sense_gets_a_sentence(plan: FleetPlan, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        plan.build(seed=1, now_s=0)
