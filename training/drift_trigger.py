"""Whether the drift service flags anything: what starts a run of the pipeline between two dates of its schedule."""

import requests
from prometheus_client.parser import text_string_to_metric_families

FLAG = "fanwatch_drift_flagged"
_TIMEOUT_S = 10


class DriftUnknown(Exception):  # noqa: N818 - it names the state
    """The drift service cannot be asked; says where and why."""


def flagged(text: str) -> list[str]:
    """What is flagged in a text of metrics, each as its labels say it.

    Raises:
        DriftUnknown: There is no such gauge in it.
    """
    samples = [
        sample
        for family in text_string_to_metric_families(text)
        if family.name == FLAG
        for sample in family.samples
    ]
    if not samples:
        raise DriftUnknown(f"no gauge {FLAG}; expected one sample at least")
    return [
        ", ".join(f"{name} {value}" for name, value in sorted(sample.labels.items())) or "the model"
        for sample in samples
        if sample.value > 0
    ]


def ask_drift(url: str) -> list[str]:
    """What the drift service flags now.

    Args:
        url: Of its /metrics.

    Raises:
        DriftUnknown: It does not answer, or what it says has no such gauge.
    """
    session = requests.Session()
    session.trust_env = False  # a proxy or a netrc must not come between
    try:
        answer = session.get(url, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        return flagged(answer.text)
    except requests.RequestException as error:
        raise DriftUnknown(f"the drift service cannot be asked at {url}: {error}") from error
    except (DriftUnknown, ValueError) as error:
        raise DriftUnknown(f"{url}: {error}") from error
