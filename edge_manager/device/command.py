"""``fanwatch init``, ``up``, ``down``, ``logs``: a site from the machine's side."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from edge_manager.device.compose import COMPOSE_FILE, Compose
from edge_manager.device.docker import SiteError
from edge_manager.device.env_file import read_text, read_values, with_values
from edge_manager.device.from_here import compose_command, fanwatch_command
from edge_manager.device.log_lines import LEVELS, read_line
from edge_manager.device.machine import State, as_table, survey
from edge_manager.device.mistakes import as_sentences
from edge_manager.device.site_plan import DATA_DIR_FILE, OVERRIDE_FILE, SitePlan, this_machines_names
from edge_manager.installation.operations import add_models, install
from edge_manager.models.place import use_command

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False
)

Folder = Annotated[
    Path, typer.Option(envvar="FANWATCH_FOLDER", help="The site's folder, with docker-compose.yml.")
]
_HERE = Path()
_HEADING = "Written by `fanwatch init`; variables of docker-compose.yml. No secrets belong here."


@app.command(
    epilog="""\b
Examples:
  fanwatch init                                asks, looks at the machine, writes .env
  fanwatch init --yes --site hall-2 --bind 0.0.0.0 --hostname fans.plant.example --hostname 192.168.1.20
  fanwatch init --data-dir /srv/fanwatch --retention-days 60
  fanwatch init --demo                         simulated fans, to show it

