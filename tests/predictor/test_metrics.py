"""What a dashboard reads of the predictor."""

from prometheus_client import generate_latest

from contract.rejection import Reason
from predictor.metrics import PredictorMetrics


def test_every_reason_has_its_series_from_the_start_so_that_the_first_rejection_shows_in_a_rate() -> None:
    text = generate_latest(PredictorMetrics().registry).decode()
    for reason in Reason:
        assert f'fanwatch_predictor_readings_rejected_total{{reason="{reason}"}} 0.0' in text
