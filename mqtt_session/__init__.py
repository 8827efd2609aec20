"""One persistent MQTT 5 session with manual acknowledgement, as predictor, monitor and drift keep it at the broker.

It knows topics and bodies as text and bytes, and nothing of Fanwatch: it imports nothing of ours.
"""
