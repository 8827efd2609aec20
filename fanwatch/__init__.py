"""The one command: mounts each room's own commands, loaded when they are called."""
