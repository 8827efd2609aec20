"""The models of the running stack: in a volume that the commands change, and of the signers that it knows alone."""

import json
import shutil
from pathlib import Path

from testbed.containers import ROOT, Stack
from testbed.waiting import wait_until


def model(stack: Stack, *arguments: str, mount: Path | None = None) -> str:
    """The command that docs/updates.md gives people."""
    mounts = ("-v", f"{mount}:/bundle:ro") if mount is not None else ()
    return stack.compose("run", "--rm", "-T", *mounts, "model", *arguments)


def stored_models(stack: Stack) -> set[str]:
    rows = stack.query('SELECT last("model") FROM "anomaly" WHERE time > now() - 3s GROUP BY "deviceID"')
    return {row["last"] for row in rows}


def test_a_version_that_nobody_we_know_has_signed_is_put_on_the_device_and_never_served(
    stack: Stack, tmp_path: Path
) -> None:
    bundle = tmp_path / "fan-2"
    shutil.copytree(ROOT / "models" / "fan", bundle, ignore=shutil.ignore_patterns("model.sig"))
    manifest = json.loads((bundle / "manifest.json").read_text()) | {"version": "2"}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    bundle.chmod(0o755)

    assert "in use" in model(stack, "list", "fan")
    assert "fan:2 is on this device (not signed" in model(stack, "add", "/bundle", mount=bundle)
    assert "champion 2" in model(stack, "use", "fan", "2", "--why", "a trial")

    def refused() -> bool:
        return "model_refused" in stack.compose("logs", "--no-log-prefix", "inference")

    wait_until(refused, within_s=60, what="the refusal in the log")
    assert "is not signed" in stack.compose("logs", "--no-log-prefix", "inference")
    wait_until(
        lambda: stored_models(stack) == {"fan:1"}, within_s=30, what="verdicts of the signed version alone"
    )

    assert "champion 1" in model(stack, "rollback", "fan")
    listed = model(stack, "list", "fan")
    assert [line.split()[:2] for line in listed.splitlines()[:2]] == [["fan:1", "champion"], ["fan:2", "not"]]
