"""The one error that a person who packs a model sees."""


class ToolkitError(ValueError):
    """Something cannot be packed, run or shipped; says which file or setting, what was expected, what to do."""
