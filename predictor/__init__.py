"""The predictor: readings in, verdicts out.

One MQTT session feeds one worker. While a scoring request is in flight the next batch gathers in the queue;
a reading is acknowledged to the broker only after the broker has confirmed its verdict.
"""
