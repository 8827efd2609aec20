"""The cases, each a module: what is done to the stack, and what must be true of it."""
