"""Maps: each takes the coordinates of all particles over one step. See `backbeam.maps.base` for the contract."""
