"""The long run: ``python tests/fuzz problems --count 100000 [--from 0] [--record FILE.json]``.

``--only N`` runs one case and shows its traceback; ``python tests/fuzz table FILE.json ...`` prints rows of RESULTS.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

CAMPAIGNS = ("problems", "commands", "processes", "calls", "gradients", "gradients_jax", "kills")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__)
    parser.add_argument("campaign", choices=[*CAMPAIGNS, "table"])
    parser.add_argument("records", nargs="*", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--record", type=Path)
    given = parser.parse_args()
    import campaign

    if given.campaign == "table":
        print(*(campaign.row(json.loads(path.read_text())) for path in given.records), sep="\n")
        return
    module = importlib.import_module(given.campaign)
    if given.only is not None:
        print(campaign.case_of(module)(given.only))
        return
    numbers = range(given.first, given.first + given.count)
    seconds = getattr(module, "SECONDS", campaign.SECONDS)
    found = campaign.run(given.campaign, campaign.case_of(module), numbers, given.record, seconds)
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["faults"]))


main()
