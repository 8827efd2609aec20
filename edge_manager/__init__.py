"""Setting up a device and keeping it."""
