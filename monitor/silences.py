"""Who is silent, and what is silent for one common cause: pure, told what arrives and asked once a second.

A machine is called silent on the strength of others that are heard: their verdicts show that the way from the fans
through predictor and scoring service to here works. While no verdict of any machine comes, nothing can be said of one
alone, and an alarm for each would bury its cause (ISA-18.2 calls that suppression by design; the flood is EEMUA 191's
first complaint). So:

- silence is judged when somebody speaks, which with more than a few machines is all the time;
- when nobody has spoken for as long as a silence takes, and two machines or more would be silent, or the predictor is
  offline, it is one finding of the way itself, and nobody is silent beneath it;
- one machine alone that falls quiet, of a predictor that is online, is silent itself: nothing tells more;
- when somebody speaks again everybody has a full time to do so, and a machine that stopped meanwhile is found then.

A refusal shows less than a verdict: the predictor refuses a bad reading also while the scoring service is away.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from monitor.clock import Clock
from monitor.diagnosis.core import Diagnosis
from monitor.diagnosis.time_left import about_words
from monitor.findings import Finding, FindingKind

WAY = "fanwatch"
"""What the finding is of, in place of a device: the way of the readings, which is Fanwatch itself."""
_TOGETHER = 2
"""So many machines do not fall silent by chance within the same seconds."""
_BESIDE_THE_WAY = frozenset({"monitor", "simulator"})
_RETURNED = "Verdicts arrive again."


class Silences:
    """Asks the diagnosis who is silent, at the moments when that can be told; for one thread.

    Args:
        diagnosis: Of all machines.
        clock: The diagnosis' own.
        silent_after_s: So long nobody must have spoken.
    """

    def __init__(self, diagnosis: Diagnosis, clock: Clock, silent_after_s: float) -> None:
        self._diagnosis = diagnosis
        self._clock = clock
        self._silent_after = silent_after_s
        self._listening: int | None = None
        self._spoken = clock.elapsed()
        """When a verdict of anybody came last, or listening began."""
        self._quiet: int | None = None
        """How many machines fell quiet together, while that lasts."""
        self._told: str | None = None
        """Why the way is down, as it was told last; None before anything was told in this process."""

    @property
    def way_is_down(self) -> bool:
        """Whether no verdict of any machine arrives: then nobody is silent, and what is known of each is old."""
        return self._quiet is not None

    def look(
        self,
        listening: int | None,
        *,
        verdicts: bool,
        offline: Collection[str],
        excused: Collection[str] = (),
    ) -> Sequence[Finding]:
        """Find what has changed.

        Args:
            listening: Numbers the subscription that stands; None while we are deaf, and then nobody is silent.
            verdicts: Whether the diagnosis was told of a verdict since the last look.
            offline: Services whose last status is offline.
            excused: Machines that are worked on, of which nothing is expected.
        """
        elapsed = self._clock.elapsed()
        if listening != self._listening:
            self._listening = listening
            self._begin(elapsed)
        if listening is None:
            return ()
        if verdicts:
            return self._somebody_speaks(elapsed)
        if elapsed - self._spoken < self._silent_after:
            return ()
        away = sorted(set(offline) - _BESIDE_THE_WAY)
        if self._quiet is None:
            if self._diagnosis.next_deadline > elapsed:
                return ()  # at night all stand still: nobody is walked over for that each second
            quiet = self._diagnosis.unheard(excused)
            if quiet < (1 if away else _TOGETHER):
                return self._diagnosis.tick()
            self._quiet = quiet
        return self._nobody_speaks(self._quiet, away)

    def _begin(self, elapsed: float) -> None:
        self._diagnosis.count_silence_anew()
        self._spoken, self._quiet = elapsed, None

    def _somebody_speaks(self, elapsed: float) -> Sequence[Finding]:
        if elapsed - self._spoken >= self._silent_after:
            self._begin(elapsed)
        self._spoken = elapsed
        found = self._diagnosis.tick()
        if self._told == _RETURNED:
            return found
        # Also the first time in a process: what the last one told may still stand.
        self._told = _RETURNED
        return [*found, self._finding(present=False, why=_RETURNED, look_at="")]

    def _nobody_speaks(self, quiet: int, away: Sequence[str]) -> Sequence[Finding]:
        since = about_words(self._silent_after)
        machines = "one machine that was" if quiet == 1 else f"{quiet} machines that were"
        cause = f"{' and '.join(away)} offline" if away else "the predictor is online"
        why = f"No verdict for {since}, of {machines} heard before: {cause}."
        if why == self._told:
            return ()
        self._told = why
        look_at = " and ".join(away) if away else "the scoring service, and what the machines have in common"
        return [self._finding(present=True, why=why, look_at=look_at)]

    def _finding(self, *, present: bool, why: str, look_at: str) -> Finding:
        at = datetime.fromtimestamp(self._clock.now(), UTC)
        return Finding(WAY, FindingKind.NO_VERDICTS, present, at, why, look_at)
