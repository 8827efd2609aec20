"""How many fans a machine carries, from what was measured."""
