"""One model's folder on a device: its versions, which of them are in use, and the one rename that changes that.

The scoring service, the device's own commands and the pipeline change it, each for itself; that they do it in one way,
and never two at a time, is this room's only matter. It imports contract and nothing else of ours.
"""
