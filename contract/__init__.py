"""What crosses a process boundary in Fanwatch, and nothing else.

Frozen models with units and bounds: no I/O, no settings, no logging. Every service imports this
package and itself, never another service.
"""
