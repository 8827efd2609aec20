"""The drift watch: whether what the model sees and says is still what it learned.

It reads the verdicts, which carry the inference service's inputs and outputs, and publishes nothing but its status.
"""
