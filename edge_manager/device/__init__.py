"""The host's side of a site: the machine, its environment file, and the Compose project that runs there."""
