"""The whole stack as processes on one machine: no Docker, no root, no TensorFlow."""
