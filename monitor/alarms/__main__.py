"""``python -m monitor.alarms``: the same as ``fanwatch alarms``, inside the monitor's image."""

from monitor.alarms.command import alarms

if __name__ == "__main__":
    alarms()
