"""Takes the place of `docker` where there is no engine: setup and model containers are our code, the broker a process.

Only what `fanwatch add`, `model`, `up --bundle` and the others call. tests/compose/engine does it on a real engine.
"""

# ruff: noqa: T201 - a program of its own

import json
import os
import signal
import subprocess
import sys

RUN = ("compose", "--progress", "quiet", "run", "--rm", "--no-deps", "-T")
RELOAD = ("compose", "exec", "-T", "mosquitto", "sh", "-c", "kill -HUP 1")
PUBLISHED = {"mosquitto": (8883, 1883), "monitor": (8080,), "grafana": (3000,)}
RESOLVED = {
    name: {"ports": [{"target": port, "published": str(port), "host_ip": "127.0.0.1"} for port in ports]}
    for name, ports in PUBLISHED.items()
}


def main(arguments: tuple[str, ...]) -> int:
    broker = int(os.environ["STAND_IN_BROKER_PID"])
    if arguments[: len(RUN)] == RUN:
        return _run(*arguments[len(RUN) :])
    if arguments == RELOAD:
        os.kill(broker, signal.SIGHUP)
        return 0
    answers = {
        ("version", "--format", "{{.Server.Arch}}"): "amd64",
        ("load",): "",
        ("image", "inspect"): "sha256:1",
        ("compose", "up"): "",
        ("compose", "ps", "--all", "--format", "json"): "",
        ("compose", "restart"): "",
        ("compose", "config", "--images", "model"): "fanwatch-model",
        ("compose", "config", "--format", "json"): json.dumps({"services": RESOLVED}),
        ("compose", "ps", "--services", "--status", "running"): "predictor"
        + ("\nmosquitto" if broker else ""),
    }
    for asked, said in answers.items():
        if arguments[: len(asked)] == asked:
            print(said)
            return 0
    print("the stand-in knows no", arguments, file=sys.stderr)
    return 17


def _run(service: str, *arguments: str) -> int:
    if service == "setup":
        return subprocess.run([sys.executable, "-m", "edge_manager", *arguments], check=False).returncode
    assert service == "model", service
    # A container has nothing of the host's environment.
    inside = {name: value for name, value in os.environ.items() if not name.startswith("FANWATCH_")}
    return subprocess.run(
        [sys.executable, "-m", "edge_manager.models.command", *arguments],
        env=inside | {"FANWATCH_MODELS_DIR": os.environ["STAND_IN_MODELS"]},
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:])))
