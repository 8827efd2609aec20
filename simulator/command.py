"""The commands of the simulator: simulate, replay, command, health."""

import secrets
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import structlog
import typer
from prometheus_client import CollectorRegistry, start_http_server
from pydantic import ValidationError
from tqdm import tqdm

from contract.command import Condition, FanCommand
from contract.topics import Topics
from simulator import health as health_check
from simulator import order
from simulator.clock import SystemClock
from simulator.fleet import Fleet, Generation, Voice
from simulator.metrics import Metrics
from simulator.plan import FleetPlan
from simulator.publisher import Publisher
from simulator.recording import survey
from simulator.service import Inbox, StopRequest, finish, paced_by_rate, paced_by_time
from simulator.service import replay as run_replay
from simulator.service import simulate as run_simulation
from simulator.settings import SimulatorSettings
from simulator.truth import TruthLog

MOST_PER_SECOND = 100_000
"""Ten times of what one process sends; more is a slip of the hand."""
ENCRYPTED_PORT = 8883
"""IANA's port of MQTT over TLS."""
REPLAY_QUEUE = 1000
"""A replay waits when so many readings queue, so that its progress bar shows what the broker takes."""

app = typer.Typer(
    help="Simulated fans, and the replay of recorded ones.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Host = Annotated[
    str | None, typer.Option("--mqtt-host", help="The broker; else FANWATCH_MQTT_HOST, 127.0.0.1.")
]
Port = Annotated[
    int | None,
    typer.Option("--mqtt-port", min=1, max=65535, help="Its port; else FANWATCH_MQTT_PORT, 1883."),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        help="The site's certificate authority, for an encrypted connection (port 8883); else FANWATCH_MQTT_CA_FILE, "
        "or none and in clear.",
    ),
]
Truth = Annotated[
    Path | None,
    typer.Option(help="Append the ground truth (what each fan really did, by seq) to this file."),
]


@app.command(
    epilog="""\b
Examples:
  fanwatch simulate                                   six healthy fans, a reading a second each
  fanwatch simulate --fault 5,6                       two of them broken
  fanwatch simulate --condition 4=wearing:600         fan 4 wears out in ten minutes, then stops
  fanwatch simulate --fans 10000 --rate 0.1           a plant
  fanwatch simulate --generation 1                    as the first generation talked
  fanwatch simulate --mqtt-host fans.plant.example --ca-file ca.crt     at a site, encrypted

While it runs: fanwatch command 5 faulty"""
)
def simulate(  # noqa: PLR0913, PLR0917 - one parameter an option of the command line
    fans: Annotated[int, typer.Option(min=1, max=1_000_000, help="Number of fans, named 1, 2, 3...")] = 6,
    fault: Annotated[str, typer.Option(help="Fans that are broken from the start, as 5,6.")] = "",
    condition: Annotated[
        list[str] | None,
        typer.Option(
            help="FAN=CONDITION, again for each fan: healthy, faulty, wearing (wearing:SECONDS until it stops), "
            "stuck, spikes, silent."
        ),
    ] = None,
    rate: Annotated[float, typer.Option(help="Readings a second of each fan, 0.001 to 1000.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives each fan the same readings.")] = 1,
    prefix: Annotated[str, typer.Option(help="Begins each fan's name, as line2-.")] = "",
    generation: Annotated[
        int, typer.Option(min=1, max=2, help="1: flat topic, no seq, times to the second. 2: ours.")
    ] = 2,
    truth: Truth = None,
    mqtt_host: Host = None,
    mqtt_port: Port = None,
    ca_file: CaFile = None,
) -> None:
    """Run any number of fans until Ctrl-C or SIGTERM."""
    stop = StopRequest()
    stop.listen()
    settings = _settings(mqtt_host, mqtt_port, ca_file)
    if not 0.001 <= rate <= 1000:
        _refuse(f"--rate {rate:g}: expected 0.001 to 1000 readings a second")
    if fans * rate > MOST_PER_SECOND:
        _refuse(f"{fans} fans at {rate:g} readings a second: expected at most {MOST_PER_SECOND:,} in all")
    _log_as_json()
    clock = SystemClock()
    plan = FleetPlan(
        fans, prefix, [name.strip() for name in fault.split(",") if name.strip()], condition or []
    )
    try:
        topics = Topics(settings.topic_root)
        fleet = Fleet(
            plan.build(seed=seed, now_s=clock.monotonic()),
            rate=rate,
            voice=Voice(topics, Generation(generation), secrets.token_hex(4)),
            clock=clock,
            truth=_truth(truth),
        )
    except ValueError as error:
        _refuse(str(error))
    metrics = _serve_metrics(settings)
    inbox = Inbox(topics, metrics)
    publisher = _publisher(
        settings, client_id="simulator", metrics=metrics, service="simulator", on_command=inbox.put
    )
    structlog.get_logger().info("simulating", fans=fans, rate=rate, seed=seed, generation=generation)
    run_simulation(fleet, publisher, inbox, metrics, stop, settings.stop_s)


