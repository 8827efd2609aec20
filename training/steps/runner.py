"""The runner: does steps in a run folder, each once, and goes on where a run has stopped.

A step's folder holds its artefacts and, when it has ended well, done.json: the digest of all that it read and that of
each file it left. A step is done again when either is no longer so; so a run that was killed, or whose inputs were
exchanged, needs nothing but to be started again.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from contract.timestamp import format_timestamp
from training.settings import PipelineSettings
from training.steps.order import ORDER_FILE, Order

DONE_FILE = "done.json"
_LOCK_FILE = ".lock"


class StepFailed(Exception):  # noqa: N818 - it names the state
    """A step cannot do its work; says what it found, what was expected and what to do."""


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        folder: Where its artefacts lie.
        order: What it shall do.
        settings: Its surroundings.
        now: The clock; aware datetimes.
        progress: Whether to show progress bars.
    """

    folder: Path
    order: Order
    settings: PipelineSettings
    now: Callable[[], datetime]
    progress: bool = False

    @property
    def name(self) -> str:
        """Names the run for good, also in the registry."""
        return self.folder.name

    def of(self, step: str) -> Path:
        """The folder of a step's artefacts."""
        return self.folder / step


@dataclass(frozen=True)
class Outcome:
    """How a step ended.

    Attributes:
        told: In a sentence.
        refused: The run ends here, by intent.
    """

    told: str
    refused: bool = False


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: Also of its folder.
        purpose: What it does, for people.
        asks: The fields of the order that it depends on.
        after: The steps whose artefacts it reads.
        work: Does it, into run.of(name), which is there and empty.
        outside: Files beyond the run's folder that it reads.
    """

    name: str
    purpose: str
    asks: tuple[str, ...]
    after: tuple[str, ...]
    work: Callable[[Run], Outcome]
    outside: Callable[[Run], Iterable[Path]] = lambda _: ()


@dataclass(frozen=True)
class Told:
    """What a person reads of a step."""

    number: int
    of: int
    name: str
    text: str


def write_order(folder: Path, order: Order) -> None:
    """Make a run's folder.

    Raises:
        StepFailed: It holds another order already.
    """
    path = folder / ORDER_FILE
    if path.exists():
        raise StepFailed(
            f"{folder} is a run already; go on with it by --run {folder}, or choose another --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    _write_whole(path, order.model_dump_json(indent=2) + "\n")


def read_order(folder: Path) -> Order:
    """The order of a run.

    Raises:
        StepFailed: The folder is no run.
    """
    path = folder / ORDER_FILE
    try:
        return Order.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StepFailed(
            f"{path}: cannot be read: {error.strerror}; --run names a folder of a run"
        ) from error
    except ValueError as error:
        raise StepFailed(f"{path}: is no order of this version: {error}") from error


def go(
    run: Run,
    steps: Sequence[Step],
    *,
    tell: Callable[[Told], None],
    until: str | None = None,
) -> Outcome:
    """Do the steps that are not done.

    Args:
        run: Which.
        steps: In their order.
        tell: Gets each step as it begins and ends.
        until: The last step to do; None means all.

    Returns:
        The outcome of the last step that was done or found done.

    Raises:
        StepFailed: A step cannot do its work, and those before it are kept; or another process does the run.
    """
    with _alone(run.folder):
        return _go(run, steps, tell, until)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else works in the folder; a process that is killed lets go of it."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / _LOCK_FILE, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StepFailed(f"{folder}: another process goes on with this run; wait for it") from error
    else:
        yield
    finally:
        os.close(handle)


def _go(run: Run, steps: Sequence[Step], tell: Callable[[Told], None], until: str | None) -> Outcome:
    outcome = Outcome("nothing to do")
    for number, step in enumerate(steps, 1):
        inputs = _inputs(run, step)
        folder = run.of(step.name)
        known = _done(folder, inputs)
        if known is not None:
            outcome = known
            tell(Told(number, len(steps), step.name, f"done before: {outcome.told}"))
        else:
            tell(Told(number, len(steps), step.name, step.purpose))
            began = run.now()
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            outcome = step.work(run)
            ended = run.now()
            content = {
                "inputs_sha256": inputs,
                "files": _digests(folder),
                "told": outcome.told,
                "refused": outcome.refused,
                "began": format_timestamp(began),
                "ended": format_timestamp(ended),
            }
            _write_whole(folder / DONE_FILE, json.dumps(content, indent=2) + "\n")
            seconds = (ended - began).total_seconds()
            tell(Told(number, len(steps), step.name, f"{outcome.told} ({seconds:.1f} s)"))
        if outcome.refused or step.name == until:
            break
    return outcome


def file_digest(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        StepFailed: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StepFailed(f"{path}: cannot be read: {error.strerror}") from error


def _inputs(run: Run, step: Step) -> str:
    read = {
        "order": {field: run.order.model_dump(mode="json")[field] for field in step.asks},
        "after": {name: _read_done(run.of(name)).get("files") for name in step.after},
        # Not where they lie: a bundle of a flat folder is moved by the first deployment, and stays what it was.
        "outside": [file_digest(path) for path in step.outside(run)],
    }
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()


def _done(folder: Path, inputs: str) -> Outcome | None:
    """How the step ended, or None when it has to be done."""
    content = _read_done(folder)
    if content.get("inputs_sha256") != inputs or content.get("files") != _digests(folder):
        return None
    return Outcome(content["told"], content["refused"])


def _read_done(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / DONE_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / DONE_FILE
    }


def _write_whole(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
