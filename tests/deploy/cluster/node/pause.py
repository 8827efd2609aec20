"""What holds a pod's network namespace: a program that waits."""

import os
import subprocess
from pathlib import Path

__all__ = ["pause_program"]

_SOURCE = """package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	<-end
}
"""


def pause_program(folder: Path) -> Path:
    """Builds it there, once."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "pause").exists():
        (folder / "main.go").write_text(_SOURCE)
        (folder / "go.mod").write_text("module pause\n\ngo 1.24\n")
        subprocess.run(
            ["go", "build", "-o", "pause", "."],
            cwd=folder,
            check=True,
            env=os.environ | {"CGO_ENABLED": "0"},
        )
    return folder / "pause"
