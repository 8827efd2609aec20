"""Wire the predictor and run it until SIGTERM or SIGINT."""

import signal
import sys
import time
from datetime import UTC, datetime

import structlog
from pydantic import ValidationError

from contract.topics import Topics
from predictor.broker import BrokerSession, RefusedByBroker
from predictor.examination import Examiner
from predictor.health import HealthServer, Progress, health_app
from predictor.judgement import Judge
from predictor.metrics import PredictorMetrics
from predictor.scoring import HttpScorer, ServedModel
from predictor.settings import PredictorSettings
from predictor.worker import Worker

_LOG = structlog.get_logger()


def main() -> int:
    """Run the predictor; 0 after a clean stop, 1 when it cannot work, 2 when its settings are wrong."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ]
    )
    try:
        settings = PredictorSettings.read()
        topics = Topics(settings.topic_root)
    except (ValidationError, ValueError) as error:
        _LOG.error("settings_are_wrong", error=str(error))
        return 2
    try:
        return _run(settings, topics)
    except (RefusedByBroker, OSError) as error:
        _LOG.error("predictor_cannot_work", error=str(error))
        return 1


def _run(settings: PredictorSettings, topics: Topics) -> int:
    def now() -> datetime:
        return datetime.now(UTC)

    def examiner_for(model: ServedModel) -> Examiner:
        return Examiner(
            model.signature, topics, settings.naive_time_zone, settings.max_ahead, settings.oldest
        )

    metrics = PredictorMetrics()
    progress = Progress(time.monotonic, settings.stall_s)
    health = HealthServer(health_app(progress, metrics.registry), settings.listen_host, settings.listen_port)
    scorer = HttpScorer(settings.inference_url, settings.model_name, settings.scoring_timeout_s)
    session = BrokerSession(settings, topics)
    worker = Worker(
        session,
        Judge(scorer, topics, examiner_for, now),
        progress,
        metrics,
        max_batch=settings.max_batch,
        receive_maximum=settings.receive_maximum,
        clock=now,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.request_stop())

    health.start()
    _LOG.info(
        "predictor_started", broker=f"{settings.mqtt_host}:{settings.mqtt_port}", health_port=health.port
    )
    try:
        worker.run(settings.stop_s)
    finally:
        session.close()
        scorer.close()
        health.close()
    _LOG.info("predictor_stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
