"""The check itself: what is lost, doubled or wrong is found, and what no promise covers is counted apart."""

from benchmarks.chaos.ledger import Key, Sent, Stored, audit, stored_of

FAN = "fan"
SENT = {
    Key(FAN, seq): Sent(Key(FAN, seq), 1_000_000 * seq + seq, rotation=600.0 + seq, fault=0)
    for seq in range(5)
}
TELEMETRY = [Stored(key, sent.time_ns, sent.rotation) for key, sent in SENT.items()]
ANOMALY = [Stored(key, sent.time_ns, float(sent.fault)) for key, sent in SENT.items()]


def but(points: list[Stored], seq: int) -> list[Stored]:
    return [point for point in points if point.key.seq != seq]


def test_everything_stored_once_is_no_loss() -> None:
    found = audit(SENT, TELEMETRY, ANOMALY)
    assert (found.acknowledged, found.lost, found.broken_promises) == (5, 0, 0)
    assert found.sentence() == "each stored once, with its verdict"


def test_a_reading_that_is_missing_in_either_is_a_loss() -> None:
    found = audit(SENT, but(TELEMETRY, 1), but(ANOMALY, 2))
    assert (found.missing_readings, found.missing_verdicts) == ([Key(FAN, 1)], [Key(FAN, 2)])
    assert (found.lost, found.broken_promises) == (2, 2)
    assert found.sentence() == "1 not in telemetry, 1 without verdict"


def test_a_dead_letter_stands_for_a_verdict_and_not_for_a_reading() -> None:
    found = audit(SENT, but(TELEMETRY, 1), but(ANOMALY, 1), rejected={Key(FAN, 1)})
    assert (found.missing_readings, found.missing_verdicts) == ([Key(FAN, 1)], [])


def test_a_point_stored_twice_is_found() -> None:
    again = Stored(Key(FAN, 3), TELEMETRY[3].time_ns, TELEMETRY[3].value)
    found = audit(SENT, [*TELEMETRY, again], ANOMALY)
    assert (found.doubled, found.lost, found.broken_promises) == ([Key(FAN, 3)], 0, 1)


def test_another_time_another_value_another_verdict_and_a_stranger_are_wrong() -> None:
    late = Stored(Key(FAN, 0), TELEMETRY[0].time_ns + 1, TELEMETRY[0].value)
    faster = Stored(Key(FAN, 1), TELEMETRY[1].time_ns, 1.0)
    faulty = Stored(Key(FAN, 2), ANOMALY[2].time_ns, 1.0)
    stranger = Stored(Key("nobody", 1), 1, 1.0)
    found = audit(SENT, [late, faster, *TELEMETRY[2:], stranger], [*but(ANOMALY, 2), faulty])
    assert found.wrong == sorted([late.key, faster.key, faulty.key, stranger.key])
    assert found.broken_promises == 4


def test_what_no_promise_covers_is_lost_and_counted_under_its_words() -> None:
    found = audit(SENT, but(TELEMETRY, 4), ANOMALY, excused={"in the last turn": {Key(FAN, 4), Key(FAN, 0)}})
    assert (found.lost, found.broken_promises) == (1, 0)
    assert found.excused == {"in the last turn": [Key(FAN, 4)]}
    assert found.sentence() == "1 lost: in the last turn"


def test_what_two_reasons_excuse_counts_once() -> None:
    excused = {"in the last turn": {Key(FAN, 4)}, "on a full volume": {Key(FAN, 3), Key(FAN, 4)}}
    found = audit(SENT, but(but(TELEMETRY, 4), 3), ANOMALY, excused=excused)
    assert found.excused == {"in the last turn": [Key(FAN, 4)], "on a full volume": [Key(FAN, 3)]}
    assert (found.lost, found.broken_promises) == (2, 0)


def test_what_was_not_acknowledged_may_be_stored_and_only_rightly() -> None:
    acknowledged = {key: sent for key, sent in SENT.items() if key.seq < 4}
    open_ones = {key: sent for key, sent in SENT.items() if key.seq == 4}
    assert audit(acknowledged, TELEMETRY, ANOMALY, unacknowledged=open_ones).broken_promises == 0
    assert audit(acknowledged, but(TELEMETRY, 4), ANOMALY, unacknowledged=open_ones).lost == 0


def test_the_rows_of_a_query_become_points() -> None:
    rows = [{"deviceID": FAN, "seq": 3.0, "time": 7, "fault": 1.0, "name": "anomaly"}]
    assert stored_of(rows, "fault") == [Stored(Key(FAN, 3), 7, 1.0)]
