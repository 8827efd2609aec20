"""Whether the drift service flags anything: what starts a run of the pipeline between two dates of its schedule."""

from dataclasses import dataclass

import requests
from prometheus_client.parser import text_string_to_metric_families

FLAG = "fanwatch_drift_flagged"
_TO_MEND = frozenset({"sensor", "machine"})
_TIMEOUT_S = 10


class DriftUnknown(Exception):  # noqa: N818 - it names the state
    """The drift service cannot be asked; says where and why."""


@dataclass(frozen=True)
class Drift:
    """What is flagged, by kind.

    Attributes:
        to_learn: A model that is trained again would know: a season, or what the model says of most devices.
        to_mend: Of one device, its sensor or the machine itself: trained on it, a model would learn the fault.
    """

    to_learn: tuple[str, ...]
    to_mend: tuple[str, ...]


def read_flags(text: str) -> Drift:
    """What is flagged in a text of metrics.

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
    kinds = [sample.labels.get("kind", "drift") for sample in samples if sample.value > 0]
    return Drift(
        tuple(kind for kind in kinds if kind not in _TO_MEND),
        tuple(kind for kind in kinds if kind in _TO_MEND),
    )


def ask_drift(url: str) -> Drift:
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
        return read_flags(answer.text)
    except requests.RequestException as error:
        raise DriftUnknown(f"the drift service cannot be asked at {url}: {error}") from error
    except (DriftUnknown, ValueError) as error:
        raise DriftUnknown(f"{url}: {error}") from error
