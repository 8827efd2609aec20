"""Alarms after ISA-18.2 (IEC 62682): a pure life cycle, its store, and what goes out of it.

What flows, in one direction: findings -> board (pure) -> one commit -> outbox -> broker, work orders, notifications.
"""
