"""Takes the place of `docker` where there is no engine: its setup container is our code here, its broker a process.

Only what `fanwatch add` and the others call. tests/compose/engine does the same on a real engine.
"""

# ruff: noqa: T201 - a program of its own

import os
import signal
import subprocess
import sys

RUNNING = ("ps", "--services", "--status", "running")
RELOAD = ("exec", "-T", "mosquitto", "sh", "-c", "kill -HUP 1")
SETUP = ("--progress", "quiet", "run", "--rm", "--no-deps", "-T", "setup")


def main(arguments: tuple[str, ...]) -> int:
    assert arguments[0] == "compose", arguments
    called = arguments[1:]
    broker = int(os.environ["STAND_IN_BROKER_PID"])
    if called[: len(SETUP)] == SETUP:
        return subprocess.run(
            [sys.executable, "-m", "edge_manager", *called[len(SETUP) :]], check=False
        ).returncode
    if called == RUNNING:
        print("predictor", *(["mosquitto"] if broker else []), sep="\n")
        return 0
    if called == RELOAD:
        os.kill(broker, signal.SIGHUP)
        return 0
    if called[0] == "restart":
        print("restarted", called[1], file=sys.stderr)
        return 0
    print("the stand-in knows no", called, file=sys.stderr)
    return 17


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:])))
