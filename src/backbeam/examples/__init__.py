"""Problem files that come with backbeam: `backbeam.problem.Problem.load` finds them by name."""
