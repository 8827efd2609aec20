"""The figures of docs/comparison.md, and the scoring service measured as a bare process and in a container."""
