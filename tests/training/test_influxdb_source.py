"""What the pipeline reads of InfluxDB, on a real one that keeps single readings longer than the default."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from testbed.influxdb import InfluxDB, nanoseconds
from testbed.site import Site
from training.influxdb_source import read_alarm_spans
from training.settings import PipelineSettings


def test_an_alarm_raised_as_long_ago_as_the_site_keeps_readings_still_stands(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    raised, begin = now - timedelta(days=60), now - timedelta(days=1)
    with InfluxDB(Site(tmp_path)) as influxdb:
        influxdb.prepare(retention_days=90)
        told = f'alarm,deviceID=old state="unacknowledged" {nanoseconds(raised)}'
        assert influxdb.write([told]).ok
        settings = PipelineSettings(
            influxdb_url=influxdb.url,
            influxdb_username="grafana",
            influxdb_password=SecretStr(influxdb.site.influxdb_password("grafana")),
        )
        [span] = read_alarm_spans(settings, begin, now)
    assert (span.begin, span.end) == (nanoseconds(raised), nanoseconds(now))
