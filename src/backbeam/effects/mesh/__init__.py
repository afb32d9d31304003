"""Meshes that a beam is laid on: one file a kind."""
