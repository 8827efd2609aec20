"""How the device does: `fanwatch status` and `fanwatch doctor`.

Facts are gathered at the edge and judged in a pure core.
"""
