"""The core: a batch of payloads becomes verdicts and rejections, one for each, in their order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from contract.reading import InvalidReading
from contract.rejection import Reason, Rejection
from contract.timestamp import format_timestamp
from contract.topics import Topics
from contract.verdict import Verdict
from predictor.examination import ExaminedReading, Examiner
from predictor.scoring import Scorer, ScoringRefused, ScoringUnavailable, ServedModel

_MODEL_CHANGES_IN_A_BATCH = 3


@dataclass(frozen=True, slots=True)
class Message:
    """A payload and the topic on which it came."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be published for one message."""

    topic: str
    body: bytes
    measured_at: datetime | None = None
    """The sensor's time, UTC, of a verdict; None for a rejection."""
    reason: Reason | None = None
    """Why it was refused; None for a verdict."""


class Judge:
    """Examines and scores batches, and asks anew for the model's signature when another version answers."""

    def __init__(
        self,
        scorer: Scorer,
        topics: Topics,
        examiner_for: Callable[[ServedModel], Examiner],
        clock: Callable[[], datetime],
    ) -> None:
        self._scorer = scorer
        self._topics = topics
        self._examiner_for = examiner_for
        self._clock = clock
        self._model: ServedModel | None = None

    def judge(self, messages: Sequence[Message]) -> list[Outcome]:
        """Judge every message of a batch.

        Raises:
            ScoringUnavailable: Nothing was decided; hold the batch and try again.
        """
        for _ in range(_MODEL_CHANGES_IN_A_BATCH):
            if self._model is None:
                self._model = self._scorer.served_model()
            try:
                return self._judge_with(self._model, messages)
            except _SignatureChanged as change:
                self._model = change.model
        raise ScoringUnavailable(
            "the model's signature changes with every answer; see what the scoring service serves"
        )

    def _judge_with(self, model: ServedModel, messages: Sequence[Message]) -> list[Outcome]:
        now = self._clock()
        examiner = self._examiner_for(model)
        outcomes: dict[int, Outcome] = {}
        fit: list[tuple[int, ExaminedReading]] = []
        for index, message in enumerate(messages):
            try:
                fit.append((index, examiner.examine(message.topic, message.payload, now)))
            except InvalidReading as invalid:
                outcomes[index] = self._rejection(message, invalid, now)
        if fit:
            outcomes |= self._score(model, fit, messages, now)
        return [outcomes[index] for index in range(len(messages))]

    def _score(
        self,
        model: ServedModel,
        fit: Sequence[tuple[int, ExaminedReading]],
        messages: Sequence[Message],
        now: datetime,
    ) -> dict[int, Outcome]:
        try:
            scores = self._scorer.score([examined.row for _, examined in fit])
        except ScoringRefused as refusal:
            self._check_signature(model)
            if (
                len(fit) > 1
            ):  # one row that the model refuses must not hold up the others: halve until it is alone
                middle = len(fit) // 2
                return self._score(model, fit[:middle], messages, now) | self._score(
                    model, fit[middle:], messages, now
                )
            index, examined = fit[0]
            invalid = InvalidReading(Reason.REFUSED_BY_MODEL, str(refusal), examined.reading.device_id)
            return {index: self._rejection(messages[index], invalid, now)}
        if scores.version != model.version:
            model = self._check_signature(model)
        model_id = f"{model.name}:{scores.version}"
        return {
            index: self._verdict(messages[index], examined, fault, probability, model_id)
            for (index, examined), fault, probability in zip(
                fit, scores.faults, scores.probabilities, strict=True
            )
        }

    def _check_signature(self, used: ServedModel) -> ServedModel:
        """Take note of what is served now; raise when the rows were made for another signature."""
        served = self._scorer.served_model()
        if served.signature != used.signature:
            raise _SignatureChanged(served)
        self._model = served
        return served

    def _verdict(
        self, message: Message, examined: ExaminedReading, fault: int, probability: float, model_id: str
    ) -> Outcome:
        verdict = Verdict.of(
            examined.reading, fault=1 if fault else 0, probability=probability, model=model_id
        )
        return Outcome(
            self._topics.anomaly_for(message.topic), verdict.to_json(), measured_at=examined.moment
        )

    def _rejection(self, message: Message, invalid: InvalidReading, now: datetime) -> Outcome:
        rejection = Rejection.of(
            message.payload,
            topic=message.topic,
            reason=invalid.reason,
            detail=invalid.detail,
            rejected_at=format_timestamp(now),
            device_id=invalid.device_id,
        )
        return Outcome(self._topics.rejected, rejection.to_json(), reason=invalid.reason)


class _SignatureChanged(Exception):  # noqa: N818 - it steers, it is no mistake
    def __init__(self, model: ServedModel) -> None:
        super().__init__(model.model_id)
        self.model = model
