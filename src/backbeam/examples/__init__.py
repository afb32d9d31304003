"""What comes with backbeam: problem files, which `backbeam.problem.Problem.load` finds by name, and programs to run."""
