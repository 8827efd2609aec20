"""Commands of a site as a person types them from where they stand, in its folder or elsewhere."""

import shlex
from pathlib import Path

__all__ = ["compose_command", "fanwatch_command", "is_here"]


def is_here(folder: Path) -> bool:
    """Whether the person stands in the site's folder."""
    return folder.resolve() == Path.cwd()


def fanwatch_command(words: str, folder: Path) -> str:
    """`fanwatch WORDS` for that site."""
    return f"fanwatch {words}" if is_here(folder) else f"fanwatch {words} --folder {_quoted(folder)}"


def compose_command(words: str, folder: Path) -> str:
    """`docker compose WORDS` for that site."""
    command = f"docker compose {words}"
    # Not --project-directory: COMPOSE_FILE of .env may name files of the folder.
    return command if is_here(folder) else f"cd {_quoted(folder)} && {command}"


def _quoted(folder: Path) -> str:
    return shlex.quote(str(folder.resolve()))
