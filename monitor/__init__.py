"""The live page: the newest verdicts of every machine, their state, and the demo's buttons."""
