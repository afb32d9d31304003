"""Meshes that a beam is laid on: ``cloud_in_cell`` in three dimensions, ``line`` along the bunch."""
