"""The steps of the pipeline, each a module: what it reads, what it leaves in its folder, and what it says when done."""
