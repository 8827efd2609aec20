"""Case 4: Telegraf is killed while InfluxDB is away."""

from dataclasses import dataclass

from benchmarks.chaos.case import AS_IT_SHIPS, Bench, Needs
from benchmarks.chaos.stack import Part


@dataclass(frozen=True)
class TelegrafKilledInAnOutage:
    """What Telegraf holds in memory is in the broker's queue too."""

    number: int = 4
    name: str = "kill -9 telegraf during an InfluxDB outage"
    seconds: float = 30
    needs: Needs = AS_IT_SHIPS
    per_second: float = 200

    def run(self, bench: Bench) -> None:
        """InfluxDB goes, Telegraf gathers, is killed and starts again; then InfluxDB comes back."""
        outage_s = bench.scaled(20, least=6)
        bench.somewhen(0.5, 2)
        bench.stack.take_away(Part.INFLUXDB)
        bench.somewhen(0.3 * outage_s, 0.7 * outage_s)
        bench.stack.kill(Part.TELEGRAF)
        bench.somewhen(0.5, 2)
        bench.stack.start(Part.TELEGRAF)
        bench.pass_time(0.3 * outage_s)
        bench.stack.start(Part.INFLUXDB)
        bench.figures["outage_s"] = outage_s
