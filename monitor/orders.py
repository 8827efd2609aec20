"""What a person orders on a page, carried out if they may; what is wrong with it as a sentence."""

from collections.abc import Callable
from typing import Any

from flask import jsonify
from pydantic import ValidationError

from monitor.alarms.board import NoSuchAlarm
from monitor.alarms.database import StoreError
from monitor.alarms.lifecycle import NotPossible
from monitor.login.gate import Gate, Refusal


def carry_out(gate: Gate, step: Callable[[str], None]) -> Refusal:
    """Let who is signed in do it; what comes of it is seen in the next answer to who asks."""
    refusal = gate.may_change()
    if refusal is not None:
        return refusal
    try:
        step(gate.who() or "")
    except ValidationError as error:
        detail: Any = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in detail["loc"]) or "body"
        return gate.refuse(400, f"{where}: {detail['msg']}"[:300])
    except (NotPossible, NoSuchAlarm) as error:
        return gate.refuse(409, f"{error}"[:300])
    except ValueError as error:
        return gate.refuse(400, f"{error}"[:300])
    except StoreError as error:
        return gate.refuse(503, f"{error}"[:300])
    return jsonify(done=True)
