"""Training: data sets, the model, its evaluation against the best possible, and the bundle that is served."""
