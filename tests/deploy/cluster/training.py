"""The pipeline as the chart's CronJob: a plant with a past, a job of it by hand, and the model that comes of it."""

import json
from pathlib import Path

import requests
import yaml

from tests.deploy.cluster import closed_alarms
from tests.deploy.cluster.node.kubectl import wait_until
from tests.deploy.cluster.node.one_node import CLUSTER
from tests.deploy.cluster.trial import CHART, VALUES, Trial
from tests.training.recorded_plant import BEGIN, DEVICES, END, ILL, stored_readings

__all__ = ["train", "values_for_training"]

JOB = "train-now"
_WITHIN_S = 900


def train(trial: Trial) -> list[str]:
    """A job of the CronJob, made by hand: from InfluxDB and the alarms' file to verdicts of a third model."""
    _give_a_past(trial)
    values = (*VALUES, "-f", str(values_for_training(trial)))
    trial.helm("upgrade", "fanwatch", str(CHART), *values, "--wait", "--wait-for-jobs", "--timeout=10m")
    trial.kubectl(
        "create",
        "secret",
        "generic",
        "model-signing",
        f"--from-file=model-signing.key={CLUSTER / 'keys' / 'model-signing.key'}",
    )
    trial.start_readings("trained", fans=10, rate=5)
    trial.kubectl("create", "job", JOB, "--from=cronjob/pipeline")
    wait_until(lambda: _ended(trial) is not None, within_s=_WITHIN_S, what=f"the end of the job {JOB}")
    log = trial.kubectl("logs", f"job/{JOB}", "--all-containers")
    if _ended(trial) != "Complete":
        raise RuntimeError(f"the job {JOB} did not complete: {log[-3000:]}")
    newest = (
        'SELECT last("model") FROM "raw"."anomaly" WHERE "deviceID" =~ /^trained-/ AND time > now() - 5s '
        'GROUP BY "deviceID"'
    )
    wait_until(lambda: trial.values(newest) == {"fan:3"}, within_s=120, what="verdicts of fan:3")
    whole = trial.end_readings("trained", fans=10)
    (labels,) = [line for line in log.splitlines() if "closed alarm" in line]
    (better,) = [line.strip() for line in log.splitlines() if "is better than" in line][:1]
    return [labels, better, whole, "verdicts of fan:3"]


def values_for_training(trial: Trial) -> Path:
    """A values file: the CronJob as the chart has it, but for fewer passes, and that its model is used at once."""
    public = (CLUSTER / "keys" / "model-signing.pub").read_text()
    arguments = ["--days", "30", "--labels", "/data/labels.csv", "--epochs", "10", "--as", "champion"]
    file = trial.node.folder / "training.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "pipeline": {"enabled": True, "args": arguments},
                "model": {"publicKeys": {"site.pub": public}},
            }
        )
    )
    return file


def _ended(trial: Trial) -> str | None:
    conditions = trial.node.get("-n", trial.space, "job", JOB)["status"].get("conditions", [])
    ends = [
        each["type"]
        for each in conditions
        if each["status"] == "True" and each["type"] in {"Complete", "Failed"}
    ]
    return ends[0] if ends else None


def _give_a_past(trial: Trial) -> None:
    """Sixty hours of readings in InfluxDB, and for each machine an alarm that a technician has closed."""
    answer = requests.post(
        f"http://{trial.address('influxdb')}:8086/write?db=fan&rp=raw",
        data="\n".join(stored_readings()),
        auth=("admin", trial.secret("secrets-operator", "influxdb_admin")),
        timeout=30,
    )
    if not answer.ok:
        raise RuntimeError(f"InfluxDB did not take the past: {answer.text[:300]}")
    outcomes = {f"piped{device}": "real" if device in ILL else "false" for device in range(1, DEVICES + 1)}
    past = json.dumps([BEGIN.isoformat(), END.isoformat(), outcomes])
    program = Path(closed_alarms.__file__).read_text()
    trial.kubectl("exec", "monitor-0", "--", "python", "-c", program, past)
