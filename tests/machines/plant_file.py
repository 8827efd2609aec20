"""The shipped example of a plant's file, with the machines of a test in place of the plant's."""

import re

from testbed.gateway import MACHINES

OPCUA, MODBUS = "[[inputs.opcua_listener]]", "[[inputs.modbus]]"


def _part(start: str) -> str:
    """From an input's first line to the next input, or to the end."""
    text = MACHINES.read_text()
    rest = text[text.index(start) :]
    following = rest.find("\n# --- one", 1)
    return rest if following < 0 else rest[:following]


def opcua(
    endpoint: str, device: str, *, encrypted: bool = False, server: str = "hall-2", more: str = ""
) -> str:
    """The example's OPC UA server at another endpoint, its nodes named as the test's server names them.

    Args:
        endpoint: Of the server.
        device: Whose readings its nodes are.
        encrypted: Leaves the security as the example has it; else it is off.
        server: What the server is called.
        more: Further settings.
    """
    part = _part(OPCUA)
    part = part.replace("opc.tcp://192.0.2.10:4840", endpoint).replace("fan-hall-2", device)
    part = part.replace('server = "hall-2"', f'server = "{server}"')
    for node, signal in {
        "Fan.Speed": "rotation",
        "Fan.Bearing.Temperature": "temperature",
        "Fan.Bearing.Vibration": "vibration",
        "Fan.SoundLevel": "sound",
    }.items():
        part = part.replace(f"ns=2;s={node}", f"ns=2;s={signal}")
    if not encrypted:
        part = re.sub(r"security_(policy|mode) = .*", r'security_\1 = "None"', part)
    # Faster than the example, so that a test need not wait long; the server's clock ticks once a second all the same.
    part = part.replace('subscription_interval = "1s"', 'subscription_interval = "200ms"')
    first_table = part.index("\n  [[inputs.opcua_listener.nodes]]")
    return part[:first_table] + f"\n  {more}\n" + part[first_table:]


def modbus(controller: str, device: str) -> str:
    """The example's Modbus device at another address."""
    return _part(MODBUS).replace("tcp://192.0.2.20:502", controller).replace("fan-hall-3", device)
