"""A line as a module of PyTorch: its parameters, state, copies, optimisers, and gradients next to our own door's."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import backbeam as bb
from backbeam_torch import LineModule

SIGMA = bb.observables.sigma("x")
ELECTRONS = {
    "n": 60, "species": "electron", "kinetic_energy": 20e6, "charge": 1e-9, "sigma_x": 1e-3, "sigma_y": 1e-3,
    "sigma_px": 1e-3, "sigma_py": 1e-3, "sigma_tau": 1e-3, "sigma_pt": 1e-3, "seed": 2,
}  # fmt: skip
OPTIONS = {"space_charge": bb.SpaceCharge3D(grid=(6, 6, 6))}
DOUBLE = {"dtype": torch.float64}
NAMES = ["half.k1", "mq.12r1.k1", "mq.12r1.dx", "d.length"]


def beam(**changes):
    return bb.Beam.gaussian(**{"backend": "torch", **ELECTRONS, **changes})


def line(fixed=2.0):
    """A name with a dot, and one that a method of modules has."""
    return bb.Line([
        bb.Quadrupole(0.1, k1=8.0, name="half"), bb.Drift(0.3), bb.Quadrupole(0.1, k1=-6.0, name="mq.12r1"),
        bb.Drift(0.2, name="d"), bb.Quadrupole(0.1, k1=fixed, name="fixed"), bb.Monitor(name="m"),
    ])  # fmt: skip


def test_parameters_are_called_by_their_paths_and_have_the_gradients_of_our_own_door():
    module = LineModule(line(torch.tensor(2.0, **DOUBLE)), NAMES, **OPTIONS)
    assert sorted(module.state_dict()) == sorted(name for name, _ in module.named_parameters()) == sorted(NAMES)
    SIGMA(module(beam())).backward()
    host = line().replace({"mq.12r1.dx": 0.0})
    _, wanted = bb.value_and_grad(SIGMA, host, beam(backend="numpy"), NAMES, **OPTIONS)
    for name, parameter in module.named_parameters():
        assert parameter.grad.item() == pytest.approx(float(wanted[name]), rel=1e-11), name


def test_units_make_values_of_one_size():
    module, plain = (
        LineModule(line(), names) for names in ({"half.k1": 10.0, "half.dx": 1e-4}, ["half.k1", "half.dx"])
    )
    for one in (module, plain):
        one(beam()).mean("x").backward()
    grads, plain_grads = ({n: p.grad.item() for n, p in one.named_parameters()} for one in (module, plain))
    assert module.state_dict()["half.k1"].item() == pytest.approx(0.8)
    assert module.settings() == {"half.k1": pytest.approx(8.0), "half.dx": 0.0}
    assert grads["half.k1"] == pytest.approx(10.0 * plain_grads["half.k1"], rel=1e-12)
    assert grads["half.dx"] == pytest.approx(1e-4 * plain_grads["half.dx"], rel=1e-12)


def test_state_copy_pickle_and_data_type():
    module = LineModule(line(torch.tensor(2.0, **DOUBLE)), NAMES, beam=beam(), read=SIGMA, **OPTIONS)
    value = module()
    moved = {name: 1.01 * entry for name, entry in module.state_dict().items()}
    called = torch.func.functional_call(
        LineModule(line(), ["d.length"], beam=beam()), {"d.length": moved["d.length"]}, ()
    )
    assert called.s.item() == pytest.approx(0.802)
    twins = copy.deepcopy(module), pickle.loads(pickle.dumps(module))
    for twin in twins:
        assert twin().item() == value.item()
        twin.load_state_dict(moved)
        assert twin().item() != value.item() and module().item() == value.item()
    small = twins[0].to(torch.float32)
    assert {p.dtype for p in small.parameters()} == {torch.float32}
    assert small.line.get("fixed.k1").dtype == small.beam.coordinates.dtype == small().dtype == torch.float32
    assert small.beam.lost_at.dtype == torch.int32
    assert small().item() == pytest.approx(twins[1]().item(), rel=1e-5)
    assert small.to(torch.device("cpu"))().item() == small().item()
    host = line().replace(module.settings())
    assert SIGMA(bb.track(host, beam(), **OPTIONS)).item() == pytest.approx(value.item(), rel=1e-14)


def test_a_knob_is_trained_through_its_formulas(tmp_path):
    (tmp_path / "cell.madx").write_text(
        "kqf = 3.0; qf: quadrupole, l=0.2, k1:=kqf; qd: quadrupole, l=0.2, k1:=-0.9*kqf;"
        "cell: line=(qf, qd); beam, particle=electron, energy=0.02; use, period=cell;"
    )
    knobbed = bb.load(tmp_path / "cell.madx", line="cell").line
    module = LineModule(knobbed, ["kqf"])
    SIGMA(module(beam())).backward()
    _, wanted = bb.value_and_grad(SIGMA, knobbed, beam(backend="numpy"), ["kqf"])
    assert module.kqf.grad.item() == pytest.approx(float(wanted["kqf"]), rel=1e-11)
    assert module.float().line.formulas() == knobbed.formulas()


@pytest.mark.parametrize(
    "optimiser,rate",
    [(torch.optim.Adam, 0.03), (torch.optim.SGD, 0.3), (torch.optim.LBFGS, 0.3)],
    ids=lambda o: getattr(o, "__name__", ""),
)
def test_optimisers_of_torch_make_the_beam_smaller(optimiser, rate):
    module = LineModule(line(), {"half.k1": 10.0, "mq.12r1.k1": 10.0}, beam=beam(), read=SIGMA)
    turned, first = optimiser(module.parameters(), lr=rate), module().item()

    def closure():
        turned.zero_grad()
        value = 1e3 * module()
        value.backward()
        return value

    for _ in range(5):
        turned.step(closure)
    assert module().item() < 0.98 * first


class Spread(torch.nn.Module):
    """From numbers to coordinates."""

    def __init__(self):
        super().__init__()
        self.sizes = torch.nn.Parameter(torch.full((6,), 1e-3, **DOUBLE))

    def forward(self, z):
        return self.sizes[:, None] * z


def test_between_other_modules():
    """Numbers -> coordinates -> the line -> a second line -> a reading; 30 particles where the beam has 60."""
    start = beam()
    chain = torch.nn.Sequential(
        Spread(), LineModule(line(), ["half.k1"], beam=start, **OPTIONS),
        LineModule(line(), ["mq.12r1.k1"], read=bb.observables.reading("m", "x")),
    )  # fmt: skip
    z = torch.randn(6, 30, generator=torch.Generator().manual_seed(1), **DOUBLE)
    value = chain(z)
    value.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in chain.parameters())
    plain = bb.Beam.from_arrays((1e-3 * z).numpy(), species="electron", kinetic_energy=20e6, charge=1e-9)
    out = bb.track(line(), bb.track(line(), plain, **OPTIONS))
    assert value.item() == pytest.approx(float(out.readings["m"][0]), rel=1e-12)


def test_networks_and_parameters_in_the_line_are_trained_with_it():
    torch.manual_seed(0)
    net, k1 = torch.nn.Linear(60, 60, bias=False, **DOUBLE), torch.nn.Parameter(torch.tensor(2.0, **DOUBLE))
    inside = bb.Line([bb.Drift(0.1), bb.Function(net, name="net"), *line(k1)])
    module = LineModule(inside, ["half.k1"], beam=beam(), read=SIGMA)
    assert {id(p) for p in module.parameters()} >= {id(net.weight), id(k1)}
    assert set(module.state_dict()) == {"half.k1", "fixed.k1", "net.weight"}
    module().backward()
    assert all(p.grad is not None for p in module.parameters())
    twin = copy.deepcopy(module)
    with torch.no_grad():
        net.weight.mul_(1.1)
    assert module().item() == pytest.approx(1.1 * twin().item(), rel=0.2) and module().item() != twin().item()
    weights = {"net.weight": net.weight.detach() / 1.1}
    assert torch.func.functional_call(twin, weights, ()).item() == pytest.approx(twin().item(), rel=1e-12)
    assert twin.float()().dtype == torch.float32


@pytest.mark.parametrize(
    "make,said",
    [
        (lambda: LineModule(line(), ["half.k2"]), "half.k2"),
        (lambda: LineModule(line(), ["half.slices"]), "half.slices"),
        (lambda: LineModule(line(), "half.k1"), "a list of names"),
        (lambda: LineModule(line(), ["half.k1", "half.k1"]), "each once"),
        (lambda: LineModule(line(), {"half.k1": 0.0}), "greater than 0"),
        (lambda: LineModule(line(), read="sigma_x"), "read"),
        (lambda: LineModule([bb.Drift(1.0)]), "a Line"),
        (lambda: LineModule(line())(), "was given none"),
        (lambda: LineModule(line(), beam=beam())(torch.zeros(60, 6)), r"\(\.\.\., 6, n\)"),
        (lambda: LineModule(line())(torch.zeros(6, 60)), "was given none"),
    ],
)
def test_what_is_meant_otherwise(make, said):
    with pytest.raises(bb.InputError, match=said):
        make()
