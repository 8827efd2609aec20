"""The service as it runs: gunicorn, its workers, its signals, and how it fails at the start."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.inference.inference_process import ServiceProcess, environment

Start = Callable[..., ServiceProcess]
HEALTHY = [600.0, 40.0, 150.0, 48.0]
REQUEST = {"inputs": [{"name": "signals", "datatype": "FP32", "shape": [2, 4], "data": HEALTHY * 2}]}


def run_to_its_end(**settings: object) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, log lines, and what else was written."""
    done = subprocess.run(
        [sys.executable, "-m", "inference"],
        env=environment(**({"listen_port": 0} | settings)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def raw(address: str, request: bytes) -> bytes:
    """Send bytes as they are, and read until the other side closes."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def test_it_gets_ready_scores_counts_and_stops_cleanly_on_sigterm(
    start_service: Start, tmp_path: Path
) -> None:
    service = start_service(scratch_dir=tmp_path)
    (loaded,) = service.await_event("model_ready")
    assert (loaded["model"], loaded["runtime"]) == ("fan:1", "litert")
    with requests.Session() as session:
        assert session.get(f"{service.url}/v2/health/ready", timeout=20).status_code == 200
        infer = session.post(f"{service.url}/v2/models/fan/infer", json=REQUEST, timeout=20)
        assert infer.status_code == 200
        assert infer.json()["outputs"][1]["data"] == [0, 0]
        score = session.post(f"{service.url}/score", json={"params": HEALTHY}, timeout=20)
        assert score.json() == {"fault": "0"}
        metrics = session.get(f"{service.url}/metrics", timeout=20).text
    assert "fanwatch_inference_rows_scored_total 3.0" in metrics
    assert 'fanwatch_inference_model{model="fan:1",runtime="litert"} 1.0' in metrics
    service.process.send_signal(signal.SIGTERM)
    service.await_event("inference_stopped")
    assert service.process.wait(30) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_the_start_is_a_clean_stop_too(start_service: Start, number: int) -> None:
    service = start_service()  # listening, and nothing else yet
    service.process.send_signal(number)
    assert service.process.wait(30) == 0


def test_the_next_start_removes_what_a_killed_service_left_and_leaves_a_running_one_alone(
    start_service: Start, tmp_path: Path
) -> None:
    killed = start_service(scratch_dir=tmp_path)
    killed.await_event("model_ready")
    (left,) = tmp_path.iterdir()
    workers = psutil.Process(killed.process.pid).children()
    killed.process.kill()
    killed.process.wait(30)
    psutil.wait_procs(workers, timeout=30)  # a worker notices within a second that its parent is gone

    running = start_service(scratch_dir=tmp_path)
    running.await_event("model_ready")
    start_service(scratch_dir=tmp_path).await_event("model_ready")
    folders = list(tmp_path.iterdir())
    assert left not in folders
    assert len(folders) == 2
    assert requests.get(f"{running.url}/metrics", timeout=20).status_code == 200


def test_a_scratch_folder_that_cannot_be_written_stops_the_start_with_one_line() -> None:
    code, log, stderr = run_to_its_end(scratch_dir="/proc/nowhere")
    assert code == 1
    assert [entry["event"] for entry in log] == ["cannot_write_scratch_dir"]
    assert stderr == ""


def test_any_worker_answers_for_all_and_each_stays_under_100_mb(start_service: Start) -> None:
    service = start_service(workers=2)
    service.await_event("model_ready", times=2)
    workers = psutil.Process(service.process.pid).children()
    assert len(workers) == 2
    for _ in range(40):  # each on a connection of its own, so that the kernel gives them to both
        assert (
            requests.post(f"{service.url}/v2/models/fan/infer", json=REQUEST, timeout=20).status_code == 200
        )
    for _ in range(10):
        metrics = requests.get(f"{service.url}/metrics", timeout=20).text
        assert "fanwatch_inference_rows_scored_total 80.0" in metrics
        assert "fanwatch_inference_ready 1.0" in metrics
    assert [worker.memory_info().rss for worker in workers if worker.memory_info().rss > 100e6] == []


def test_a_killed_worker_is_replaced_and_its_counts_are_kept(start_service: Start) -> None:
    service = start_service()
    service.await_event("model_ready")
    assert requests.post(f"{service.url}/v2/models/fan/infer", json=REQUEST, timeout=20).status_code == 200
    (worker,) = psutil.Process(service.process.pid).children()
    worker.kill()
    service.await_event("model_ready")
    metrics = requests.get(f"{service.url}/metrics", timeout=20).text
    assert "fanwatch_inference_rows_scored_total 2.0" in metrics
    assert "fanwatch_inference_ready 1.0" in metrics


@pytest.mark.parametrize(
    "framing",
    [
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"Content-Length: 100\r\n\r\n{}",
        b"Content-Length: 99999999999\r\n\r\n{}",
        b"Content-Length: x\r\n\r\n{}",
        b"\r\n",
    ],
    ids=["bad chunk", "broken chunk", "broken off", "too large", "no number", "no body"],
)
def test_a_body_that_is_framed_wrongly_gets_a_clients_error_or_a_closed_connection(
    served: ServiceProcess, framing: bytes
) -> None:
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    answer = raw(served.address, head + framing)
    assert answer == b"" or answer.split(b" ")[1] in {b"400", b"413"}, answer
    assert requests.post(f"{served.url}/score", json={"params": HEALTHY}, timeout=20).status_code == 200


def test_a_body_over_the_limit_gets_413_whether_or_not_it_says_its_length(served: ServiceProcess) -> None:
    url = f"{served.url}/v2/models/fan/infer"
    for data in (b" " * 70_000, iter([b" " * 7_000] * 10)):
        answer = requests.post(url, data=data, headers={"Content-Type": "application/json"}, timeout=20)
        assert (answer.status_code, answer.json()) == (413, {"error": "body: expected at most 65536 bytes"})


def test_a_damaged_model_file_stops_the_start_with_one_line(copied_models: Path) -> None:
    path = copied_models / "fan" / "model.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    code, log, stderr = run_to_its_end(models_dir=copied_models)
    assert code == 1
    assert [entry["event"] for entry in log] == ["model_is_unusable"]
    assert "Hash mismatch for 'model.tflite'" in log[0]["error"]
    assert stderr == ""


def test_a_model_that_cannot_be_parsed_stops_the_service_without_a_traceback(copied_models: Path) -> None:
    manifest = copied_models / "fan" / "manifest.json"
    content = b"packed from the wrong file"
    (copied_models / "fan" / "model.tflite").write_bytes(content)
    described = json.loads(manifest.read_text())
    described["files"]["model.tflite"] = hashlib.sha256(content).hexdigest()
    manifest.write_text(json.dumps(described))
    code, log, stderr = run_to_its_end(models_dir=copied_models, allow_unsigned_models=True)
    assert code != 0
    (told,) = [entry for entry in log if entry["event"] == "model_is_unusable"]
    assert "is no LiteRT model" in told["error"]
    assert "Traceback" not in stderr
    assert not any("exception" in entry for entry in log)


def test_an_unknown_runtime_stops_the_start_with_one_line_that_names_the_known(copied_models: Path) -> None:
    code, log, stderr = run_to_its_end(models_dir=copied_models, runtime="torch")
    assert code == 2
    assert [entry["event"] for entry in log] == ["settings_are_wrong"]
    assert "'auto', 'litert', 'onnx', 'tensorflow' or 'handler'" in log[0]["error"]
    assert stderr == ""


def test_a_port_that_is_taken_stops_the_start_with_one_line(copied_models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, log, stderr = run_to_its_end(models_dir=copied_models, listen_port=port)
    assert code == 1
    assert [entry["event"] for entry in log] == ["cannot_listen"]
    assert log[0]["address"] == f"127.0.0.1:{port}"
    assert "in use" in log[0]["error"]
    assert stderr == ""


def test_no_service_imports_tensorflow_or_pandas_to_run_litert() -> None:
    program = (
        "import sys, inference.app, inference.server, inference.metrics, inference.runtimes.litert;"
        "print([name for name in ('tensorflow', 'keras', 'pandas', 'sklearn', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"


def test_a_thread_that_stays_with_its_connection_holds_up_no_other_caller(
    start_service: Start, tmp_path: Path
) -> None:
    service = start_service(scratch_dir=tmp_path, threads=1)
    service.await_event("model_ready")
    callers = [requests.Session() for _ in range(5)]
    for _ in range(10):
        for caller in callers:  # each keeps its connection open
            assert caller.post(f"{service.url}/v2/models/fan/infer", json=REQUEST, timeout=20).ok
    for caller in callers:
        caller.close()
