"""``python -m monitor.login``: the same as ``fanwatch people``, inside the monitor's image."""

from monitor.login.command import people

if __name__ == "__main__":
    people()
