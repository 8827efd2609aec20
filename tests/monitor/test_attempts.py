from monitor.login.attempts import ADDRESS, PERSON, PERSON_AT_ADDRESS, AttemptLimiter
from tests.monitor.still_clock import StillClock


def test_a_person_who_mistypes_five_times_waits_and_may_try_again() -> None:
    clock = StillClock()
    limiter = AttemptLimiter(clock)
    assert [limiter.begin("kim", "10.0.0.7") for _ in range(PERSON_AT_ADDRESS.failures)] == [0.0] * 5
    assert limiter.begin("kim", "10.0.0.7") == PERSON_AT_ADDRESS.within_s
    assert limiter.begin("KIM", "10.0.0.7") > 0
    assert limiter.begin("lee", "10.0.0.7") == 0
    assert limiter.begin("kim", "10.0.0.8") == 0
    clock.advance(PERSON_AT_ADDRESS.within_s)
    assert limiter.begin("kim", "10.0.0.7") == 0


def test_the_right_password_takes_earlier_failures_back() -> None:
    limiter = AttemptLimiter(StillClock())
    for _ in range(ADDRESS.failures):  # many a shift: the address does not fill up either
        for _ in range(PERSON_AT_ADDRESS.failures - 1):
            assert limiter.begin("kim", "10.0.0.7") == 0
            limiter.succeeded("kim", "10.0.0.7")
    for _ in range(PERSON_AT_ADDRESS.failures - 1):
        limiter.begin("kim", "10.0.0.7")
    limiter.begin("kim", "10.0.0.7")
    limiter.succeeded("kim", "10.0.0.7")
    assert [limiter.begin("kim", "10.0.0.7") for _ in range(PERSON_AT_ADDRESS.failures)] == [0.0] * 5
    assert limiter.begin("kim", "10.0.0.7") > 0


def test_one_address_cannot_try_many_names_nor_many_addresses_one_name() -> None:
    clock = StillClock()
    limiter = AttemptLimiter(clock)
    tried = [limiter.begin(f"name-{number}", "10.0.0.7") for number in range(ADDRESS.failures + 1)]
    assert tried[:-1] == [0.0] * ADDRESS.failures
    assert tried[-1] > 0
    tried = [limiter.begin("operator", f"10.0.1.{number}") for number in range(PERSON.failures + 1)]
    assert tried[:-1] == [0.0] * PERSON.failures
    assert tried[-1] > 0


def test_a_refused_attempt_does_not_prolong_the_wait() -> None:
    clock = StillClock()
    limiter = AttemptLimiter(clock)
    for _ in range(PERSON_AT_ADDRESS.failures):
        limiter.begin("kim", "10.0.0.7")
    clock.advance(200)
    assert limiter.begin("kim", "10.0.0.7") == PERSON_AT_ADDRESS.within_s - 200
    clock.advance(PERSON_AT_ADDRESS.within_s - 200)
    assert limiter.begin("kim", "10.0.0.7") == 0


def test_what_is_remembered_is_bounded() -> None:
    limiter = AttemptLimiter(StillClock())
    for number in range(5000):
        limiter.begin(f"name-{number}", f"10.{number // 250}.{number % 250}.1")
    assert len(limiter._failures) <= 4096
