import json
import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.rejection import MAX_REJECTED_PAYLOAD_BYTES, Reason, Rejection
from contract.timestamp import format_timestamp
from monitor.loss_ledger import MAX_BOOTS, Arrival, Losses, LossLedger, Number, number_of

MAX_STRETCHES = 32


class NaiveLedger:
    """Keeps every number that ever came, of every bootID."""

    def __init__(self) -> None:
        self._came: dict[str, list[int]] = {}

    def take(self, number: Number | None) -> Arrival:
        if number is None:
            return Arrival.UNNUMBERED
        came = self._came.setdefault(number.boot_id, [])
        arrival = (
            Arrival.DUPLICATE
            if number.seq in came
            else Arrival.OUT_OF_ORDER
            if any(number.seq < other for other in came)
            else Arrival.IN_ORDER
        )
        came.append(number.seq)
        return arrival

    @property
    def missing(self) -> int:
        return sum(len(set(range(came[0], max(came))) - set(came)) for came in self._came.values())


def numbers(*seqs: int, boot: str = "b") -> list[Number]:
    return [Number(boot, seq) for seq in seqs]


def ledger_of(*arrived: Number | None) -> LossLedger:
    ledger = LossLedger(MAX_STRETCHES)
    for number in arrived:
        ledger.take(number)
    return ledger


def figures(losses: Losses) -> dict[str, int]:
    """Only what is not 0."""
    told = {arrival.value: losses.of(arrival) for arrival in Arrival}
    told |= {"received": losses.received, "missing": losses.missing}
    return {name: count for name, count in told.items() if count}


few_boots = st.sampled_from("abc")
arrivals = st.lists(st.none() | st.builds(Number, few_boots, st.integers(0, 40)), max_size=150)


@given(arrivals)
def test_it_agrees_with_a_ledger_that_keeps_every_number(arrived: list[Number | None]) -> None:
    ledger, naive = LossLedger(max_stretches=100), NaiveLedger()
    for number in arrived:
        assert ledger.take(number) == naive.take(number)
        assert ledger.missing == naive.missing
    assert ledger.losses.received == len(arrived)
    assert ledger.losses.of(Arrival.UNDECIDED) == 0


@given(arrivals, st.integers(MAX_BOOTS, 8))
def test_where_memory_ends_missing_is_never_too_small_and_too_large_by_the_undecided_at_most(
    arrived: list[Number | None], max_stretches: int
) -> None:
    ledger, naive = LossLedger(max_stretches=max_stretches), NaiveLedger()
    for number in arrived:
        told, true = ledger.take(number), naive.take(number)
        assert told == true or (
            told is Arrival.UNDECIDED and true in {Arrival.DUPLICATE, Arrival.OUT_OF_ORDER}
        )
        undecided = ledger.losses.of(Arrival.UNDECIDED)
        assert ledger.missing - undecided <= naive.missing <= ledger.missing
    assert ledger.losses.received == len(arrived)


@given(st.permutations(range(1, 30)), st.data())
def test_readings_that_all_come_in_whatever_order_and_however_often_leave_none_missing(
    order: list[int], data: st.DataObject
) -> None:
    repeats = data.draw(st.lists(st.sampled_from(order), max_size=20))
    ledger = ledger_of(*numbers(0, *order, *repeats))
    assert ledger.missing == 0
    assert ledger.losses.of(Arrival.DUPLICATE) == len(repeats)


WITHIN_MEMORY = 2 * MAX_STRETCHES - 1
"""So many numbers in a row cannot make more stretches than are kept, however they come."""


@given(st.sets(st.integers(1, WITHIN_MEMORY - 2)), st.permutations(range(1, WITHIN_MEMORY)))
def test_what_never_comes_is_missing_however_the_rest_is_scattered(lost: set[int], order: list[int]) -> None:
    scattered = [0, *(seq for seq in order if seq not in lost)]
    assert ledger_of(*numbers(*scattered)).losses.missing == len(lost)


def test_a_gap_is_missing_until_its_readings_come() -> None:
    ledger = ledger_of(*numbers(5, 6, 9))
    assert figures(ledger.losses) == {"in_order": 3, "received": 3, "missing": 2}
    ledger.take(Number("b", 8))
    assert ledger.missing == 1
    ledger.take(Number("b", 7))
    assert figures(ledger.losses) == {"in_order": 3, "out_of_order": 2, "received": 5}


def test_a_repeat_is_received_and_a_duplicate_and_mends_no_gap() -> None:
    ledger = ledger_of(*numbers(1, 3, 3, 1))
    assert figures(ledger.losses) == {"in_order": 2, "duplicate": 2, "received": 4, "missing": 1}


def test_a_new_boot_starts_a_new_count_and_the_old_ones_stragglers_still_find_theirs() -> None:
    ledger = ledger_of(*numbers(100, 102), *numbers(0, 1, boot="new"))
    assert ledger.missing == 1
    ledger.take(Number("b", 101))
    assert figures(ledger.losses) == {"in_order": 4, "out_of_order": 1, "received": 5}


def test_a_fan_of_the_first_generation_is_counted_as_received_and_no_more() -> None:
    assert figures(ledger_of(None, None).losses) == {"unnumbered": 2, "received": 2}


