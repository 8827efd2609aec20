"""A project as `fanwatch toolkit new` writes it is tried, served over HTTP and MQTT, packed and shipped."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
import yaml
from oras.provider import Registry as OrasRegistry

from contract.timestamp import format_timestamp
from edge_manager.models.versions import ModelVersions
from inference.bundle import read_bundle
from inference.signature import Signers
from inference_toolkit.image import extras_of, gather
from inference_toolkit.registry import CONFIG_TYPE
from inference_toolkit.source import manifest_of
from testbed.mosquitto import Mosquitto
from testbed.process import REPOSITORY
from testbed.registry import Registry
from testbed.site import Site
from tests.inference_toolkit.conftest import Run

PUMPS_ACL = "user predictor\ntopic readwrite pump/#\n\nuser legacy\ntopic readwrite pump/#\n"
FAULTY = {"flow": 150, "pressure": 9}


@pytest.fixture
def project(tmp_path: Path, run: Run) -> Path:
    run("new", "pump", "--out", tmp_path / "pump")
    return tmp_path / "pump"


@pytest.fixture
def bundle(project: Path, run: Run, keys: tuple[Path, Path]) -> Path:
    run("pack", project, "--out", project / "bundle", "--key", keys[0])
    return project / "bundle"


def told_by(output: str) -> dict[str, str]:
    return {line[6:36].strip(): line[37:] for line in output.splitlines()}


def failed(output: str) -> list[str]:
    return [line[6:36].strip() for line in output.splitlines() if line.startswith("FAIL")]


@contextmanager
def serving(*arguments: str | Path) -> Iterator[list[str]]:
    """`fanwatch toolkit serve` as a process; the lines that it has written once it serves."""
    with subprocess.Popen(
        [sys.executable, "-m", "fanwatch.cli", "toolkit", "serve", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2 if "--mqtt" in arguments else 1)]
        try:
            yield lines
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0


def test_what_new_writes_is_tried_and_passes(project: Path, run: Run) -> None:
    told = run("test", project, "--requests", "50")
    assert "FAIL" not in told
    found = told_by(told)
    assert found["served as"] == "pump:1 by fanwatch_handler"
    assert found["fault"].startswith("20 of 20 rows")
    assert {"latency p50", "latency p99", "memory"} < set(found)


def test_the_projects_own_test_and_training_run_as_they_are(project: Path) -> None:
    for command in ([sys.executable, "train.py"], [sys.executable, "-m", "pytest", "-q", "tests"]):
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_training_anew_gives_the_model_that_was_written(project: Path) -> None:
    before = (project / "model.json").read_bytes()
    (project / "model.json").unlink()
    subprocess.run([sys.executable, "train.py"], cwd=project, check=True, capture_output=True, timeout=60)
    assert (project / "model.json").read_bytes() == before


NOT_RUN = {
    "Install": "this environment is what it would make",
    "Log in to the registry": "ours asks for no account",
}


def test_the_commands_of_the_workflow_for_ci_train_try_pack_sign_and_publish(
    project: Path, registry: Registry, keys: tuple[Path, Path], run: Run, tmp_path: Path
) -> None:
    workflow = yaml.safe_load((project / ".github" / "workflows" / "model.yml").read_text())
    steps = [step for step in workflow["jobs"]["model"]["steps"] if "run" in step]
    assert {step["name"] for step in steps} >= set(NOT_RUN)
    given = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(tmp_path),
        "REGISTRY": f"{registry.host}/ci",
        "FANWATCH_REGISTRY_PLAIN_HTTP": "true",
    }
    contexts = {"${{ secrets.MODEL_SIGNING_KEY }}": keys[0].read_text(), "${{ github.run_number }}": "7"}
    for step in steps:
        if step["name"] in NOT_RUN:
            continue
        script, own = step["run"], step.get("env", {})
        for expression, value in contexts.items():
            script = script.replace(expression, value)
            own = {name: text.replace(expression, value) for name, text in own.items()}
        assert "${{" not in script + "".join(own.values())
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            cwd=project,
            env=os.environ | given | own,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{step['name']}: {done.stdout}{done.stderr}"
        assert "PRIVATE KEY" not in done.stdout + done.stderr
    run("pull", f"{registry.host}/ci/pump:7", "--out", tmp_path / "published", "--plain-http")
    assert read_bundle(tmp_path / "published", "pump", Signers((keys[1],), tmp_path)).is_signed


def change(file: Path, *pairs: tuple[str, str]) -> None:
    text = file.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)


def test_each_limit_that_is_not_kept_is_named(project: Path, run: Run) -> None:
    limits = (("memory_mib = 500", "memory_mib = 5"), ("p99_ms = 250", "p99_ms = 0.001"))
    change(project / "toolkit.toml", *limits, ("maximum = 16", "maximum = 6"))
    assert failed(run("test", project, "--requests", "10", code=1)) == ["sample", "latency p99", "memory"]


def test_a_model_that_says_something_else_than_the_sample_fails(project: Path, run: Run) -> None:
    # Then every row that it was trained on is a fault too, and there is no reference of healthy ones.
    change(
        project / "toolkit.toml",
        ('training_data = "training.csv"', f'training_data_sha256 = "{"0" * 64}"'),
    )
    change(project / "handler.py", ("9 - outputs", "outputs - 9"))
    assert failed(run("test", project, "--requests", "10", code=1)) == ["fault"]


def test_a_name_or_a_folder_that_will_not_do_is_refused(project: Path, run: Run) -> None:
    assert "cannot be a model's name" in run("new", "../pump", code=1)
    assert "is there already" in run("new", "pump", "--out", project, code=1)


def test_a_folder_that_is_neither_project_nor_bundle_is_refused(tmp_path: Path, run: Run) -> None:
    assert "neither a toolkit.toml nor a manifest.json" in run("test", tmp_path, code=1)


def test_it_is_served_over_http(project: Path) -> None:
    with serving(project, "--port", "0") as lines:
        url = lines[0].split("POST ")[1].strip()
        tensor = {"name": "signals", "shape": [1, 2], "datatype": "FP32", "data": list(FAULTY.values())}
        answer = requests.post(url, json={"inputs": [tensor]}, timeout=20).json()
    assert (answer["model_version"], answer["outputs"][1]["data"]) == ("1", [1])


def test_it_is_served_over_mqtt_with_the_models_own_topics(
    project: Path, new_site: Callable[[], Site]
) -> None:
    with Mosquitto(new_site(), acl=PUMPS_ACL) as broker:
        listener = broker.connect("legacy")
        listener.subscribe("pump/anomaly/#")
        secrets = broker.site.secrets_of("predictor")
        reading = {"deviceID": "p1", "timeStamp": format_timestamp(datetime.now(UTC)), **FAULTY}
        at = f"{broker.host}:{broker.port}"
        with serving(
            project, "--port", "0", "--mqtt", at, "--username", "predictor", "--secrets", secrets
        ) as lines:
            assert lines[1].startswith("pump/messages[/DEVICE] in, pump/anomaly[/DEVICE] out")
            listener.publish("pump/messages", json.dumps(reading))
            message = listener.next()
        listener.close()
    verdict = json.loads(message.payload)
    assert (message.topic, verdict["fault"], verdict["model"]) == ("pump/anomaly", 1, "pump:1")


def test_it_is_served_over_mqtt_on_any_topics(project: Path, new_site: Callable[[], Site]) -> None:
    acl = PUMPS_ACL.replace("readwrite pump/#", "readwrite hall/#")
    with Mosquitto(new_site(), acl=acl) as broker, broker.connect("legacy") as listener:
        listener.subscribe("hall/2/verdicts/#")
        secrets = broker.site.secrets_of("predictor")
        reading = {"deviceID": "p1", "timeStamp": format_timestamp(datetime.now(UTC)), **FAULTY}
        account = ("--username", "predictor", "--secrets", secrets)
        topics = ("--in-topic", "hall/2/pumps", "--out-topic", "hall/2/verdicts")
        at = f"{broker.host}:{broker.port}"
        with serving(project, "--port", "0", "--mqtt", at, *account, *topics) as lines:
            assert lines[1].startswith("hall/2/pumps[/DEVICE] in, hall/2/verdicts[/DEVICE] out")
            listener.publish("hall/2/pumps", json.dumps(reading))
            message = listener.next()
    verdict = json.loads(message.payload)
    assert (message.topic, verdict["fault"], verdict["model"]) == ("hall/2/verdicts", 1, "pump:1")


def test_topics_of_which_one_contains_the_other_get_a_sentence(project: Path, run: Run) -> None:
    topics = ("--in-topic", "hall", "--out-topic", "hall/verdicts")
    said = run("serve", project, "--mqtt", "127.0.0.1:1", "--port", "0", *topics, code=1)
    assert "would come back as a reading" in said


def test_a_broker_that_is_not_there_gets_a_sentence(project: Path, run: Run) -> None:
    assert "expected HOST or HOST:PORT" in run("serve", project, "--mqtt", "host:port", "--port", "0", code=1)


def test_a_pushed_bundle_comes_back_as_it_was_signed_and_goes_onto_a_device(
    bundle: Path, registry: Registry, keys: tuple[Path, Path], run: Run, tmp_path: Path
) -> None:
    sent = run("push", bundle, f"{registry.host}/models/pump:1", "--plain-http").strip()
    assert sent.startswith(f"{registry.host}/models/pump@sha256:")
    for number, reference in enumerate((sent, f"{registry.host}/models/pump:1")):
        back = tmp_path / f"back-{number}"
        run("pull", reference, "--out", back, "--plain-http")
        assert {file.name: file.read_bytes() for file in back.iterdir()} == {
            file.name: file.read_bytes() for file in bundle.iterdir()
        }
        assert read_bundle(back, "pump", Signers((keys[1],), tmp_path)).is_signed
    assert ModelVersions(tmp_path / "device", "pump").add(back).is_signed


def test_the_registry_holds_an_oci_artifact_of_our_type(bundle: Path, registry: Registry, run: Run) -> None:
    run("push", bundle, f"{registry.host}/models/typed:1", "--plain-http")
    answer = requests.get(
        f"http://{registry.host}/v2/models/typed/manifests/1",
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        timeout=20,
    ).json()
    assert answer["config"]["mediaType"] == CONFIG_TYPE
    names = {layer["annotations"]["org.opencontainers.image.title"] for layer in answer["layers"]}
    assert names == {"handler.py", "model.json", "reference.json", "manifest.json", "model.sig"}


def test_an_unsigned_bundle_is_not_pushed(project: Path, registry: Registry, run: Run) -> None:
    run("pack", project, "--out", project / "bundle")
    told = run("push", project / "bundle", f"{registry.host}/models/unsigned:1", "--plain-http", code=1)
    assert "is not signed" in told


def test_what_is_no_bundle_is_not_pulled(registry: Registry, run: Run, tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("root")
    config = tmp_path / "config.json"
    config.write_text("{}")
    client = OrasRegistry(insecure=True)
    for tag, kind, file in (
        ("other", "application/json", "application/octet-stream"),
        ("file", CONFIG_TYPE, "application/gzip"),
    ):
        client.push(
            f"{registry.host}/models/other:{tag}",
            files=[f"{tmp_path / 'passwd'}:{file}"],
            manifest_config=f"{config}:{kind}",
            disable_path_validation=True,
            quiet=True,
        )
    pulled = tmp_path / "pulled"
    for tag, why in (
        ("other", "is no bundle but application/json"),
        ("file", "as application/gzip"),
        ("no", "fetched"),
    ):
        assert why in run(
            "pull", f"{registry.host}/models/other:{tag}", "--out", pulled, "--plain-http", code=1
        )
    assert not pulled.exists()


@pytest.mark.parametrize(
    "reference", ["pump", "pump:1", "registry.example/pump", "http://registry.example/pump:1"]
)
def test_a_reference_without_host_or_tag_is_refused(reference: str, bundle: Path, run: Run) -> None:
    assert "expected HOST[:PORT]/REPOSITORY:TAG" in run("push", bundle, reference, code=1)


def test_a_registry_that_does_not_answer_gets_a_sentence(bundle: Path, run: Run) -> None:
    told = run("push", bundle, "127.0.0.1:9/models/pump:1", "--plain-http", code=1)
    assert "the registry does not answer" in told


def test_the_commands_say_which_key_an_image_needs(bundle: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "other.pub").write_bytes((REPOSITORY / "inference" / "fanwatch.pub").read_bytes())
    told = run("build", bundle, "--public-key", tmp_path / "other.pub", "--tag", "pump:1", code=1)
    assert "does not hold for" in told


@pytest.mark.parametrize(
    ("files", "handler", "extras"),
    [
        (("model.tflite", "model.keras"), False, []),
        (("model.onnx",), False, ["onnx"]),
        (("model.keras",), False, ["tensorflow"]),
        (("handler.py", "model.json"), True, []),
        (("handler.py", "first.onnx", "second.onnx"), True, ["onnx"]),
    ],
)
def test_an_image_gets_the_runtime_of_its_model_and_no_other(
    files: tuple[str, ...], handler: bool, extras: list[str], bundle: Path
) -> None:
    manifest = manifest_of(bundle).model_copy(
        update={"files": dict.fromkeys(files, "0" * 64), "handler": handler}
    )
    assert extras_of(manifest) == extras


def test_the_engine_is_given_the_model_the_service_and_nothing_else(
    bundle: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    gather(tmp_path / "context", bundle, manifest_of(bundle), keys[1], REPOSITORY)
    found = {path.name for path in (tmp_path / "context").iterdir()}
    rooms = {"contract", "inference", "model_folder"}
    assert found == {"Dockerfile", "pyproject.toml", "uv.lock", "models"} | rooms
    recipe = (tmp_path / "context" / "Dockerfile").read_text()
    assert recipe.startswith((REPOSITORY / "inference" / "Dockerfile").read_text())
    assert 'ENV FANWATCH_ALLOW_HANDLERS="true"' in recipe
    assert "ALLOW_UNSIGNED" not in recipe
    private = keys[0].read_bytes()
    assert all(path.read_bytes() != private for path in (tmp_path / "context").rglob("*") if path.is_file())


def test_a_port_that_is_taken_is_said_as_the_service_says_it(project: Path, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = run("serve", project, "--port", str(taken.getsockname()[1]), code=1)
    assert "the service inference ended instead of starting: cannot_listen" in told
    assert "in use" in told
