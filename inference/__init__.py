"""Inference: the scoring service. One model bundle behind the Open Inference Protocol and the first generation's call."""
