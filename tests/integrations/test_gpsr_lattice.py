"""GPSR's lattice: images turned as Cheetah has them, batches, gradients to the beam, copies, settings by screen."""

from __future__ import annotations

import importlib
import sys

import pytest
import stand_ins
import torch

import backbeam as bb

ENERGY = 40e6 + 510_998.95


@pytest.fixture
def gpsr(monkeypatch):
    stand_ins.stand_in(monkeypatch, "gpsr.modeling", GPSRLattice=stand_ins.GPSRLattice, GPSR=stand_ins.GPSR)
    monkeypatch.delitem(sys.modules, "backbeam_torch.gpsr_lattice", raising=False)
    lattice = importlib.import_module("backbeam_torch.gpsr_lattice").BackbeamLattice
    yield lattice, importlib.import_module("gpsr.modeling").GPSR
    sys.modules.pop("backbeam_torch.gpsr_lattice", None)


class Generator(torch.nn.Module):
    def __init__(self, n=300):
        super().__init__()
        z = torch.randn(n, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        self.register_buffer("z", z)
        self.sizes = torch.nn.Parameter(torch.tensor([6e-4, 1e-4, 2e-4, 1e-4, 1e-4, 1e-3], dtype=torch.float64))

    def forward(self):
        X = torch.cat([self.sizes * self.z, torch.ones_like(self.z[:, :1])], dim=-1)
        return stand_ins.ParticleBeam(X, torch.tensor(ENERGY, dtype=torch.float64), torch.ones_like(X[:, 0]))


def line():
    return bb.Line([
        bb.Quadrupole(0.1, k1=0.0, name="scan"), bb.Drift(0.5),
        bb.Screen(half_x=3e-3, half_y=2e-3, pixels=(12, 8), name="yag"), bb.Drift(0.3),
        bb.Screen(half_x=3e-3, half_y=3e-3, pixels=(10, 10), name="ocr"),
    ])  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"space_charge": bb.SpaceCharge3D(grid=(6, 6, 6)), "charge": 1e-9}], ids=str)
def test_images_are_those_of_track_with_y_first(gpsr, options):
    Lattice, GPSR = gpsr
    model = GPSR(Generator(), Lattice(line(), ["scan.k1"], ["yag"], **options))
    k1 = torch.tensor([[-8.0], [0.0], [8.0]], dtype=torch.float64)
    (images,) = model(k1)
    assert images.shape == (3, 8, 12)
    X = (model.beam_generator.sizes * model.beam_generator.z).mT.detach().numpy()
    effects = {name: value for name, value in options.items() if name != "charge"}
    beam = bb.Beam.from_arrays(X, species="electron", kinetic_energy=40e6, charge=options.get("charge", 1e-12))
    for k, value in enumerate(k1[:, 0].tolist()):
        wanted = bb.track(line().replace({"scan.k1": value}), beam, **effects).readings["yag"]
        wanted = torch.as_tensor(wanted / beam.charge).mT
        torch.testing.assert_close(images[k].detach(), wanted, rtol=1e-8, atol=1e-12)
    (images * torch.randn(images.shape, dtype=images.dtype)).sum().backward()
    assert (model.beam_generator.sizes.grad[:4].abs() > 0).all()


def test_each_screen_sees_the_settings_of_its_own(gpsr):
    Lattice, GPSR = gpsr
    x = torch.tensor([[[-8.0], [3.0]], [[0.0], [5.0]]], dtype=torch.float64)
    yag, ocr = GPSR(Generator(), Lattice(line(), ["scan.k1"]))(x)
    assert yag.shape == (2, 8, 12) and ocr.shape == (2, 10, 10)
    for k in range(2):
        (alone,) = GPSR(Generator(), Lattice(line(), ["scan.k1"], ["ocr"]))(x[k, 1:])
        torch.testing.assert_close(ocr[k], alone[0])
    small = GPSR(Generator(), Lattice(line(), ["scan.k1"])).float()
    assert small(x.float())[0].dtype == torch.float32


def test_what_is_meant_otherwise(gpsr):
    Lattice, _ = gpsr
    with pytest.raises(bb.InputError, match="yag, ocr"):
        Lattice(line(), ["scan.k1"], ["scan"])
    with pytest.raises(bb.InputError, match=r"scan\.k9"):
        Lattice(line(), ["scan.k9"])
    with pytest.raises(bb.InputError, match=r"shape \(\.\.\., 1\)"):
        Lattice(line(), ["scan.k1"]).set_lattice_parameters(torch.zeros(3, 2))
