"""The least of GPSR 0.2, Cheetah, Xopt 3.2 and Badger 1.6 that our sides of them touch, as their documentation has it.

They bring Lightning, BoTorch and Qt, which no test run should install. Where the library itself is installed, the tests
run with it.
"""

from __future__ import annotations

import sys
from abc import ABC
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch


def stand_in(patch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
    """Enter a module, and its parents, where the library is not installed."""
    top, _, _ = name.partition(".")
    if top not in sys.modules and find_spec(top) is not None:
        return
    module = ModuleType(name)
    module.__dict__.update(contents)
    patch.setitem(sys.modules, name, module)
    if top != name:
        patch.setitem(sys.modules, top, sys.modules.get(top) or ModuleType(top))
        setattr(sys.modules[top], name.rpartition(".")[2], module)


# -- gpsr.modeling, cheetah.ParticleBeam ------------------------------------------------------------------------------


class GPSRLattice(torch.nn.Module, ABC):
    def set_lattice_parameters(self, x): ...

    def track_and_observe(self, beam): ...


class GPSR(torch.nn.Module):
    def __init__(self, beam_generator, lattice):
        super().__init__()
        self.beam_generator, self.lattice = deepcopy(beam_generator), deepcopy(lattice)

    def forward(self, x):
        beam = self.beam_generator()
        self.lattice.set_lattice_parameters(x)
        return self.lattice.track_and_observe(beam)


@dataclass
class ParticleBeam:
    particles: torch.Tensor
    """``(..., n, 7)``, the last a one."""
    energy: torch.Tensor
    """Total, in eV."""
    survival_probabilities: torch.Tensor
    species: Any = field(
        default_factory=lambda: SimpleNamespace(
            name="electron", mass_eV=torch.tensor(510998.95), num_elementary_charges=torch.tensor(-1)
        )
    )


# -- xopt, badger -----------------------------------------------------------------------------------------------------


@dataclass
class Evaluator:
    function: Any
    vectorized: bool = False


@dataclass
class VOCS:
    variables: dict[str, list[float]]
    objectives: dict[str, str]
    constraints: dict[str, Any] = field(default_factory=dict)


class Environment:
    def __init__(self):
        self.standing = dict(type(self).standing)
