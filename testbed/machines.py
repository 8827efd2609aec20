"""Machines that do not speak MQTT: a real OPC UA server (asyncua) and a real Modbus device (pymodbus), in threads."""

import asyncio
import struct
import threading
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

from asyncua import Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.user_managers import UserManager
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from testbed.ports import free_port
from testbed.waiting import port_answers, wait_until

__all__ = ["ModbusMachine", "OpcUaMachine", "server_certificate"]

HOST = "127.0.0.1"
_WITHIN_S = 90
_READ_INPUT = 4
"""The function code of Modbus that reads input registers."""
_Result = TypeVar("_Result")


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_WITHIN_S)

    def close(self) -> None:
        async def cancel() -> None:
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.run(cancel())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WITHIN_S)
        self._loop.close()


class _OneUser(UserManager):  # type: ignore[misc, unused-ignore]
    """Lets one user in."""

    def __init__(self, name: str, password: str) -> None:
        self._known = name, password

    def get_user(
        self,
        iserver: Any,  # noqa: ANN401, ARG002 - asyncua's names
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,  # noqa: ANN401, ARG002
    ) -> User | None:
        return User(role=UserRole.User) if (username, password) == self._known else None


class OpcUaMachine:
    """An OPC UA server with one machine behind it; its nodes are ns=2;s=<signal>.

    Args:
        signals: What it measures, by signal.
        folder: Where the server's own certificate lies (server.pem, server_key.pem), for encrypted connections alone;
            None: for unencrypted ones alone.
        user: The one who may sign in, with its password; None lets anybody in.
        host: The address of this machine that it listens on.
    """

    def __init__(
        self,
        signals: dict[str, float],
        folder: Path | None = None,
        user: tuple[str, str] | None = None,
        *,
        host: str = HOST,
    ) -> None:
        self.port = free_port()
        self.endpoint = f"opc.tcp://{host}:{self.port}"
        self._signals = dict(signals)
        self._folder = folder
        self._user = user
        self._loop: _Loop | None = None
        self._server: Server | None = None

    def start(self, **signals: float) -> Self:
        """Starts it, on the same port each time, with the signals as they were last or are given."""
        self._signals |= signals
        self._loop = _Loop()
        self._loop.run(self._start())
        return self

    def stop(self) -> None:
        """Stops it and cuts every connection."""
        assert self._loop is not None
        assert self._server is not None
        self._loop.run(self._server.stop())
        self._loop.close()
        self._loop = self._server = None

    def measures(self, **signals: float) -> None:
        """The sensors have new values."""
        self._signals |= signals
        for name, value in signals.items():
            self._write(name, ua.DataValue(ua.Variant(value, ua.VariantType.Double)))

    def fails(self, signal: str, status: int = ua.StatusCodes.BadSensorFailure) -> None:
        """A sensor's value is not good any more, though the server still shows the last one."""
        value = ua.Variant(self._signals[signal], ua.VariantType.Double)
        self._write(signal, ua.DataValue(value, ua.StatusCode(status)))

    def forgets(self, signal: str) -> None:
        """From the next start on there is no such node."""
        del self._signals[signal]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self.stop()

    def _write(self, name: str, value: ua.DataValue) -> None:
        assert self._loop is not None
        assert self._server is not None
        node = self._server.get_node(ua.NodeId(name, 2))
        self._loop.run(node.write_value(value))

    async def _start(self) -> None:
        server = Server(user_manager=None if self._user is None else _OneUser(*self._user))
        await server.init()
        server.set_endpoint(self.endpoint)
        if self._folder is None:
            server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        else:
            await server.load_certificate(str(self._folder / "server.pem"))
            await server.load_private_key(str(self._folder / "server_key.pem"))
            server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
        await server.register_namespace("urn:plant")
        machine = await server.nodes.objects.add_object(ua.NodeId("machine", 2), "machine")
        for name, value in self._signals.items():
            await machine.add_variable(ua.NodeId(name, 2), name, ua.Variant(value, ua.VariantType.Double))
        await server.start()
        self._server = server


def server_certificate(folder: Path) -> None:
    """Writes server.pem and server_key.pem, as an OPC UA server makes them for itself."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "controller")])
    now = datetime.now(UTC)
    names = [x509.UniformResourceIdentifier("urn:freeopcua:python:server"), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "server.pem").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server_key.pem").write_bytes(private)


class ModbusMachine:
    """A Modbus device: input registers from 0 on (whole numbers), holding registers from 0 on (floats, two each).

    Args:
        whole: The input registers.
        floats: The floats.
        host: The address of this machine that it listens on.
    """

    def __init__(self, whole: list[int], floats: list[float], *, host: str = HOST) -> None:
        self.port = free_port()
        self.controller = f"tcp://{host}:{self.port}"
        self._host = host
        self._whole, self._floats = whole, floats
        self._loop: _Loop | None = None
        self._server: ModbusTcpServer | None = None

    def start(self) -> Self:
        """Starts it, on the same port each time."""
        self._loop = _Loop()
        self._loop.run(self._start())
        wait_until(
            lambda: port_answers(self.port, self._host),
            within_s=_WITHIN_S,
            what="the Modbus device to listen",
        )
        return self

    def stop(self) -> None:
        """Stops it and cuts every connection."""
        assert self._loop is not None
        assert self._server is not None
        self._loop.run(self._server.shutdown())  # type: ignore[no-untyped-call]
        self._loop.close()
        self._loop = self._server = None

    def measures(self, whole: list[int], floats: list[float]) -> None:
        """The registers have new values."""
        self._whole, self._floats = whole, floats

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self.stop()

    async def _start(self) -> None:
        # Shared registers would be the same for both functions, so the answers are made when they are asked for.
        device = SimDevice(1, [SimData(0, values=[0] * 16, datatype=DataType.REGISTERS)], action=self._answer)
        self._server = ModbusTcpServer(device, address=(self._host, self.port))
        await self._server.serve_forever(background=True)

    async def _answer(
        self,
        function: int,
        _start: int,
        _address: int,
        _count: int,
        registers: list[int],
        _values: list[int] | list[bool] | None,
    ) -> None:
        """Puts what is measured now into the registers that are asked for (3: holding, 4: input)."""
        measured = self._whole if function == _READ_INPUT else _registers(self._floats)
        registers[: len(measured)] = measured


def _registers(floats: list[float]) -> list[int]:
    """Floats as two registers each, the high one first (IEEE 754, big-endian)."""
    return [word for value in floats for word in struct.unpack(">HH", struct.pack(">f", value))]