def test_counting_begins_at_the_first_number_so_a_monitor_that_starts_late_invents_no_loss() -> None:
    ledger = ledger_of(*numbers(1_000_000, 1_000_001))
    assert ledger.missing == 0
    # Another predictor was slower with these; 999,997 came before the monitor did.
    ledger.take(Number("b", 999_998))
    ledger.take(Number("b", 999_996))
    assert ledger.missing == 0
    assert ledger.take(Number("b", 999_998)) is Arrival.DUPLICATE


def test_after_a_time_without_hearing_counting_begins_anew_and_what_was_missing_stays_missing() -> None:
    ledger = ledger_of(*numbers(0, 2))
    ledger.begin_anew()
    ledger.take(Number("b", 5000))
    ledger.take(Number("b", 5001))
    assert figures(ledger.losses) == {"in_order": 4, "received": 4, "missing": 1}


def test_a_boot_that_is_forgotten_keeps_what_it_misses_and_is_counted_anew() -> None:
    ledger = ledger_of(*numbers(0, 2))
    for boot in range(MAX_BOOTS):
        ledger.take(Number(f"later-{boot}", 0))
    assert ledger.missing == 1
    ledger.take(Number("b", 9))
    assert ledger.missing == 1


def test_the_lowest_gap_becomes_final_when_there_are_too_many() -> None:
    holes = numbers(
        *range(0, 2 * MAX_STRETCHES + 2, 2)
    )  # one stretch too many, so 0 and the gap at 1 are given up
    ledger = ledger_of(*holes)
    assert ledger.missing == MAX_STRETCHES
    assert [ledger.take(number) for number in numbers(1, 0)] == [Arrival.UNDECIDED] * 2
    assert ledger.missing == MAX_STRETCHES
    ledger.take(Number("b", 3))
    assert ledger.missing == MAX_STRETCHES - 1
    # Stretches have joined, and what was given up stays given up.
    assert ledger.take(Number("b", 1)) is Arrival.UNDECIDED


def test_the_boot_that_was_silent_longest_gives_up_its_gaps_first() -> None:
    ledger = LossLedger(max_stretches=4)
    for number in (*numbers(0, 2, boot="old"), *numbers(0, 2, 4, boot="new")):
        ledger.take(number)
    assert ledger.take(Number("old", 1)) is Arrival.UNDECIDED
    assert ledger.take(Number("new", 1)) is Arrival.OUT_OF_ORDER
    assert ledger.missing == 2


def test_two_predictors_that_take_turns_lose_nothing_however_far_one_falls_behind() -> None:
    ledger = LossLedger(max_stretches=2000)
    for number in (*numbers(*range(0, 3600, 2)), *numbers(*range(1, 3600, 2))):
        ledger.take(number)
    assert figures(ledger.losses) == {"in_order": 1801, "out_of_order": 1799, "received": 3600}


def test_the_memory_of_a_device_is_bounded_whatever_it_sends() -> None:
    tracemalloc.start()
    try:
        ledger = LossLedger(MAX_STRETCHES)
        for seq in range(0, 20_000, 2):
            ledger.take(Number(f"boot-{seq % 7000}", 2**52 + seq))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 10_000


def refused(payload: bytes, reason: Reason = Reason.OUT_OF_RANGE) -> Rejection:
    return Rejection.of(
        payload,
        topic="fan/messages/5",
        reason=reason,
        detail="-",
        rejected_at=format_timestamp(datetime(2026, 11, 23, tzinfo=UTC)),
        device_id="5",
    )


@pytest.mark.parametrize(
    "payload",
    [
        b'{"deviceID": "5", "seq": 17, "bootID": "a1b2", "rotation": 1e99}',
        b'{"seq": 17, "bootID": "a1b2", "rotation": NaN}',
        b'{"seq": 17, "bootID": "a1b2", "note": "' + b"x" * 20_000 + b'"}',
    ],
    ids=["out of range", "not finite", "too large"],
)
def test_a_refused_reading_has_its_number(payload: bytes) -> None:
    assert number_of(refused(payload)) == Number("a1b2", 17)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"rotation=600",
        b"[" * 9000,
        b"17",
        b'{"seq": 17}',
        b'{"seq": true, "bootID": "a"}',
        b'{"seq": 17.5, "bootID": "a"}',
        b'{"seq": -1, "bootID": "a"}',
        b'{"seq": 17, "bootID": 3}',
        b'{"seq": 17, "bootID": "a"',
        b'{"seq": 17, "bootID": "a\xff"}',
        b"\x00" * 5000,
    ],
)
def test_what_has_no_number_is_only_received(payload: bytes) -> None:
    assert number_of(refused(payload, Reason.NOT_A_READING)) is None


@given(st.integers(0, 3), st.integers(10**9, 10**15))
def test_a_number_that_was_cut_in_two_is_not_taken_for_another(before: int, seq: int) -> None:
    tail = f', "seq": {seq}, "bootID": "b"}}'
    filler = MAX_REJECTED_PAYLOAD_BYTES - len('{"x": ""') - len(f', "seq": {seq}') + 1 + before
    payload = json.dumps({"x": "y" * filler})[:-1] + tail
    assert number_of(refused(payload.encode())) is None


@given(st.binary(max_size=200))
def test_no_payload_makes_the_reader_fail(payload: bytes) -> None:
    number_of(refused(payload))
