"""``python -m monitor``: the live page. Wires the parts and starts the server."""

import sys

import structlog
from pydantic import ValidationError

from monitor import logs
from monitor.clock import SystemClock
from monitor.diagnosis.plant import Plant, PlantError
from monitor.server import AllSettings, MonitorServer


def main() -> int:
    """Serve until SIGTERM; 2 when a setting or the plant's file is wrong."""
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
    try:
        Plant.read(
            settings.monitor.plant_file
        )  # a sentence here, where a worker would only fail again and again
    except PlantError as error:
        structlog.get_logger().error("plant_refused", why=str(error))
        return 2
    MonitorServer(settings, SystemClock(), log_config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
