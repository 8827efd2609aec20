"""The article's predictor, rebuilt in its way: one message, one HTTP call on a connection of its own, one verdict."""

import json
import sys

import paho.mqtt.client as mqtt
import requests
from paho.mqtt.enums import CallbackAPIVersion

_SIGNALS = ("rotation", "temperature", "vibration", "sound")


def main(port: int, service_port: int) -> None:
    """Score what comes until terminated."""

    def on_message(client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        reading = json.loads(message.payload)
        answer = requests.post(
            f"http://127.0.0.1:{service_port}/score",
            json={"params": [reading[name] for name in _SIGNALS]},
            timeout=60,
        )
        reading["fault"] = answer.json()["fault"]
        client.publish(message.topic.replace("messages", "anomaly", 1), json.dumps(reading), message.qos)

    client = mqtt.Client(CallbackAPIVersion.VERSION2, "article")
    client.on_connect = lambda client, *_: client.subscribe("fan/messages/#", 1)
    client.on_subscribe = lambda *_: print("subscribed", flush=True)
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
