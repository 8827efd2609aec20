"""What is measured: each module runs one kind of load against a contestant and returns samples."""
