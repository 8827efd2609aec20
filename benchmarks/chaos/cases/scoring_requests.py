"""Case 15: a hundred thousand requests on the scoring service, good and bad ones."""

import http.client
import json
import random
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.chaos.case import AS_IT_SHIPS, Bench, Needs
from benchmarks.chaos.stack import Part

_REQUESTS = 100_000
_CONNECTIONS = 2
"""Fewer than the service's threads, so that the predictor is served meanwhile."""
_WARM_UP = 0.1
_GROWTH_MIB = 5.0
_HUGE_BYTES = 100_000_000
_CHUNK = b"0" * 1_000_000
_TIMEOUT_S = 30
_SCHEMATHESIS_EXAMPLES = 300
_SCHEMATHESIS_S = 400

Request = tuple[str, str, bytes | None]


@dataclass(frozen=True)
class ScoringRequests:
    """Schemathesis on its OpenAPI, requests of our own, a body of 100 MB; readings flow meanwhile."""

    number: int = 15
    name: str = f"{_REQUESTS:,} requests on the scoring service, malformed ones and 100 MB among them"
    seconds: float = 180
    needs: Needs = AS_IT_SHIPS
    per_second: float = 200

    def run(self, bench: Bench) -> None:
        """No answer of 500 or more, the same process, and memory that does not grow."""
        url, total = bench.stack.scoring_url(), bench.scaled(_REQUESTS, least=2000)
        process = bench.stack.process_of(Part.INFERENCE)
        self._schemathesis(bench, url)
        statuses: Counter[int] = Counter()
        _send_all(url, bench.random, round(total * _WARM_UP), statuses)
        before = bench.stack.memory_mib(Part.INFERENCE)
        _send_all(url, bench.random, total - round(total * _WARM_UP), statuses)
        huge = _send_huge(url)
        after = bench.stack.memory_mib(Part.INFERENCE)
        statuses[huge] += 1
        bench.expect(huge == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"100 MB got {huge}, expected 413")
        errors = sum(count for status, count in statuses.items() if status >= 500)
        bench.expect(errors == 0, f"{errors} answers of 500 or more: {dict(statuses)}")
        bench.expect(after - before <= _GROWTH_MIB, f"memory grew from {before:.1f} to {after:.1f} MiB")
        bench.expect(bench.stack.process_of(Part.INFERENCE) == process, "inference has started again")
        bench.figures |= {f"answers {status}": count for status, count in sorted(statuses.items())}
        bench.figures["memory, MiB"] = f"{before:.1f} to {after:.1f}"

    def _schemathesis(self, bench: Bench, url: str) -> None:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--no-color"]
        options = {
            "--checks": "not_a_server_error",
            "--max-examples": str(bench.scaled(_SCHEMATHESIS_EXAMPLES, least=10)),
            "--seed": str(bench.random.randrange(2**31)),
            "--mode": "all",
        }
        with (
            tempfile.TemporaryDirectory() as folder
        ):  # it remembers what it found, in the folder where it runs
            done = subprocess.run(
                [*command, *(word for option in options.items() for word in option)],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=_SCHEMATHESIS_S,
            )
        bench.expect(done.returncode == 0, f"schemathesis: {(done.stdout + done.stderr)[-1500:]}")
        generated = [line.strip() for line in done.stdout.splitlines() if "generated" in line]
        bench.figures["schemathesis"] = generated[-1] if generated else f"exit {done.returncode}"


def _requests(draw: random.Random) -> Iterator[Request]:
    infer = "/v2/models/fan/infer"

    def tensor(**change: object) -> bytes:
        rows = draw.randint(1, 20)
        data = [round(draw.uniform(0, 700), 2) for _ in range(4 * rows)]
        body = {"name": "signals", "datatype": "FP32", "shape": [rows, 4], "data": data} | change
        return json.dumps({"inputs": [body]}).encode()

    while True:
        yield from draw.sample(
            [
                ("POST", infer, tensor()),
                ("POST", infer, tensor()),
                ("POST", "/score", json.dumps({"params": [600, 40, 150, 48]}).encode()),
                ("POST", "/score", json.dumps({"params": [600, "x", None, 48]}).encode()),
                ("GET", "/v2/health/ready", None),
                ("GET", "/v2/models/fan", None),
                ("POST", infer, tensor(shape=[2, 9])),
                ("POST", infer, tensor(shape=[-1, 4])),
                ("POST", infer, tensor(datatype="BYTES")),
                ("POST", infer, tensor(data=[float("nan")] * 4, shape=[1, 4])),
                ("POST", infer, tensor(data="x" * draw.randint(1, 5000))),
                ("POST", infer, b"[" * draw.randint(1, 20_000)),
                ("POST", infer, draw.randbytes(draw.randint(0, 3000))),
                ("POST", "/v2/models/pump/infer", tensor()),
                ("DELETE", infer, None),
                ("GET", f"/{draw.randbytes(8).hex()}", None),
            ],
            16,
        )


def _send_all(url: str, draw: random.Random, count: int, statuses: Counter[int]) -> None:
    """Send so many over a few connections; every connection has requests of its own."""
    counters: list[Counter[int]] = [Counter() for _ in range(_CONNECTIONS)]
    threads = [
        threading.Thread(
            target=_send, args=(url, random.Random(draw.random()), count // _CONNECTIONS, counter)
        )
        for counter in counters
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for counter in counters:
        statuses.update(counter)


def _send(url: str, draw: random.Random, count: int, statuses: Counter[int]) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT_S)
    for (method, path, body), _ in zip(_requests(draw), range(count), strict=False):
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        statuses[answer.status] += 1
    connection.close()


def _send_huge(url: str) -> int:
    """100 MB in one body; the service may answer before it has read them and hang up."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT_S)
    connection.putrequest("POST", "/v2/models/fan/infer")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(_HUGE_BYTES))
    connection.endheaders()
    try:
        for _ in range(_HUGE_BYTES // len(_CHUNK)):
            connection.send(_CHUNK)
    except OSError:
        pass  # it has hung up; its answer is still there to read
    return connection.getresponse().status