@app.command(
    epilog="""\b
Examples:
  fanwatch replay fan.csv --rate 100                  a hundred readings a second, in the file's order
  fanwatch replay week.csv --speed 60                 an hour in a minute; the file must be in order of time

A reading is stamped with the present time unless --keep-time is given; the predictor refuses readings that are
older than what is stored."""
)
def replay(  # noqa: PLR0913, PLR0917 - as in simulate
    file: Annotated[
        Path, typer.Argument(help="CSV: DeviceID,Time,Rotation,Temperature,Vibration,Sound,Faulty.")
    ],
    rate: Annotated[float | None, typer.Option(help="Readings a second in all (10 unless --speed).")] = None,
    speed: Annotated[float | None, typer.Option(help="How many times as fast as recorded.")] = None,
    keep_time: Annotated[bool, typer.Option("--keep-time", help="Send the recorded times.")] = False,
    generation: Annotated[int, typer.Option(min=1, max=2, help="As in simulate.")] = 2,
    truth: Truth = None,
    mqtt_host: Host = None,
    mqtt_port: Port = None,
    ca_file: CaFile = None,
) -> None:
    """Publish recorded readings, with a progress bar."""
    stop = StopRequest()
    stop.listen()
    settings = _settings(mqtt_host, mqtt_port, ca_file)
    if rate is not None and speed is not None:
        _refuse("--rate and --speed exclude each other")
    for name, value in (("--rate", rate), ("--speed", speed)):
        if value is not None and not 0 < value <= 1e9:
            _refuse(f"{name} {value:g}: expected a number above 0")
    _log_as_json(to_stderr=True)
    try:
        summary = survey(file)
        if speed is not None and not summary.chronological:
            _refuse(f"{file} is not in order of time, so --speed means nothing for it; use --rate")
        topics = Topics(settings.topic_root)
    except OSError as error:
        _refuse(f"{file}: {error.strerror or error}")
    except ValueError as error:  # RecordingError is one
        _refuse(str(error))
    clock = SystemClock()
    schedule = (
        paced_by_rate(file, rate or 10.0, clock) if speed is None else paced_by_time(file, speed, clock)
    )
    publisher = _publisher(
        settings.model_copy(update={"queue_readings": REPLAY_QUEUE}),
        client_id="fanwatch-replay",
        metrics=Metrics(CollectorRegistry()),
    )
    with tqdm(total=summary.rows, unit=" readings", desc=f"replay {file.name}") as bar:
        sent = run_replay(
            schedule,
            bar,
            keep_time=keep_time,
            voice=Voice(topics, Generation(generation), f"replay-{secrets.token_hex(4)}"),
            publisher=publisher,
            clock=clock,
            stop=stop,
            truth=_truth(truth),
        )
    sent -= finish(publisher, settings.stop_s)
    if sent < summary.rows:
        typer.echo(f"the broker has {sent} of {summary.rows} readings", err=True)
        raise typer.Exit(1)


