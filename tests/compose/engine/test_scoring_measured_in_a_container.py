"""What `python -m benchmarks.comparison` measures of the scoring service in its image."""

import os

import pytest

from benchmarks.comparison import forms
from benchmarks.comparison.asking import measure


@pytest.mark.skipif(os.geteuid() != 0, reason="the memory of another user's process is root's to see")
def test_a_container_is_asked_and_its_cpu_and_memory_are_counted() -> None:
    with forms.container() as service:
        figures = measure(service, per_second=100, seconds=2)
        assert service.memory_mb() > 10
    assert figures["answered_per_second"] == pytest.approx(100, rel=0.2)
    assert 0 < figures["cpu_percent"] < 100


def test_code_and_libraries_of_the_image_are_layers_of_their_own() -> None:
    layers = forms.layers()
    assert 10_000 < layers["code_bytes"] < 5_000_000 < layers["libraries_bytes"]
