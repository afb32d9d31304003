"""How fast is backbeam, beside Cheetah, Xsuite, ImpactX? One module a table, listed by ``python benchmarks/speed``."""
