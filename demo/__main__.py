"""``python -m demo [--duration N]``."""

from demo.command import app

if __name__ == "__main__":
    app(prog_name="python -m demo")
