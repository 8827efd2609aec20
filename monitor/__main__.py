"""``python -m monitor``: the live page. Wires the parts and starts the server."""

import sys

import structlog
from pydantic import ValidationError

from monitor import logs
from monitor.alarms.database import StoreError
from monitor.alarms.notifier import BadDestination
from monitor.clock import SystemClock
from monitor.diagnosis.plant import PlantError
from monitor.login.accounts import AccountsUnusableError
from monitor.server import AllSettings, MonitorServer, try_out


def main() -> int:
    """Serve until SIGTERM; 2 when a setting, the plant's file or a file of its own is wrong."""
    log_config = logs.configure()
    try:
        settings = AllSettings.read()
    except ValidationError as error:
        wrong = [
            {"setting": ".".join(str(part) for part in each["loc"]), "expected": each["msg"]}
            for each in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        structlog.get_logger().error("settings_refused", wrong=wrong)
        return 2
    clock = SystemClock()
    try:
        try_out(settings, clock)
    except (PlantError, StoreError, AccountsUnusableError, BadDestination) as error:
        structlog.get_logger().error("not_started", why=str(error))
        return 2
    MonitorServer(settings, clock, log_config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
