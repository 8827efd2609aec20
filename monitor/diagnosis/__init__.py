"""Diagnosis: readings, verdicts and refusals in, findings out. Pure: no network, no file, an injected clock.

Health by evidence over time (ISO 13374's health assessment), the sensors' quality, the mode of operation, the time
left (its prognostic assessment), and why. Standard library only, so that the monitor's image stays as small as it is.
"""
