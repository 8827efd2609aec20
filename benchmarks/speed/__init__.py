"""How fast a reading gets its verdict, beside everything that somebody could use instead.

Every contestant stands between the same broker and the same load, in turn and in the same run, several rounds. What
counts are medians and ratios of one run on one machine. docs/performance.md reads the figures.
"""
