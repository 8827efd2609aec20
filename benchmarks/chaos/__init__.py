"""What measures loss: numbered readings flow, something is killed, and every acknowledged reading is looked for.

A case (`cases/`) is a fault; `trial` runs it on a stack (`stack`: processes of this machine, or the containers of
docker-compose.yml); `flow` sends the readings and notes what the broker acknowledged; `ledger` holds that against what
is stored. Traffic goes to loopback only, is bounded in count and time, and stops by itself.
"""
