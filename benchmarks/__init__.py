"""What measures speed: the path from fan/messages to fan/anomaly, beside a relay that scores nothing.

Every figure is a ratio or a percentile of one run on one machine, with the same broker for every contestant.
Traffic goes to loopback only, is bounded in count and time, and stops by itself.
"""
