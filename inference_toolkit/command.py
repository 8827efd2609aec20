"""``fanwatch toolkit new``, ``test``, ``serve``, ``pack``, ``build``, ``push`` and ``pull``: a model of one's own."""

import json
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from contract.topics import Topics

# What these commands use is loaded by each of them: the runtimes and scikit-learn take seconds.

app = typer.Typer(
    no_args_is_help=True,
    help="Pack a model of your own onto the scoring service.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Source = Annotated[
    Path, typer.Argument(help="Folder of a project (toolkit.toml) or of a bundle (manifest.json).")
]
Bundle = Annotated[Path, typer.Argument(help="Folder of a bundle.")]
AllowPickle = Annotated[
    str | None,
    typer.Option(
        "--allow-pickle",
        help="'I trust FILE', word for word, opens a model that is a pickle. Opening one runs whatever its maker put "
        "into it.",
    ),
]
PlainHttp = Annotated[
    bool,
    typer.Option(
        "--plain-http",
        envvar="FANWATCH_REGISTRY_PLAIN_HTTP",
        help="Without TLS: for a registry on this machine.",
    ),
]
_BROKER_PORT = 1883


@app.command(
    epilog="""\b
Examples:
  fanwatch toolkit new pump
  fanwatch toolkit new pump --out models/pump"""
)
def new(
    name: Annotated[str, typer.Argument(help="Of the model, as in its URL.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write; the model's name unless given.")] = None,
) -> None:
    """Write a small project that works: handler, description, data, a test, a workflow for CI."""
    from inference_toolkit.errors import ToolkitError  # noqa: PLC0415
    from inference_toolkit.scaffold import new_project  # noqa: PLC0415

    folder = out or Path(name)
    try:
        files = new_project(name, folder)
    except (ToolkitError, OSError) as error:
        _fail(error)
    for file in files:
        typer.echo(f"  {folder / file}")
    typer.echo(f"Next: fanwatch toolkit test {folder}")


@app.command(
    "test",
    epilog="""\b
Examples:
  fanwatch toolkit test pump
  fanwatch toolkit test models/fan --sample readings.csv""",
)
def try_model(
    source: Source,
    sample: Annotated[
        Path | None, typer.Option(help="CSV to try it on, in place of the project's own; a bundle has none.")
    ] = None,
    requests: Annotated[
        int, typer.Option(min=10, max=100_000, help="Requests of one row that are timed.")
    ] = 500,
    allow_pickle: AllowPickle = None,
) -> None:
    """Run the scoring service with a model and hold it to its description: verdicts, ranges, latency, memory."""
    from inference_toolkit.errors import ToolkitError  # noqa: PLC0415
    from inference_toolkit.source import packed  # noqa: PLC0415
    from inference_toolkit.trial import try_out  # noqa: PLC0415

    try:
        with packed(source, sample=sample, trust=allow_pickle) as model:
            checks = try_out(model, requests_of_one_row=requests)
    except (ToolkitError, OSError) as error:
        _fail(error)
    for check in checks:
        typer.echo(f"{'ok  ' if check.passed else 'FAIL'}  {check.what:<30} {check.found}")
    if not all(check.passed for check in checks):
        raise typer.Exit(code=1)


@app.command(
    epilog="""\b
Examples:
  fanwatch toolkit serve pump
  fanwatch toolkit serve pump --mqtt 127.0.0.1:1883        pump/messages in, pump/anomaly out
  fanwatch toolkit serve pump --mqtt 127.0.0.1:1883 --in-topic hall/2/pumps --out-topic hall/2/verdicts
  fanwatch toolkit serve pump --mqtt broker:1883 --username predictor --secrets /run/fanwatch"""
)
def serve(  # noqa: PLR0913, PLR0917 - each is an option of the command
    source: Source,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the HTTP API, on this machine; 0 takes any.")
    ] = 8000,
    mqtt: Annotated[
        str | None, typer.Option(help="HOST[:PORT] of a broker: readings from there are scored too.")
    ] = None,
    topic_root: Annotated[
        str | None,
        typer.Option(help="ROOT/messages is read and ROOT/anomaly written; the model's name unless given."),
    ] = None,
    in_topic: Annotated[
        str | None, typer.Option(help="Read this topic, and the level below it, in place of ROOT/messages.")
    ] = None,
    out_topic: Annotated[str | None, typer.Option(help="Write to this one in place of ROOT/anomaly.")] = None,
    username: Annotated[str | None, typer.Option(help="User at the broker; anonymous unless given.")] = None,
    secrets: Annotated[
        Path | None, typer.Option(help="Folder whose file fanwatch_mqtt_password is that user's password.")
    ] = None,
    allow_pickle: AllowPickle = None,
) -> None:
    """Serve a model on this machine until Ctrl-C, by the scoring service and, with --mqtt, the predictor."""
    from inference_toolkit.errors import ToolkitError  # noqa: PLC0415
    from inference_toolkit.processes import predicting, scoring, wait_for  # noqa: PLC0415
    from inference_toolkit.source import packed  # noqa: PLC0415

    broker = None if mqtt is None else _broker(mqtt)
    try:
        with ExitStack() as stack:
            stop = stack.enter_context(_asked_to_stop())
            model = stack.enter_context(packed(source, trust=allow_pickle))
            name = model.manifest.name
            topics = _topics(topic_root or name, in_topic, out_topic)
            service = stack.enter_context(scoring(model, port=port, told=_tell_trouble))
            typer.echo(f"{model.manifest.model_id}: POST {service.url}/v2/models/{name}/infer")
            running = [service]
            if broker is not None:
                settings = {"TOPIC_ROOT": topics.root, "CLIENT_ID": f"toolkit-{name}"}
                settings |= {"IN_TOPIC": topics.messages, "OUT_TOPIC": topics.anomalies}
                settings |= {} if username is None else {"MQTT_USERNAME": username}
                settings |= {} if secrets is None else {"SECRETS_DIR": str(secrets.resolve())}
                running.append(
                    stack.enter_context(predicting(service, name, broker, settings, _tell_trouble))
                )
                typer.echo(f"{topics.messages}[/DEVICE] in, {topics.anomalies}[/DEVICE] out, at {mqtt}")
            sys.stdout.flush()
            wait_for(stop, running)
    except (ToolkitError, OSError) as error:
        _fail(error)


