"""Acknowledgements go out in order of arrival, each after its verdict."""

from hypothesis import given
from hypothesis import strategies as st

from predictor.acknowledgement import AcknowledgementWindow


def test_a_confirmed_reading_waits_for_those_before_it() -> None:
    window = AcknowledgementWindow()
    for mid in (1, 2, 3):
        window.add(mid, 100 + mid)
    assert window.confirm(103) == []
    assert window.confirm(101) == [1]
    assert window.confirm(102) == [2, 3]
    assert len(window) == 0


def test_after_the_connection_is_lost_a_late_confirmation_acknowledges_nothing() -> None:
    window = AcknowledgementWindow()
    window.add(1, 101)
    window.forget()
    window.add(1, 102)
    assert window.confirm(101) == []
    assert window.confirm(102) == [1]


@given(st.permutations(range(30)))
def test_whatever_the_order_of_confirmations_each_reading_is_acknowledged_once_and_in_order(
    order: list[int],
) -> None:
    window = AcknowledgementWindow()
    for mid in range(30):
        window.add(mid, 100 + mid)
    acknowledged: list[int] = []
    confirmed = set()
    for mid in order:
        confirmed.add(mid)
        ready = window.confirm(100 + mid)
        acknowledged += ready
        assert set(ready) <= confirmed
    assert acknowledged == list(range(30))