Safe to run again: what is not given stays as it is, and so does every other line of .env."""
)
def init(  # noqa: PLR0913, PLR0917 - one parameter an option of the command line
    site: Annotated[str | None, typer.Option(help="What people call this site.")] = None,
    hostname: Annotated[
        list[str] | None,
        typer.Option(
            help="A name or address under which devices and people reach this machine; again for each."
        ),
    ] = None,
    bind: Annotated[
        str | None,
        typer.Option(help="Address to listen on: 127.0.0.1, one of this machine, or 0.0.0.0 for all."),
    ] = None,
    unencrypted_bind: Annotated[
        str | None,
        typer.Option(help="Address of MQTT in clear, for first-generation fans on a network that you trust."),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder for all data and secrets; without it Docker's own volumes.")
    ] = None,
    retention_days: Annotated[
        int | None, typer.Option(help="Days that single readings are kept; minutes a year, hours for ever.")
    ] = None,
    demo: Annotated[
        bool | None,
        typer.Option("--demo/--no-demo", help="With simulated fans that the live page may break."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    folder: Folder = _HERE,
) -> None:
    """Look at this machine, and write the site's environment file."""
    with as_sentences():
        if not (folder / COMPOSE_FILE).is_file():
            Compose(folder)  # which says so
        file = folder / ".env"
        given = {
            "site": site,
            "hostnames": tuple(hostname) if hostname else None,
            "bind": bind,
            "unencrypted_bind": unencrypted_bind,
            "data_dir": data_dir,
            "retention_days": retention_days,
            "demo": demo,
        }
        try:
            text = read_text(file)
            values = read_values(text)
            held = SitePlan.from_variables(values)
            if not held.hostnames:
                held = replace(held, hostnames=this_machines_names())
            plan = replace(held, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
            plan = plan if yes else _ask(plan)
            override = tuple(name for name in (OVERRIDE_FILE,) if (folder / name).is_file())
            new = with_values(text, plan.variables(values, override), _HEADING)
        except ValueError as error:
            raise SiteError(str(error)) from error
        _refuse_to_move_data(folder, held.data_dir, plan.data_dir)
        if plan.data_dir is not None:
            _make_data_folders(folder, plan.data_dir)
        unencrypted_bind = plan.unencrypted_bind or "127.0.0.1"
        findings = survey(folder, plan.data_dir, plan.bind, unencrypted_bind, plan.retention_days)
        if new != text:
            file.write_text(new, encoding="utf-8")
        typer.echo(f"This machine, for the site {plan.site}:\n{as_table(findings)}\n")
        typer.echo(f"{file} {'says so now' if new != text else 'says so already'}.")
        bad = [each.what for each in findings if each.state is State.BAD]
        start, let_in = fanwatch_command("up", folder), fanwatch_command("add fan NAME", folder)
        if bad:
            typer.echo(f"First mend: {', '.join(bad)}. Then: {start}", err=True)
            raise typer.Exit(1)
        width = len(let_in) + 8
        typer.echo(f"Next:  {start:<{width}}starts it and waits until it works")
        typer.echo(f"       {let_in:<{width}}lets a fan in")


@app.command(
    epilog="""\b
Examples:
  fanwatch up                                 starts what does not run, and waits until all is well
  fanwatch up --build                         after an update of the code
  fanwatch up --bundle site.fanwatch --key model-signing.pub --folder /srv/fanwatch
                                              on a machine without internet (docs/air-gapped.md)"""
)
def up(
    services: Annotated[
        list[str] | None, typer.Argument(help="Services, with what they need; without any, all.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Install this file of `fanwatch bundle` first, and fetch nothing.")
    ] = None,
    key: Annotated[
        list[Path] | None, typer.Option(help="A public key that may have signed it; again for each.")
    ] = None,
    replace_files: Annotated[
        bool, typer.Option("--replace", help="Let the bundle replace configuration that differs.")
    ] = False,
    build: Annotated[bool, typer.Option("--build", help="Build the images anew first.")] = False,
    wait_s: Annotated[
        int, typer.Option(min=10, help="Seconds to wait until every service is healthy.")
    ] = 600,
    folder: Folder = _HERE,
) -> None:
    """Start the site, wait until it works, and say where it is."""
    with as_sentences():
        if bundle is None and (key or replace_files):
            raise SiteError("--key and --replace say how a bundle is installed: give --bundle FILE too")
        if bundle is not None and build:
            raise SiteError("--build builds the images, --bundle brings them: give one of the two")
        options = ["--detach", "--wait", "--wait-timeout", str(wait_s), *(["--build"] if build else [])]
        manifest = None
        if bundle is not None:
            if not key:
                raise SiteError(f"who may have signed {bundle}? Give --key FILE, the maker's public key")
            manifest = install(bundle, key, folder, replace=replace_files)
            options += ["--no-build", "--pull", "never"]
        site = Compose(folder)
        if site.show("up", *options, *(services or [])):
            site.docker.engine_version()  # which says so when that is why
            raise SiteError(_what_is_not_well(site))
        site.reload_broker()
        for name, version in [] if manifest is None else add_models(manifest, site):
            typer.echo(f"{name}:{version} is on the device, and nothing uses it yet. To serve it:")
            typer.echo(f"  {use_command(name, version, folder=folder)}")
        typer.echo(_addresses(site))


@app.command(
    epilog="""\b
Examples:
  fanwatch down                               data, passwords and .env stay"""
)
def down(folder: Folder = _HERE) -> None:
    """Stop the site; everything that it keeps stays."""
    with as_sentences():
        site = Compose(folder)
        if site.show("down"):
            site.docker.engine_version()
            raise SiteError("docker compose down failed; its own lines above say why")


@app.command(
    epilog="""\b
Examples:
  fanwatch logs                               the last 100 lines of each service
  fanwatch logs predictor --follow            what comes, until Ctrl-C
  fanwatch logs --level warning --since 24h   what went wrong today
  fanwatch logs monitor --raw                 JSON as it was written, for a program"""
)
def logs(
    services: Annotated[list[str] | None, typer.Argument(help="Services; without any, all.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    level: Annotated[
        str, typer.Option(help=f"The least urgent that is shown: {', '.join(LEVELS)}.")
    ] = "debug",
    tail: Annotated[int, typer.Option(min=0, help="How many lines of each service to begin with.")] = 100,
    since: Annotated[
        str | None, typer.Option(help="Only what is younger, as 30m, 24h, 2026-11-27T10:00.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Lines as they were written.")] = False,
    folder: Folder = _HERE,
) -> None:
    """Show the services' log lines, made readable."""
    with as_sentences():
        if level not in LEVELS:
            raise SiteError(f"--level {level}: expected {', '.join(LEVELS)}")
        site = Compose(folder)
        options = ["--no-color", "--tail", str(tail), *(["--follow"] if follow else [])]
        options += ["--since", since] if since else []
        try:
            for text in site.lines("logs", *options, "--", *(services or [])):
                line = read_line(text)
                if line.at_least(level):
                    typer.echo(text if raw else str(line))
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


def _ask(plan: SitePlan) -> SitePlan:
    if not sys.stdin.isatty():
        raise SiteError("there is no terminal to ask on: give --yes, and what shall differ as options")
    typer.echo("Enter keeps what stands in brackets.")
    names = typer.prompt(
        "Names and addresses under which devices reach this machine, with commas",
        ",".join(plan.hostnames) or "none",
    )
    folder = typer.prompt(
        "Folder for data, or docker for Docker's own volumes", str(plan.data_dir or "docker")
    )
    return replace(
        plan,
        site=typer.prompt("What people call this site", plan.site),
        hostnames=tuple(n.strip() for n in names.split(",") if n.strip() and n.strip() != "none"),
        bind=typer.prompt(
            "Address to listen on (127.0.0.1: this machine alone, 0.0.0.0: every network)", plan.bind
        ),
        data_dir=None if folder == "docker" else Path(folder),
        retention_days=typer.prompt("Days that single readings are kept", plan.retention_days, type=int),
        demo=typer.confirm("Simulated fans, to show it?", plan.demo),
    )


def _refuse_to_move_data(folder: Path, old: Path | None, new: Path | None) -> None:
    if old == new:
        return
    try:
        volumes = Compose(folder).volumes()
    except SiteError:
        return  # no engine, so nothing that could be left behind can be found; the table says that there is none
    if volumes:
        raise SiteError(
            f"this site has data already, in {old or 'Docker volumes'}, and data does not move by itself: "
            "`fanwatch backup`, `docker compose down --volumes`, `fanwatch init --data-dir`, `fanwatch restore`"
        )


def _make_data_folders(folder: Path, data_dir: Path) -> None:
    text = (folder / DATA_DIR_FILE).read_text()
    for name in re.findall(r'device: "[^"]*/([\w-]+)"', text):
        place = data_dir / name
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o755)
        except OSError as error:
            raise SiteError(
                f"cannot make {place}: {error.strerror}. As root, or choose another --data-dir"
            ) from error


def _what_is_not_well(site: Compose) -> str:
    ill = [
        f"{each['Service']} ({each.get('Health') or each.get('State')})"
        for each in site.containers()
        if each.get("Health") not in {"", "healthy"}
        or each.get("State") not in {"running", "exited"}
        or (each.get("State") == "exited" and each.get("ExitCode"))
    ]
    if not ill:
        return "docker compose up failed; its own lines above say why"
    first = ill[0].split()[0]
    logs, again = fanwatch_command(f"logs {first}", site.folder), fanwatch_command("up", site.folder)
    return f"not well yet: {', '.join(ill)}. `{logs}` says why; `{again}` tries again"


def _addresses(site: Compose) -> str:
    ports = {
        (name, port["target"]): f"{port.get('host_ip') or '0.0.0.0'}:{port['published']}"  # noqa: S104 - Docker's default
        for name, service in site.resolved()["services"].items()
        for port in service.get("ports", [])
    }
    show = compose_command("run --rm --no-deps -T setup show", site.folder)
    let_in = fanwatch_command("add fan NAME", site.folder)
    return "\n".join(
        [
            "Fanwatch runs.",
            f"  live page        http://{ports['monitor', 8080]}   user operator, password: {show} page",
            f"  Grafana          http://{ports['grafana', 3000]}   user admin, password: {show} grafana",
            f"  MQTT, encrypted  {ports['mosquitto', 8883]}          let a fan in: {let_in}",
            f"  MQTT in clear    {ports['mosquitto', 1883]}          for programs of this machine",
        ]
    )
