"""Many sites from one desk: how they do, and a model for all of them."""
