"""The figures of the demo: counted once whatever comes twice or in another order, and judged by the truth alone."""

import json
from pathlib import Path

import pytest

from demo.ledger import Key, KeySet, Ledger, NumberSet
from demo.measure import key_of, status_line
from demo.truth import Truth

STARTED_S = 1000.0


def told(file: Path, device: str, seq: int, fault: int | None) -> None:
    with file.open("a") as lines:
        lines.write(json.dumps({"deviceID": device, "bootID": "b", "seq": seq, "fault": fault}) + "\n")


@pytest.fixture
def truth_file(tmp_path: Path) -> Path:
    return tmp_path / "truth.jsonl"


@pytest.fixture
def ledger(truth_file: Path) -> Ledger:
    return Ledger(Truth(truth_file), STARTED_S)


def key(seq: int, device: str = "1") -> Key:
    return (device, "b", seq)


def scored(ledger: Ledger, which: Key, fault: int = 0, took_s: float = 0.01) -> None:
    ledger.verdict(which, fault=fault, measured_s=STARTED_S + 5, arrived_s=STARTED_S + 5 + took_s)


def test_what_is_published_is_scored_rejected_or_missing(ledger: Ledger) -> None:
    for seq in range(10):
        ledger.reading(key(seq))
    for seq in range(6):
        scored(ledger, key(seq))
    ledger.rejection(key(6))
    figures = ledger.figures()
    assert (figures.published, figures.scored, figures.rejected, figures.missing) == (10, 6, 1, 3)


def test_duplicates_count_once(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.reading(key(0))
        scored(ledger, key(0))
        ledger.reading(key(1))
        ledger.rejection(key(1))
    figures = ledger.figures()
    assert (figures.published, figures.scored, figures.rejected, figures.missing) == (2, 1, 1, 0)


def test_a_verdict_may_overtake_its_reading(ledger: Ledger) -> None:
    scored(ledger, key(0))
    ledger.reading(key(0))
    assert (ledger.figures().published, ledger.figures().missing) == (1, 0)


def test_a_closed_ledger_takes_answers_only_to_what_it_has_seen(ledger: Ledger) -> None:
    ledger.reading(key(0))
    ledger.close()
    ledger.reading(key(1))
    scored(ledger, key(0))
    scored(ledger, key(1))
    assert (ledger.figures().published, ledger.figures().scored, ledger.figures().missing) == (1, 1, 0)


def test_accuracy_is_the_share_of_right_verdicts_where_the_truth_is_known(
    ledger: Ledger, truth_file: Path
) -> None:
    told(truth_file, "1", 0, 0)
    told(truth_file, "1", 4, 1)
    told(truth_file, "1", 8, None)
    for seq, fault in enumerate([0, 0, 0, 1, 1, 1, 1, 1, 1, 0]):
        scored(ledger, key(seq), fault)
    scored(ledger, key(0, "unknown"), 1)
    assert ledger.figures().accuracy == 7 / 8


def test_truth_that_is_written_later_is_found(ledger: Ledger, truth_file: Path) -> None:
    told(truth_file, "1", 0, 0)
    scored(ledger, key(0), 0)
    assert ledger.figures().accuracy == 1
    told(truth_file, "1", 1, 1)
    scored(ledger, key(1), 0)
    assert ledger.figures().accuracy == 0.5


def test_a_half_written_line_of_truth_waits_for_its_rest(truth_file: Path) -> None:
    truth = Truth(truth_file)
    told(truth_file, "1", 0, 0)
    whole = truth_file.read_text()
    truth_file.write_text(whole[:-10])
    truth.read_on()
    assert truth.fault("1", "b", 0) is None
    truth_file.write_text(whole)
    truth.read_on()
    assert truth.fault("1", "b", 0) == 0


def test_the_broken_fans_are_those_whose_last_word_says_so(truth_file: Path) -> None:
    truth = Truth(truth_file)
    for device, fault in [("5", 1), ("6", 1), ("6", 0), ("4", None), ("5", 1)]:
        told(truth_file, device, 0, fault)
    truth.read_on()
    assert truth.faulty_devices() == ["5"]


def test_the_percentiles_are_those_of_the_time_from_fan_to_verdict(ledger: Ledger) -> None:
    for seq in range(100):
        scored(ledger, key(seq), took_s=(seq + 1) / 1000)
    figures = ledger.figures()
    assert (figures.p50_ms, figures.p99_ms) == (50, 99)
    assert figures.first_verdict_s == pytest.approx(5.001)


def test_without_any_verdict_there_are_no_figures_of_time(ledger: Ledger) -> None:
    ledger.reading(key(0))
    figures = ledger.figures()
    assert (figures.accuracy, figures.p50_ms, figures.p99_ms, figures.first_verdict_s) == (None,) * 4
    assert "waiting for the first verdict" in status_line(figures, 2.0, [])


def test_the_figures_keep_their_order(ledger: Ledger) -> None:
    assert list(ledger.figures().as_dict()) == [
        "published",
        "scored",
        "rejected",
        "missing",
        "accuracy",
        "p50_ms",
        "p99_ms",
        "first_verdict_s",
    ]


def test_the_status_line_names_the_broken_fans(ledger: Ledger) -> None:
    scored(ledger, key(0))
    line = status_line(ledger.figures(), 3.0, ["5", "6"])
    assert "1 verdicts" in line
    assert line.endswith("broken: fan 5, 6")


def test_the_status_line_says_when_verdicts_have_stopped(ledger: Ledger) -> None:
    scored(ledger, key(0))
    ledger.reading(key(1))
    assert "no verdict for 7 s: 1 of 2 readings wait" in status_line(ledger.figures(), 9.0, [], 7.0)


def test_a_set_of_numbers_is_exact_in_any_order_and_small_without_gaps() -> None:
    numbers = NumberSet()
    for number in [3, 1, 0, 5, 2, 1]:
        numbers.add(number)
    assert [number in numbers for number in range(7)] == [True, True, True, True, False, True, False]
    assert len(numbers) == 5
    assert not numbers.add(3)
    assert numbers.add(4)
    assert len(numbers._above) == 0


def test_runs_of_one_device_are_counted_apart() -> None:
    keys = KeySet()
    assert keys.add(("1", "a", 0))
    assert keys.add(("1", "b", 0))
    assert not keys.add(("1", "a", 0))
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"deviceID": "1", "bootID": "b", "seq": 3, "rotation": "broken"}', ("1", "b", 3)),
        (b'{"deviceID": "1", "bootID": "b"}', None),
        (b'{"deviceID": 1, "bootID": "b", "seq": 3}', None),
        (b'{"deviceID": "1", "bootID": "b", "seq": -3}', None),
        (b"[1]", None),
        (b"\xff not JSON", None),
    ],
)
def test_a_payload_is_known_by_its_number_even_if_the_rest_is_broken(
    payload: bytes, expected: Key | None
) -> None:
    assert key_of(payload) == expected
