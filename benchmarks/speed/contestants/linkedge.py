"""LinkEdge's way, rebuilt: one process takes a message, calls the Keras model on its row, publishes the result."""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

_SIGNALS = ("rotation", "temperature", "vibration", "sound")


def main(port: int, model_file: str) -> None:
    """Score what comes until terminated."""
    model = keras.saving.load_model(model_file, compile=False)

    def on_message(client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        reading = json.loads(message.payload)
        row = np.array([[reading[name] for name in _SIGNALS]], dtype=np.float32)
        reading["probability"] = float(model(row, training=False)[0][0])
        client.publish(message.topic.replace("messages", "anomaly", 1), json.dumps(reading), message.qos)

    client = mqtt.Client(CallbackAPIVersion.VERSION2, "linkedge")
    client.on_connect = lambda client, *_: client.subscribe("fan/messages/#", 1)
    client.on_subscribe = lambda *_: print("subscribed", flush=True)
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
