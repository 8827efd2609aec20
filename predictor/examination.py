"""What a reading must be before it is scored: the checks, and nothing that needs a network."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from contract.bundle import ModelSignature
from contract.reading import InvalidReading, Reading
from contract.rejection import Reason
from contract.topics import Topics


@dataclass(frozen=True, slots=True)
class ExaminedReading:
    """A reading fit to be scored."""

    reading: Reading
    moment: datetime
    """When the sensor measured, UTC."""
    row: list[float]
    """The model's inputs, in the order of its signature; shape [k]."""


@dataclass(frozen=True, slots=True)
class Examiner:
    """Holds a payload against its topic, the clock and the model's signature."""

    signature: ModelSignature
    topics: Topics
    naive_zone: tzinfo = UTC
    max_ahead: timedelta = timedelta(minutes=5)
    max_age: timedelta = timedelta(days=29)

    def examine(self, topic: str, payload: bytes, now: datetime) -> ExaminedReading:
        """Check one payload.

        Raises:
            InvalidReading: It gets no verdict; with the reason and what was expected.
        """
        device = self._device_of(topic)
        reading = Reading.from_json(payload)
        if device is not None and device != reading.device_id:
            raise InvalidReading(
                Reason.WRONG_DEVICE,
                f"deviceID {reading.device_id!r} on the topic of device {device!r}",
                device,
            )
        moment = reading.moment(self.naive_zone)
        self._check_time(moment, now, reading)
        return ExaminedReading(reading, moment, self._row(reading))

    def _device_of(self, topic: str) -> str | None:
        try:
            return self.topics.device_of(topic)
        except ValueError as error:
            raise InvalidReading(Reason.WRONG_DEVICE, str(error)) from None

    def _check_time(self, moment: datetime, now: datetime, reading: Reading) -> None:
        if moment > now + self.max_ahead:
            raise InvalidReading(
                Reason.TIME_AHEAD,
                f"time {moment.isoformat()} is {moment - now} ahead of {now.isoformat()}, "
                f"expected at most {self.max_ahead}; set the device's clock",
                reading.device_id,
            )
        if moment < now - self.max_age:
            raise InvalidReading(
                Reason.TIME_TOO_OLD,
                f"time {moment.isoformat()} is {now - moment} old, expected at most {self.max_age}; "
                "set the device's clock, or restamp a replay",
                reading.device_id,
            )

    def _row(self, reading: Reading) -> list[float]:
        signals = reading.signals
        row = []
        for spec in self.signature.signals:
            value = signals.get(spec.name)
            if value is None:
                raise InvalidReading(
                    Reason.SIGNAL_MISSING,
                    f"signal {spec.name!r} is missing, expected a number in {spec.unit}",
                    reading.device_id,
                )
            if not spec.minimum <= value <= spec.maximum:
                raise InvalidReading(
                    Reason.OUT_OF_RANGE,
                    f"{spec.name} {value} {spec.unit} is not plausible, "
                    f"expected {spec.minimum} to {spec.maximum}; check the sensor",
                    reading.device_id,
                )
            row.append(value)
        return row
