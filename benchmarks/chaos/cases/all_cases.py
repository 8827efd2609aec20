"""All cases, by their numbers."""

from collections.abc import Sequence

from benchmarks.chaos.case import Case
from benchmarks.chaos.cases.all_killed import AllKilled
from benchmarks.chaos.cases.clock import JumpingClock
from benchmarks.chaos.cases.full_volume import FullVolume
from benchmarks.chaos.cases.fuzz import Fuzz
from benchmarks.chaos.cases.kills import KilledAgainAndAgain
from benchmarks.chaos.cases.long_outage import LongOutage
from benchmarks.chaos.cases.network import BadNetwork
from benchmarks.chaos.cases.poison import Poison
from benchmarks.chaos.cases.refused_token import RefusedToken
from benchmarks.chaos.cases.scoring_away import ScoringAway
from benchmarks.chaos.cases.scoring_requests import ScoringRequests
from benchmarks.chaos.cases.telegraf_killed import TelegrafKilledInAnOutage
from benchmarks.chaos.cases.two_predictors import TwoPredictors
from benchmarks.chaos.stack import Part

CASES: Sequence[Case] = (
    KilledAgainAndAgain(1, Part.PREDICTOR, times=20, seconds=100),
    ScoringAway(),
    KilledAgainAndAgain(3, Part.MOSQUITTO, times=15, seconds=30),
    TelegrafKilledInAnOutage(),
    KilledAgainAndAgain(5, Part.INFLUXDB, times=10, seconds=30),
    AllKilled(),
    LongOutage(),
    RefusedToken(),
    FullVolume(),
    Poison(),
    Fuzz(),
    JumpingClock(),
    BadNetwork(),
    TwoPredictors(),
    ScoringRequests(),
)
