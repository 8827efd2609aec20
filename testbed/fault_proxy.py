"""A TCP proxy that makes a network bad: slow, half-open, cut in the middle of a packet."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

_CHUNK_BYTES = 16_384
_CHUNKS_UNDER_WAY = 4096
"""What a slow line holds; a full one makes the sender wait, as a full window does."""
_ANSWER_WITHIN_S = 10


class FaultProxy:
    """Stands between clients and one server of this machine; every method may be called from any thread.

    Args:
        port: The server's, on loopback.

    ``port`` is where clients connect instead.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._delay_s = 0.0

    def slow(self, delay_s: float) -> None:
        """From now on every byte, in either direction, takes so many seconds longer."""
        self._delay_s = delay_s

    def half_open(self) -> int:
        """What is connected now stays connected and carries nothing any more; a new connection works.

        Returns:
            How many connections that hit.
        """
        return self._on_loop(self._for_each(_Link.silence))

    def cut_in_a_packet(self) -> int:
        """Each connection carries half of what its client sends next, and ends with a reset.

        Returns:
            How many connections that hit; each ends with its client's next packet.
        """
        return self._on_loop(self._for_each(_Link.cut_at_next))

    @property
    def connections(self) -> int:
        """How many connections stand, dead ones among them."""
        return len(self._links)

    def __enter__(self) -> Self:
        self._thread.start()
        self._on_loop(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._on_loop(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ANSWER_WITHIN_S)
        self._loop.close()

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_WITHIN_S)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        for link in tuple(self._links):
            link.end()
        await asyncio.gather(*self._tasks)

    async def _for_each(self, act: Callable[["_Link"], None]) -> int:
        for link in tuple(self._links):
            act(link)
        return len(self._links)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(lambda: self._delay_s, (reader, writer), there)
        self._links.add(link)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await link.carry()
        finally:
            self._links.discard(link)
            self._tasks.discard(task)


class _Link:
    """One client's connection and the one made for it to the server."""

    def __init__(
        self,
        delay_s: Callable[[], float],
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._delay_s = delay_s
        self._client_reader, self._client_writer = client
        self._server_reader, self._server_writer = server
        self._silent = False
        self._cut_at_next = False
        self._ended = asyncio.Event()

    def silence(self) -> None:
        self._silent = True

    def cut_at_next(self) -> None:
        self._cut_at_next = True

    def end(self) -> None:
        self._ended.set()

    async def carry(self) -> None:
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._until_ended())
                both.create_task(self._one_way(self._client_reader, self._server_writer, from_client=True))
                both.create_task(self._one_way(self._server_reader, self._client_writer, from_client=False))
        except* (OSError, _Ended):
            pass
        finally:
            self._client_writer.transport.abort()
            self._server_writer.transport.abort()

    async def _until_ended(self) -> None:
        await self._ended.wait()
        raise _Ended

    async def _one_way(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_client: bool
    ) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_UNDER_WAY)
        async with asyncio.TaskGroup() as ends:
            ends.create_task(self._take(reader, under_way))
            ends.create_task(self._deliver(under_way, writer, from_client=from_client))

    async def _take(
        self, reader: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        clock = asyncio.get_running_loop()
        while chunk := await reader.read(_CHUNK_BYTES):
            await under_way.put((clock.time() + self._delay_s(), chunk))
        if not self._silent:  # on a dead line nobody hears that the other end has gone
            raise _Ended

    async def _deliver(
        self,
        under_way: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        *,
        from_client: bool,
    ) -> None:
        clock = asyncio.get_running_loop()
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(max(0.0, due - clock.time()))
            if self._silent:
                continue
            if self._cut_at_next and from_client:
                writer.write(chunk[: len(chunk) // 2])
                with contextlib.suppress(OSError):
                    await writer.drain()
                raise _Ended
            writer.write(chunk)
            await writer.drain()


class _Ended(Exception):  # noqa: N818 - one end has closed, which is no mistake
    """A link is over."""
