"""`python -m edge_manager`: setup, show, history, health."""

from edge_manager.commands import app

if __name__ == "__main__":
    app(prog_name="python -m edge_manager")
