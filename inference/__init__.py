"""Inference: the scoring service, one model bundle behind the Open Inference Protocol and the older call."""
