"""backbeam."""
