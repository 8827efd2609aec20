"""The names that tie a message to a device or a model."""

from typing import Annotated

from pydantic import Field

DEVICE_ID_PATTERN = r"^[A-Za-z0-9._-]{1,64}$"
DeviceID = Annotated[
    str,
    Field(
        pattern=DEVICE_ID_PATTERN,
        description="Name of the device: 1 to 64 letters, digits, dots, hyphens or underscores, "
        "so that it is safe as an MQTT topic level, as an InfluxDB tag and in a file name.",
    ),
]

SIGNAL_NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"
SignalName = Annotated[
    str,
    Field(pattern=SIGNAL_NAME_PATTERN, description="Name of a signal: a letter, then letters, digits or _."),
]

MODEL_NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
ModelName = Annotated[str, Field(pattern=MODEL_NAME_PATTERN, description="Name of a model, as in its URL.")]

Sequence = Annotated[
    int,
    Field(
        ge=0,
        le=2**53 - 1,
        description="Number of the reading since bootID began, counting up by one; at most 2^53 - 1, "
        "so that a JSON reader with doubles keeps it exact.",
    ),
]

BootID = Annotated[
    str,
    Field(min_length=1, max_length=64, description="Names one run of the device; seq starts anew with it."),
]
