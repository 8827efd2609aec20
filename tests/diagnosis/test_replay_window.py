"""The window of what was seen says the same as a plain set of numbers, in constant memory."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.diagnosis.replay_window import SeenReadings

WIDTH = 1024
# Mostly neighbours, as readings come; sometimes far ahead or behind, over the edge of the window.
STEPS = st.lists(
    st.one_of(st.integers(-3, 4), st.sampled_from([-1100, -1023, -1024, 500, 1023, 1024, 1025, 3000]))
)


def is_new(seen: set[int], seq: int) -> bool:
    """From the description: anything older than the newest 1,024 counts as seen."""
    if seq in seen or (seen and max(seen) - seq >= WIDTH):
        return False
    seen.add(seq)
    return True


@given(STEPS, st.integers(0, 30))
@settings(max_examples=300, deadline=None)
def test_it_knows_what_a_set_of_all_numbers_knows(steps: list[int], restart_at: int) -> None:
    window, plain, seq = SeenReadings(), set[int](), 5000
    for number, step in enumerate(steps):
        seq = max(0, seq + step)
        assert window.is_new("boot", seq, 0.0, ()) is is_new(plain, seq)
        if number == restart_at:
            state = json.loads(json.dumps(window.snapshot()))
            window = SeenReadings()
            window.restore(state)
