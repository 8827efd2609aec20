"""Packs a model of any kind onto the scoring service, inference/: checks it, runs it, makes an image, ships it."""
