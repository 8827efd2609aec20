"""Runs the parts by honcho: a process group each, one printer for all their output, and one end for all.

honcho starts each part in a session of its own, so Ctrl-C does not reach the parts: the demo ends every one by SIGTERM
(SIGKILL after five seconds). When one part ends, whichever it is, the others are ended too.
"""

import os
import re
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TextIO

from honcho.manager import Manager
from honcho.printer import Message

from demo.services import MEASURE, Part

_STARTED = re.compile(r"\S+ started \(pid=\d+\)")
_STOPPED = re.compile(r"(?P<name>\S+) stopped \(rc=(?P<code>-?\d+)\)")
_INTERRUPTED = re.compile(r"SIG\w+ received")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: who ended first and with which code, unless a signal asked all to end."""

    interrupted: bool
    first: str | None
    code: int

    @property
    def culprit(self) -> str | None:
        """The service that ended by itself, or None when the run ended as it should."""
        return None if self.interrupted or self.first == MEASURE else self.first


class Screen:
    """What honcho prints to: the measuring part's lines go to the terminal, everything else to a file a part."""

    def __init__(self, logs: Path, terminal: TextIO) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.width = 0  # honcho sets it
        self.ending = Ending(interrupted=False, first=None, code=0)
        self.started = 0
        self._logs = logs
        self._terminal = terminal
        self._files: dict[str, TextIO] = {}

    def write(self, message: Message) -> None:
        """Called by honcho for every line, and for what it has to say itself (as "system")."""
        text = message.data if isinstance(message.data, str) else message.data.decode(errors="replace")
        if message.name == "system":
            self._note(text)
        if message.name == MEASURE:
            self._terminal.write(text)
            self._terminal.flush()
        file = self._files.get(message.name)
        if file is None:
            file = (self._logs / f"{message.name}.log").open("w", encoding="utf-8")
            self._files[message.name] = file
        file.write(text)
        file.flush()

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def tail(self, name: str, lines: int = 10) -> str:
        """The end of a part's log."""
        path = self._logs / f"{name}.log"
        return "\n".join(path.read_text(encoding="utf-8").splitlines()[-lines:]) if path.exists() else ""

    def _note(self, text: str) -> None:
        if _STARTED.match(text):
            self.started += 1
        if self.ending.interrupted or self.ending.first is not None:
            return
        if _INTERRUPTED.search(text):
            self.ending = Ending(interrupted=True, first=None, code=0)
        elif stopped := _STOPPED.search(text):
            self.ending = Ending(interrupted=False, first=stopped["name"], code=int(stopped["code"]))


class PatientManager(Manager):  # type: ignore[misc]  # honcho has no types
    """honcho's manager (2.0), safe against a signal that comes while it still starts its processes.

    It could not end what it has no process id of yet, and a Ctrl-C reaches its own children too, which have a copy of
    its handler until they drop it.
    """

    def __init__(self, screen: Screen, count: int) -> None:
        super().__init__(printer=screen)
        self._screen = screen
        self._count = count
        self._owner = os.getpid()
        self._asked_early = False

    def terminate(self) -> None:
        """End everything, as soon as everything has been started."""
        if os.getpid() != self._owner:
            return
        if self._screen.started < self._count:
            self._asked_early = True
        else:
            super().terminate()

    def _system_print(self, data: str) -> None:
        super()._system_print(data)
        if self._asked_early and self._screen.started == self._count:
            self._asked_early = False
            super().terminate()


def run(parts: Sequence[Part], logs: Path) -> tuple[Ending, Screen]:
    """Run all parts until one ends, or until SIGINT, SIGTERM or SIGHUP; nothing is left when it returns."""
    screen = Screen(logs, sys.stdout)
    manager = PatientManager(screen, len(parts))
    for part in parts:
        # exec: the shell becomes the part, so that the part itself gets the signal.
        manager.add_process(part.name, f"exec {shlex.join(part.command)}", env=part.environment)
    # A closed terminal is an end like any other; honcho knows only the two others.
    signal.signal(signal.SIGHUP, _as_sigterm)
    try:
        manager.loop()
    finally:
        screen.close()
    return screen.ending, screen


def _as_sigterm(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGTERM)
