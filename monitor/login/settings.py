"""The login's settings, read from the environment once."""

import os
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from monitor.settings import DEFAULT_SECRETS_DIR


class LoginSettings(BaseSettings):
    """Each field is variable FANWATCH_<NAME>; a secret is the file fanwatch_<name> in the secrets folder."""

    model_config = SettingsConfigDict(env_prefix="FANWATCH_", env_ignore_empty=True, extra="ignore")

    account_file: Path = Field(
        default=Path("/var/lib/fanwatch/accounts.sqlite3"),
        description="The SQLite file of people and their sessions, on a disk that outlives the process.",
    )
    page_password: SecretStr | None = Field(
        default=None,
        min_length=12,
        description="First password of the account `operator`, which is made when there is none of that name.",
    )
    session_secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Signs the cookies; unset takes a new random one at each start, so that everybody signs in again.",
    )
    public_view: bool | None = Field(
        default=None,
        description="Whether the pages may be looked at without a login, as on a display on the wall; unset means only "
        "in the demo (FANWATCH_DEMO). To change something always needs a login, whatever this says.",
    )
    session_idle_h: float = Field(
        default=8,
        gt=0,
        le=24 * 31,
        description="A session ends after so many hours in which its person did nothing, a shift by default. "
        "A page that refreshes itself is no person.",
    )
    session_longest_h: float = Field(
        default=24, gt=0, le=24 * 366, description="A session ends after so many hours, whatever was done."
    )
    page_https: bool = Field(
        default=False,
        description="The page is reached by https alone, through a proxy: cookies then never travel in clear.",
    )

    @classmethod
    def read(cls) -> Self:
        """Read the environment and the secrets folder (FANWATCH_SECRETS_DIR, or /run/fanwatch).

        Raises:
            pydantic.ValidationError: A variable does not have the form that its field asks for.
        """
        folder = Path(os.environ.get("FANWATCH_SECRETS_DIR", DEFAULT_SECRETS_DIR))
        return cls(_secrets_dir=folder) if folder.is_dir() else cls()
