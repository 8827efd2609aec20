"""``python -m training``: the same commands as ``fanwatch``'s."""

from training.command import app

if __name__ == "__main__":
    app(prog_name="python -m training")
