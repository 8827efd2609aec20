"""A whole site in one signed file, for machines without internet."""
