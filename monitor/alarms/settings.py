"""The alarms' settings, read from the environment once."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.alarm import AlarmPriority
from monitor.alarms.policy import AlarmPolicy, Rule
from monitor.findings import FindingKind
from monitor.settings import DEFAULT_SECRETS_DIR


class RuleChange(BaseModel):
    """What a site changes of one kind's rule; what is left out stays."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    priority: AlarmPriority | None = Field(default=None, description="1 high, 2 medium, 3 low.")
    on_delay_s: float | None = Field(default=None, ge=0, le=86400)
    off_delay_s: float | None = Field(default=None, ge=0, le=86400)
    latching: bool | None = None
    work_order: bool | None = None

    def of(self, rule: Rule) -> Rule:
        """The rule with the changes."""
        return Rule(
            priority=rule.priority if self.priority is None else self.priority,
            on_delay=rule.on_delay if self.on_delay_s is None else timedelta(seconds=self.on_delay_s),
            off_delay=rule.off_delay if self.off_delay_s is None else timedelta(seconds=self.off_delay_s),
            latching=rule.latching if self.latching is None else self.latching,
            suppressed_by=rule.suppressed_by,
            suppressed_when_stopped=rule.suppressed_when_stopped,
            work_order=rule.work_order if self.work_order is None else self.work_order,
        )


class AlarmSettings(BaseSettings):
    """Each field is variable FANWATCH_<NAME>; a secret is the file fanwatch_<name> in the secrets folder."""

    model_config = SettingsConfigDict(env_prefix="FANWATCH_", env_ignore_empty=True, extra="ignore")

    alarm_file: Path = Field(
        default=Path("/var/lib/fanwatch/alarms.sqlite3"),
        description="The SQLite file of alarms, history and audit log, on a disk that outlives the process. Two more "
        "files (-wal, -shm) stand beside it; a network file system does not do.",
    )
    alarm_rules: dict[FindingKind, RuleChange] = Field(
        default_factory=dict,
        description="What this site changes, as JSON: "
        '{"machine_fault": {"on_delay_s": 10, "latching": true}, "spikes": {"priority": 2}}.',
    )
    alarm_longest_shelf_h: float = Field(
        default=168, gt=0, le=24 * 366, description="Nothing is shelved for longer, hours."
    )
    alarm_operators: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="People who share the alarms; the quality report's rates are for one.",
    )
    work_order_url: SecretStr | None = Field(
        default=None, description="Where drafts of work orders are posted, token included; unset sends none."
    )
    work_order_cooldown_h: float = Field(
        default=24, ge=0, le=24 * 366, description="At most one draft for a device in so many hours."
    )
    notify_urls: SecretStr | None = Field(
        default=None,
        description="Who is called, as URLs of apprise separated by white space: mailtos://, json://, mqtts://...; "
        "unset calls nobody.",
    )
    notify_priority: AlarmPriority = Field(
        default=AlarmPriority.MEDIUM,
        description="The least urgent priority that people are called for: 1, 2 or 3.",
    )
    notify_gather_s: float = Field(
        default=5,
        ge=0,
        le=3600,
        description="So long more alarms are waited for, to come in the same message.",
    )
    notify_interval_s: float = Field(
        default=300,
        ge=0,
        le=86400,
        description="At most one message to a destination in so many seconds; a flood of alarms is one message.",
    )

    @classmethod
    def read(cls) -> Self:
        """Read the environment and the secrets folder (FANWATCH_SECRETS_DIR, or /run/fanwatch).

        Raises:
            pydantic.ValidationError: A variable does not have the form that its field asks for.
        """
        folder = Path(os.environ.get("FANWATCH_SECRETS_DIR", DEFAULT_SECRETS_DIR))
        return cls(_secrets_dir=folder) if folder.is_dir() else cls()

    def destinations(self) -> tuple[SecretStr, ...]:
        """The URLs, each a secret of its own."""
        text = "" if self.notify_urls is None else self.notify_urls.get_secret_value()
        return tuple(SecretStr(url) for url in text.split())

    def policy(self) -> AlarmPolicy:
        """The alarm philosophy, as this site has it."""
        rules = dict(AlarmPolicy().rules)
        for kind, change in self.alarm_rules.items():
            rules[kind] = change.of(rules[kind])
        return AlarmPolicy(
            rules=rules,
            longest_shelf=timedelta(hours=self.alarm_longest_shelf_h),
            work_orders=self.work_order_url is not None,
            work_order_cooldown=timedelta(hours=self.work_order_cooldown_h),
            destinations=len(self.destinations()),
            notified=self.notify_priority,
        )
