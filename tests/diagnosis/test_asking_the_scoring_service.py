from collections.abc import Callable

import pytest

from monitor.diagnosis.plant import Plant
from monitor.diagnosis.reasons import Reasons
from monitor.diagnosis.shapley import NotScored
from monitor.scoring import ScoringService
from testbed.ports import free_port
from testbed.services import Inference
from testbed.site import Site
from tests.diagnosis.told import score

READING = (430.0, 41.0, 231.0, 48.0)


def test_an_alarm_is_explained_by_the_model_that_is_served(new_site: Callable[[], Site]) -> None:
    with Inference(new_site()) as service:
        asked = ScoringService(service.url, "fan")
        served = Reasons(Plant.read(), asked.score).of_fault(READING)
        with pytest.raises(NotScored, match="404"):
            ScoringService(service.url, "pump").score([READING])
        asked.close()
    why, inspect, parts = Reasons(Plant.read(), score).of_fault(READING)
    assert served[:2] == (why, inspect)
    assert [part.share for part in served[2]] == pytest.approx([part.share for part in parts], abs=1e-4)


def test_a_scoring_service_that_is_away_leaves_the_alarm_its_reasons() -> None:
    away = ScoringService(f"http://127.0.0.1:{free_port()}", "fan")
    with pytest.raises(NotScored, match="Connection refused"):
        away.score([READING])
    why, inspect, _ = Reasons(Plant.read(), away.score).of_fault(READING)
    assert "Rotation 430 r/min (usual 500 to 700)" in why
    assert inspect == "bearing and belt"
