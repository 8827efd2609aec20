"""Shadow mode: a challenger scores what the champion has scored; none of its verdicts leaves the service.

It does so after the answer, in a thread of its own, and never holds a request up: when it cannot keep up, whole
requests are left out, and counted. What is compared is metrics (inference/metrics.py).
"""

import queue
import threading
import time
from dataclasses import dataclass

import structlog

from inference.metrics import InferenceMetrics
from inference.runtimes import Rows
from inference.service import Scored, ServedModel

_LOG = structlog.get_logger()
_MOST_WAITING = 64


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the champion answered to one request."""

    rows: Rows
    scored: Scored
    seconds: float


class Shadow:
    """At most one challenger."""

    def __init__(self, metrics: InferenceMetrics) -> None:
        self._metrics = metrics
        self._challenger: ServedModel | None = None
        self._waiting: queue.Queue[_Answer] = queue.Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._fails = False
        """Whether the last comparison did: one line in the log for a row of them."""

    def challenge(self, challenger: ServedModel | None) -> None:
        """Another challenger from now on; None for no more."""
        if challenger is self._challenger:
            return
        self._challenger = challenger
        if challenger is not None and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()

    def scored(self, rows: Rows, scored: Scored, seconds: float) -> None:
        """The champion has scored rows; costs nothing while there is no challenger."""
        if self._challenger is None:
            return
        try:
            self._waiting.put_nowait(_Answer(rows, scored, seconds))
        except queue.Full:
            self._metrics.shadow_left_out.inc(len(rows))

    def failed(self, model: ServedModel, rows: Rows, seconds: float) -> None:
        """There is nothing to compare."""

    def _run(self) -> None:
        while True:
            answer = self._waiting.get()
            challenger = self._challenger
            if challenger is None or challenger.manifest.signals != answer.scored.model.manifest.signals:
                self._metrics.shadow_left_out.inc(len(answer.rows))
                continue
            try:
                self._compare(answer, challenger)
            except Exception as error:  # noqa: BLE001 - of the challenger's making; the champion goes on
                self._metrics.shadow_failures.inc()
                if not self._fails:
                    _LOG.warning(
                        "challenger_failed", model=challenger.manifest.model_id, error=repr(error)[:300]
                    )
                self._fails = True
            else:
                self._fails = False

    def _compare(self, answer: _Answer, challenger: ServedModel) -> None:
        began = time.perf_counter()
        _, fault = challenger.score(answer.rows)
        seconds = time.perf_counter() - began
        pair = answer.scored.model.manifest.model_id, challenger.manifest.model_id
        self._metrics.shadow_rows.labels(*pair).inc(len(fault))
        self._metrics.shadow_agreed.labels(*pair).inc(int((fault == answer.scored.fault).sum()))
        self._metrics.shadow_faults.labels(*pair, "champion").inc(int(answer.scored.fault.sum()))
        self._metrics.shadow_faults.labels(*pair, "challenger").inc(int(fault.sum()))
        self._metrics.shadow_seconds.labels(*pair, "champion").observe(answer.seconds)
        self._metrics.shadow_seconds.labels(*pair, "challenger").observe(seconds)
