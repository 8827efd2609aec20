"""What the page is told, as JSON: short keys nowhere, short numbers everywhere."""

from typing import Any

from contract.bundle import ModelSignature
from monitor.fleet import DeviceView, FleetView
from monitor.loss_ledger import Arrival, Losses
from monitor.window import Point


def fleet_body(
    view: FleetView,
    *,
    epoch: str,
    broker_trouble: str | None,
    monitor_trouble: str | None,
    way_is_down: bool,
    signature: ModelSignature | None,
) -> dict[str, Any]:
    """The answer to GET /api/fans and /api/fans/<id>; times are milliseconds since 1970 UTC."""
    return {
        "epoch": epoch,
        "cursor": view.cursor,
        "total": view.total,
        "counts": {state.value: count for state, count in view.counts.items()},
        "broker_trouble": broker_trouble,
        "monitor_trouble": monitor_trouble,
        "way_is_down": way_is_down,
        "services": view.services,
        "losses": _losses_body(view.losses),
        "signature": None if signature is None else signature.model_dump(include={"signals", "threshold"}),
        "fans": [_device_body(device) for device in view.devices],
    }


def _device_body(device: DeviceView) -> dict[str, Any]:
    newest = device.newest
    names = () if newest is None else newest.names
    return {
        "id": device.device_id,
        "state": device.condition.state.value,
        "standing": sorted(device.condition.standing),
        "since": None if device.since is None else _milliseconds(device.since),
        "contact_age_s": None if device.contact_age_s is None else round(device.contact_age_s, 3),
        "behind_s": round(device.behind_s, 3),
        "probability": None if newest is None else _short(newest.probability),
        "fault": None if newest is None else int(newest.fault),
        "model": device.model,
        "rejected": device.rejected,
        "refusal": None
        if device.refusal is None
        else {
            "reason": device.refusal.reason.value,
            "detail": device.refusal.detail,
            "received": _milliseconds(device.refusal.received),
        },
        "refused": device.refused,
        "losses": _losses_body(device.losses),
        "signals": names,
        "restarted": device.restarted,
        # Each point: number, time of measurement, fault, probability, then the signals in the order above.
        "points": [_point_body(point, names) for point in device.points],
    }


def _losses_body(losses: Losses) -> dict[str, int]:
    counts = {arrival.value: losses.of(arrival) for arrival in Arrival}
    return {"received": losses.received, "missing": losses.missing, **counts}


def _point_body(point: Point, names: tuple[str, ...]) -> list[float | int | None]:
    values: list[float | None]
    if point.names == names:
        values = [_short(value) for value in point.values]
    else:
        by_name = dict(zip(point.names, point.values, strict=True))
        values = [_short(by_name[name]) if name in by_name else None for name in names]
    return [point.number, _milliseconds(point.at), int(point.fault), _short(point.probability), *values]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _short(value: float) -> float:
    """Six digits: more than a chart can show, and a third of the bytes."""
    return float(f"{value:.6g}")
