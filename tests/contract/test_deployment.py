from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.deployment import Deployment, NotDeployed
from contract.reference import QUANTILES, Reference

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
FIRST = Deployment(model="fan", champion="1", since="2026-11-25T11:00:00.000Z", why="installed")


def test_a_promotion_remembers_what_a_roll_back_goes_to() -> None:
    second = FIRST.shadowed("2", at=AT, why="try it").promoted("2", at=AT, why="it is better")
    assert (second.champion, second.challenger, second.previous) == ("2", None, "1")
    assert (second.since, second.why) == ("2026-11-25T12:00:00.000Z", "it is better")
    back = second.rolled_back(at=AT, why="p99 is above its limit")
    assert (back.champion, back.challenger, back.previous) == ("1", None, None)


def test_a_promotion_of_the_champion_changes_nothing() -> None:
    assert FIRST.promoted("1", at=AT, why="again") is FIRST


def test_there_is_no_way_back_where_nothing_was_before() -> None:
    with pytest.raises(NotDeployed, match="no version before 1"):
        FIRST.rolled_back(at=AT, why="")


def test_nobody_is_his_own_challenger() -> None:
    with pytest.raises(NotDeployed, match="is the champion"):
        FIRST.shadowed("1", at=AT, why="")


@given(st.lists(st.tuples(st.sampled_from(["promote", "shadow", "end", "back"]), st.sampled_from("123"))))
def test_no_sequence_of_changes_makes_one_version_two_things(changes: list[tuple[str, str]]) -> None:
    deployment = FIRST
    for what, version in changes:
        try:
            if what == "promote":
                deployment = deployment.promoted(version, at=AT, why=what)
            elif what == "back":
                deployment = deployment.rolled_back(at=AT, why=what)
            else:
                deployment = deployment.shadowed(None if what == "end" else version, at=AT, why=what)
        except NotDeployed:
            continue
        assert deployment.champion not in {deployment.challenger, deployment.previous}
        assert Deployment.model_validate_json(deployment.model_dump_json()) == deployment


@pytest.mark.parametrize("version", ["..", ".", ".hidden", "a/b", "", "1" * 65])
def test_a_version_is_a_plain_folder_name(version: str) -> None:
    with pytest.raises(ValidationError):
        Deployment(model="fan", champion=version, since="2026-11-25T11:00:00.000Z", why="")


def test_a_reference_whose_quantiles_fall_is_none() -> None:
    rising = tuple(number / QUANTILES for number in range(QUANTILES))
    Reference(rows=1, signals={"flow": rising}, probability=rising)
    with pytest.raises(ValidationError, match="must not fall"):
        Reference(rows=1, signals={"flow": rising[::-1]}, probability=rising)
    with pytest.raises(ValidationError, match="between 0 and 1"):
        Reference(rows=1, signals={"flow": rising}, probability=tuple(2 * value for value in rising))
