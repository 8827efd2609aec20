"""Case 8: InfluxDB refuses Telegraf's password for a while."""

from dataclasses import dataclass

from benchmarks.chaos.case import AS_IT_SHIPS, Bench, Needs

_REFUSED_S = 30


@dataclass(frozen=True)
class RefusedToken:
    """The password was rotated in the database and not yet in Telegraf: every write gets a 401."""

    number: int = 8
    name: str = f"InfluxDB answers 401 for {_REFUSED_S} s (a rotated password)"
    seconds: float = _REFUSED_S + 5
    needs: Needs = AS_IT_SHIPS
    per_second: float = 200

    def run(self, bench: Bench) -> None:
        """Change the password, wait, change it back."""
        bench.somewhen(1, 3)
        refused_s = bench.scaled(_REFUSED_S, least=6)
        stack = bench.stack
        with stack.another_telegraf_password():
            bench.pass_time(2)
            before = bench.newest_ns("telemetry")
            bench.pass_time(refused_s)
            bench.expect(bench.newest_ns("telemetry") == before, "points were stored in spite of the 401")
        bench.within(15, lambda: bench.newest_ns("telemetry") > before, "points after the 401")
        bench.figures["refused_s"] = refused_s
