"""The service that keeps the downsampled history complete, and tells the age of the newest verdict."""