@app.command(
    epilog="""\b
Examples:
  fanwatch command 5 faulty                           breaks fan 5
  fanwatch command 5 healthy                          mends it
  fanwatch command 4 wearing --over 120               fan 4 wears out in two minutes, then stops"""
)
def command(
    device: Annotated[str, typer.Argument(help="Name of the simulated fan.")],
    condition: Annotated[Condition, typer.Argument(help="What it shall do from its next reading on.")],
    over: Annotated[
        float | None, typer.Option(help="Seconds that wearing takes until the fan stops (600).")
    ] = None,
    mqtt_host: Host = None,
    mqtt_port: Port = None,
    ca_file: CaFile = None,
) -> None:
    """Tell a simulated fan what to do: one command breaks it, one mends it."""
    settings = _settings(mqtt_host, mqtt_port, ca_file)
    if over is not None and condition is not Condition.WEARING:
        _refuse("--over: only wearing takes a time")
    try:
        order.give(settings, device, FanCommand(condition=condition, duration_s=over))
    except ValidationError as error:
        _refuse(f"--over: {error.errors()[0]['msg']}")
    except ValueError as error:
        _refuse(str(error))
    except FileNotFoundError as error:
        _refuse(f"{error.filename}: {error.strerror}")
    except OSError as error:
        _fail(str(error))
    typer.echo(f"fan {device}: {condition.value}")


@app.command()
def health() -> None:
    """Ask the running simulator whether it works: exit code 0 when the broker acknowledges its readings."""
    settings = _settings(None, None, None)
    raise typer.Exit(health_check.main(settings.listen_host, settings.listen_port))


def _settings(host: str | None, port: int | None, ca_file: Path | None) -> SimulatorSettings:
    try:
        settings = SimulatorSettings.read()
    except ValidationError as error:
        first = error.errors()[0]
        variable = f"FANWATCH_{'_'.join(map(str, first['loc'])).upper()}"
        _refuse(f"{variable}={first['input']!r}: {first['msg']}")
    given: dict[str, object] = {}
    if host is not None:
        given["mqtt_host"] = host
    if ca_file is not None:
        given["mqtt_ca_file"] = ca_file
    if port is not None:
        given["mqtt_port"] = port
    elif "mqtt_port" not in settings.model_fields_set and (ca_file or settings.mqtt_ca_file):
        given["mqtt_port"] = ENCRYPTED_PORT
    return settings.model_copy(update=given)


def _publisher(settings: SimulatorSettings, **arguments: Any) -> Publisher:  # noqa: ANN401 - those of Publisher
    try:
        return Publisher(settings, **arguments)
    except OSError as error:
        _refuse(f"{settings.mqtt_ca_file}: {error.strerror or error}")
    except ValueError as error:
        _refuse(str(error))


def _serve_metrics(settings: SimulatorSettings) -> Metrics:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    try:
        start_http_server(settings.listen_port, settings.listen_host, registry)
    except OSError as error:
        _fail(
            f"cannot serve /metrics on {settings.listen_host}:{settings.listen_port}: {error.strerror or error}; "
            "set FANWATCH_LISTEN_PORT to a free port"
        )
    return metrics


def _truth(path: Path | None) -> TruthLog | None:
    try:
        return None if path is None else TruthLog(path)
    except OSError as error:
        _fail(f"cannot write the ground truth: {error}")


def _log_as_json(*, to_stderr: bool = False) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr if to_stderr else sys.stdout),
    )


def _refuse(sentence: str) -> NoReturn:
    """End with a sentence about what the user wrote: exit code 2."""
    typer.echo(f"error: {sentence}", err=True)
    raise typer.Exit(2)


def _fail(sentence: str) -> NoReturn:
    """End with a sentence about what went wrong: exit code 1."""
    typer.echo(f"error: {sentence}", err=True)
    raise typer.Exit(1)
