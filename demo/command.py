"""``python -m demo``, ``fanwatch demo`` and ``make demo``: start everything, say where, measure, end everything."""

import fcntl
import json
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from demo.broker import Broker, BrokerKind, prepare_broker
from demo.ports import LOOPBACK, Ports, choose_ports, moved
from demo.runner import Ending, Screen, run
from demo.services import BROKEN_FAN, Files, parts

REPOSITORY = Path(__file__).parents[1]

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command(
    epilog="""\b
Examples:
  fanwatch demo                     until Ctrl-C
  fanwatch demo --duration 20       stops by itself; the last line is one JSON object with what was measured"""
)
def demo(
    duration: Annotated[
        float | None, typer.Option(help="Seconds from the start of the services; without it until Ctrl-C.")
    ] = None,
    broker: Annotated[
        BrokerKind | None, typer.Option(help="Which broker; by default Mosquitto where it is installed.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where logs and figures go.")] = Path(".demo"),
) -> None:
    """Run the whole stack as processes on this machine: six simulated fans, one of them broken."""
    if duration is not None and duration <= 0:
        _refuse(f"--duration {duration:g}: expected a number of seconds above 0")
    models = REPOSITORY / "models"
    if not models.is_dir():
        _refuse(f"{models} is missing: the demo runs from a clone of the repository, which brings the model")
    with _alone(folder):
        try:
            code = _run(duration, broker, Files(folder.resolve()), models)
        except KeyboardInterrupt:  # before anything was started
            code = 0
    raise typer.Exit(code)


def _run(duration_s: float | None, kind: BrokerKind | None, files: Files, models: Path) -> int:
    for leftover in (files.truth, files.result, *_with_journal(files.alarms), *_with_journal(files.accounts)):
        leftover.unlink(missing_ok=True)
    shutil.rmtree(files.logs, ignore_errors=True)
    try:
        ports = choose_ports()
        broker = prepare_broker(ports, files.folder, kind)
    except OSError as error:
        _refuse(str(error))
    password = _new_password(files)
    _welcome(broker, ports, files, password)
    started_s = time.time()
    ending, screen = run(parts(broker, ports, files, models, started_s, duration_s), files.logs)
    return _farewell(ending, screen, files)


def _with_journal(database: Path) -> list[Path]:
    """A SQLite file and the two that stand beside it."""
    return [database.with_name(database.name + suffix) for suffix in ("", "-wal", "-shm")]


def _new_password(files: Files) -> str:
    """The page's account of this run: random, because others of this machine reach its loopback too."""
    password = secrets.token_hex(6)
    files.secrets.mkdir(mode=0o700, exist_ok=True)
    file = files.secrets / "fanwatch_page_password"
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(password)
    return password


def _welcome(broker: Broker, ports: Ports, files: Files, password: str) -> None:
    for name, (documented, chosen) in moved(ports).items():
        if name != "mqtt_old" or broker.kind is BrokerKind.EMBEDDED:
            _say(f"Port {documented} is taken, so {name} is on {chosen}.")
    _say(f"Live page:  http://{LOOPBACK}:{ports.page}")
    _say(f"Sign in:    as operator with {password}, to acknowledge, shelve or close an alarm")
    _say(f"Broker:     {LOOPBACK}:{ports.mqtt}, {broker.title}")
    _say(f"Logs:       {files.logs}")
    # 0.6 * 0.5 * 2/3 * 7/15 of a broken fan's readings lie inside the healthy ranges (simulator/fan.py has them).
    _say(
        f"Fan {BROKEN_FAN} of 6 is broken, and one in eleven of its readings looks healthy: no judge of single "
        "readings is right more often than 98.4 % of the time."
    )
    order = f"FANWATCH_MQTT_PORT={ports.mqtt} " if ports.mqtt != Ports().mqtt else ""
    _say(
        f"Break another: {order}{Path(sys.executable).parent / 'fanwatch'} command 3 faulty. Stop with Ctrl-C."
    )


def _farewell(ending: Ending, screen: Screen, files: Files) -> int:
    """Say how it ended; the figures are the last line of all."""
    code = 0 if ending.interrupted else ending.code
    if ending.culprit is not None:
        code = code or 1
        print(  # noqa: T201 - the terminal is this program's output
            f"error: {ending.culprit} stopped by itself (exit code {ending.code}), so everything was stopped. "
            f"The end of {files.logs / ending.culprit}.log:\n{screen.tail(ending.culprit)}",
            file=sys.stderr,
            flush=True,
        )
    if files.result.exists():
        _say(json.dumps(json.loads(files.result.read_text(encoding="utf-8"))))
    elif not ending.interrupted:
        print("error: nothing was measured", file=sys.stderr)  # noqa: T201
        code = code or 1
    return code


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that two demos do not write into each other's files."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _refuse(f"a demo is running already (it holds {folder / 'lock'})")
        yield


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the terminal is this program's output


def _refuse(sentence: str) -> NoReturn:
    typer.echo(f"error: {sentence}", err=True)
    raise typer.Exit(2)
