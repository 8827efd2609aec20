"""The versions of models on this device."""
