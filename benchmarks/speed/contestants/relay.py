"""The yardstick: a paho client that sends every message on and scores nothing.

Written as a user of paho's public interface writes it: publish from on_message, acknowledgement by the library.
"""

import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion


def main(port: int) -> None:
    """Relay fan/messages/# to fan/anomaly, each message at the QoS at which it came, until terminated."""

    def on_connect(client: mqtt.Client, *_: object) -> None:
        client.subscribe("fan/messages/#", 1)

    def on_subscribe(*_: object) -> None:
        print("subscribed", flush=True)

    def on_message(client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        client.publish(message.topic.replace("messages", "anomaly", 1), message.payload, message.qos)

    client = mqtt.Client(CallbackAPIVersion.VERSION2, "relay", protocol=mqtt.MQTTv5)
    client.max_inflight_messages_set(1000)
    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
