"""Planned maintenance of a machine, on its page: what is planned, plan more, cancel.

The windows are the desk's (suppression by design, ISA-18.2): they keep every alarm of the machine from view, end by
themselves, and are in the alarms' file and in the audit log. Those that come again each week are in the plant's file.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify, request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contract.identity import DEVICE_ID_PATTERN
from monitor.alarms.desk import AlarmDesk
from monitor.alarms.store import PlannedMaintenance
from monitor.clock import Clock
from monitor.login.gate import Gate, Refusal
from monitor.orders import carry_out

_DEVICE_ID = re.compile(DEVICE_ID_PATTERN)
_LONGEST_MAINTENANCE = timedelta(days=31)
"""What hides every alarm of a machine must not be forgotten; for a longer one the plant's file is the place."""
_AHEAD = timedelta(days=366)


class PlanOrder(BaseModel):
    """The body of POST /api/fans/<id>/maintenance."""

    model_config = ConfigDict(extra="forbid")

    start: Annotated[AwareDatetime, Field(alias="from")]
    end: Annotated[AwareDatetime, Field(alias="to")]
    note: Annotated[str, Field(min_length=1, max_length=200)]

    def check(self, now: datetime) -> None:
        """Whether the times are such as a person means.

        Raises:
            ValueError: They are not.
        """
        if self.end - self.start > _LONGEST_MAINTENANCE:
            raise ValueError(
                f"expected at most {_LONGEST_MAINTENANCE.days} days; longer ones go into the plant's file"
            )
        if self.start > now + _AHEAD:
            raise ValueError(f"expected a start within {_AHEAD.days} days")


def maintenance_body(planned: PlannedMaintenance) -> dict[str, Any]:
    """A maintenance window that is not over."""
    return {
        "number": planned.window.number,
        "from": round(planned.window.start.timestamp() * 1000),
        "to": round(planned.window.end.timestamp() * 1000),
        "who": planned.who,
        "note": planned.note,
    }


def maintenance_pages(gate: Gate, desk: AlarmDesk, clock: Clock) -> Blueprint:
    """Build the blueprint."""
    pages = Blueprint("maintenance", __name__)

    @pages.get("/api/fans/<device_id>/maintenance")
    def windows(device_id: str) -> Response:
        planned = [each for each in desk.maintenance() if each.device_id == device_id]
        return jsonify(windows=[maintenance_body(each) for each in planned])

    @pages.post("/api/fans/<device_id>/maintenance")
    def plan(device_id: str) -> Refusal:
        def step(who: str) -> None:
            if not _DEVICE_ID.fullmatch(device_id):
                raise ValueError("no such device")
            said = PlanOrder.model_validate_json(request.get_data())
            said.check(datetime.fromtimestamp(clock.now(), UTC))
            desk.plan_maintenance(device_id, who, said.start, said.end, said.note)

        return carry_out(gate, step)

    @pages.post("/api/maintenance/<int:number>/cancel")
    def cancel(number: int) -> Refusal:
        return carry_out(gate, lambda who: desk.cancel_maintenance(number, who))

    return pages
