"""Whether a running simulator works: asked of its own /metrics, for the container's health check."""

import time
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from simulator.metrics import PREFIX

STALLED_AFTER_S = 30.0


def diagnose(metrics_text: str, now_s: float, stalled_after_s: float = STALLED_AFTER_S) -> str | None:
    """What is wrong, or None.

    Args:
        metrics_text: The answer of /metrics.
        now_s: Unix time.
        stalled_after_s: Seconds without progress that are still well. Readings that wait while none is
            acknowledged are no progress; a fleet that is silent by order waits for nothing.

    Raises:
        KeyError: The text is not the simulator's.
    """
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(metrics_text)
        for sample in family.samples
    }
    round_age_s = now_s - samples[f"{PREFIX}_last_round_timestamp_seconds"]
    if round_age_s > stalled_after_s:
        return f"the main loop has stood still for {round_age_s:.0f} s"
    waiting = samples[f"{PREFIX}_readings_unacknowledged"]
    ack_age_s = now_s - samples[f"{PREFIX}_last_acknowledgement_timestamp_seconds"]
    if waiting and ack_age_s > stalled_after_s:
        return f"{waiting:.0f} readings wait, and the broker has acknowledged none for {ack_age_s:.0f} s"
    return None


def ask(host: str, port: int, now_s: float) -> str | None:
    """Diagnose the simulator that serves /metrics at host and port; None when it is well."""
    # A service that listens everywhere is asked on the loopback.
    host = "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound
    url = f"http://{host}:{port}/metrics"
    try:
        with urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
    except (URLError, OSError) as error:
        return f"{url} does not answer: {error}"
    try:
        return diagnose(text, now_s)
    except KeyError as error:
        return f"{url} is not a simulator's: {error} is missing"


def main(host: str, port: int) -> int:
    """Print what is wrong, if anything; the exit code."""
    trouble = ask(host, port, time.time())
    print(trouble or "well")  # noqa: T201 - its output is what a health check is for
    return 0 if trouble is None else 1