@app.command(
    epilog="""\b
Examples:
  fanwatch toolkit pack pump --out bundle --key keys/model-signing.key
  fanwatch toolkit pack pump --out bundle --allow-pickle 'I trust model.joblib'"""
)
def pack(
    project: Annotated[Path, typer.Argument(help="Folder of the project.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    key: Annotated[Path | None, typer.Option(help="Private key to sign with; unsigned without one.")] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(help="File with the private key's password; never given on the command line."),
    ] = None,
    allow_pickle: AllowPickle = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the bundle that stands there.")
    ] = False,
) -> None:
    """Write the bundle of a project; `fanwatch model add` puts it onto a device."""
    from inference_toolkit.errors import ToolkitError  # noqa: PLC0415
    from inference_toolkit.packing import Signing  # noqa: PLC0415
    from inference_toolkit.packing import pack as write  # noqa: PLC0415
    from inference_toolkit.project import open_project  # noqa: PLC0415
    from training.signing import SigningError, read_password  # noqa: PLC0415

    try:
        signing = None if key is None else Signing(key, read_password(password_file))
        opened = open_project(project)
        manifest = write(opened, out, signing=signing, trust=allow_pickle, overwrite=overwrite)
    except (ToolkitError, SigningError, OSError) as error:
        _fail(error)
    state = "signed" if signing else "not signed: a scoring service refuses it unless told otherwise"
    typer.echo(f"{manifest.model_id}: {out} ({', '.join(sorted(manifest.files))}; {state})")


@app.command(
    epilog="""\b
Examples:
  fanwatch toolkit build bundle --public-key keys/model-signing.pub --tag pump:1"""
)
def build(
    bundle: Bundle,
    public_key: Annotated[Path, typer.Option(help="Of the key that the bundle was signed with.")],
    tag: Annotated[str, typer.Option(help="Of the image.")],
) -> None:
    """Make a container image that serves one model: small, not root, its root file system may be read-only."""
    from inference_toolkit.errors import ToolkitError  # noqa: PLC0415
    from inference_toolkit.image import build_image  # noqa: PLC0415

    try:
        digest = build_image(bundle, public_key, tag)
    except (ToolkitError, OSError) as error:
        _fail(error)
    typer.echo(f"{tag}: {digest}")
    typer.echo(f"Try it: docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:8000:8000 {tag}")


@app.command(
    epilog="""\b
Examples:
  fanwatch toolkit push bundle registry.example/models/pump:1
  fanwatch toolkit push pump:1 registry.example/images/pump:1"""
)
def push(
    what: Annotated[str, typer.Argument(help="Folder of a bundle, or the name of an image of this engine.")],
    reference: Annotated[str, typer.Argument(help="HOST[:PORT]/REPOSITORY:TAG")],
    plain_http: PlainHttp = False,
) -> None:
    """Send a bundle, or an image, to a registry. Who may is what `docker login` has written."""
    from inference_toolkit.errors import ToolkitError  # noqa: PLC0415
    from inference_toolkit.registry import push_bundle, push_image  # noqa: PLC0415

    try:
        if Path(what).is_dir():
            sent = push_bundle(Path(what), reference, plain_http=plain_http)
        else:
            sent = push_image(what, reference)
    except (ToolkitError, OSError) as error:
        _fail(error)
    typer.echo(sent)


@app.command(
    epilog="""\b
Examples:
  fanwatch toolkit pull registry.example/models/pump:1 --out bundle"""
)
def pull(
    reference: Annotated[str, typer.Argument(help="HOST[:PORT]/REPOSITORY:TAG, or @sha256:DIGEST")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    plain_http: PlainHttp = False,
) -> None:
    """Fetch a bundle from a registry; its signature is looked at where it is used."""
    from inference_toolkit.errors import ToolkitError  # noqa: PLC0415
    from inference_toolkit.registry import pull_bundle  # noqa: PLC0415

    try:
        manifest = pull_bundle(reference, out, plain_http=plain_http)
    except (ToolkitError, OSError) as error:
        _fail(error)
    typer.echo(f"{manifest.model_id}: {out}")


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """Set by Ctrl-C and SIGTERM, while the block lasts."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _broker(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    if not host or not (port or str(_BROKER_PORT)).isdecimal():
        _fail(ValueError(f"--mqtt {text}: expected HOST or HOST:PORT"))
    return host, int(port or _BROKER_PORT)


def _topics(root: str, readings: str | None, verdicts: str | None) -> "Topics":
    from contract.topics import Topics  # noqa: PLC0415

    try:
        return Topics(root, readings, verdicts)
    except ValueError as error:
        _fail(error)


def _tell_trouble(entry: Mapping[str, Any]) -> None:
    if entry.get("level") in {"warning", "error", "critical"}:
        typer.echo(json.dumps(entry), err=True)


def _fail(error: Exception) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(code=1)
