"""Simulated fans that run well, wear out, break, spike, stick or go silent, and the replay of recorded ones."""
