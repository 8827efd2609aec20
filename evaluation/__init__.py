"""Evaluation: what the monitor's pure core and the detectors would have said of recorded or simulated data."""
