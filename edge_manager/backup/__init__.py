"""Everything that a site needs in one file, made while it runs and brought back on an empty machine."""
