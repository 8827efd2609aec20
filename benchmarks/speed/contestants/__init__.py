"""Who is measured: each a set of processes that carries messages from fan/messages to fan/anomaly."""
