"""Beams of other codes: what is read is what was written, at fixed s; what is left open is asked for."""

from __future__ import annotations

import subprocess
import sys

import beam_files
import h5py
import numpy as np
import pytest
from beam_files import beam_of

from backbeam import beams
from backbeam.beam import Beam
from backbeam.beams import BeamFileWarning
from backbeam.effects.space_charge import SpaceCharge3D
from backbeam.elements import Aperture, Drift, Quadrupole, RFCavity
from backbeam.errors import InputError
from backbeam.line import Line
from backbeam.species import Species
from backbeam.tracking import track

REGIMES = [("electron", 250e6), ("electron", 1e4), ("proton", 2.5e6), ("proton", 7e12), ("muon-", 1e9), ("alpha", 4e8)]


def same(a, b, atol=3e-15):
    """Whether two beams are equal to rounding: coordinates absolutely, the rest relatively."""
    np.testing.assert_allclose(a.coordinates, b.coordinates, rtol=3e-15, atol=atol)
    np.testing.assert_allclose(a.charges, b.charges, rtol=3e-15)
    np.testing.assert_allclose(float(a.reference.beta_gamma), float(b.reference.beta_gamma), rtol=3e-15)
    assert a.species == b.species and float(a.s) == float(b.s)


# -- ours, and openPMD both ways -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["h5", "npz", "csv"])
@pytest.mark.parametrize(("species", "energy"), REGIMES)
def test_there_and_back(tmp_path, suffix, species, energy):
    beam = beam_of(species, energy)
    beam.save(tmp_path / f"beam.{suffix}")
    same(Beam.load(tmp_path / f"beam.{suffix}"), beam)


@pytest.mark.parametrize("suffix", ["h5", "npz", "csv"])
def test_a_species_of_ones_own_comes_back(tmp_path, suffix):
    beam = beam_of(Species("U28+", 221.7e9, 28.0), 1e9)
    beam.save(tmp_path / f"ion.{suffix}")
    same(Beam.load(tmp_path / f"ion.{suffix}"), beam)


def test_one_particle_and_no_charge(tmp_path):
    beam = Beam.from_arrays(np.zeros((6, 1)), species="proton", kinetic_energy=1e6, charge=0.0)
    for name in ("beam.h5", "beam.npz", "beam.csv"):
        beam.save(tmp_path / name)
        same(Beam.load(tmp_path / name), beam)


def test_every_bit_of_a_batch(tmp_path, backend, dtype):
    X = 1e-3 * np.random.default_rng(3).normal(size=(2, 6, 20))
    beam = Beam.from_arrays(X, species="proton", kinetic_energy=np.asarray([1e6, 2e6]), charge=1e-9)
    beam = beam.to(backend.name, dtype=dtype)
    lost = np.where(np.arange(40).reshape(2, 20) % 3 == 0, 5, -1).astype(np.int32)
    beam = beam.replace(lost_at=backend.asarray(lost, dtype="int32"), s=0.7)
    beam.save(tmp_path / "batch.npz")
    back, host = Beam.load(tmp_path / "batch.npz"), backend.to_numpy
    assert back.dtype == dtype and back.s == 0.7 and back.species is beam.species
    for name in ("coordinates", "charges", "lost_at"):
        np.testing.assert_array_equal(getattr(back, name), host(getattr(beam, name)))
    np.testing.assert_array_equal(back.reference.beta_gamma, host(beam.reference.beta_gamma))


def test_tracking_goes_on_where_it_ended(tmp_path):
    """With space charge, losses and an energy that has changed: the bits of one run."""
    beam = Beam.gaussian(
        n=500, species="electron", kinetic_energy=5e6, charge=1e-10, sigma_x=1e-3, sigma_px=1e-3, sigma_y=1e-3,
        sigma_py=1e-3, sigma_tau=1e-3, sigma_pt=1e-3,
    )  # fmt: skip
    cavity = RFCavity(length=0.0, voltage=1e6, frequency=1.3e9, phase=0.1)
    first = [Drift(0.5), Aperture(half_x=1.5e-3, half_y=1.5e-3), cavity]
    second, kick = [Drift(0.7), Quadrupole(0.2, k1=2.0)], SpaceCharge3D(grid=(8, 8, 8))
    whole = track(Line([*first, *second]), beam, space_charge=kick)
    half = track(Line(first), beam, space_charge=kick)
    assert 0 < int(half.lost) < 500
    half.save(tmp_path / "half.npz")
    back = track(Line(second), Beam.load(tmp_path / "half.npz"), space_charge=kick)
    np.testing.assert_array_equal(back.coordinates[:, back.alive], whole.coordinates[:, whole.alive])
    np.testing.assert_array_equal(back.alive, whole.alive)
    assert float(back.s) == float(whole.s)


def test_the_lost_stay_behind_in_openpmd(tmp_path):
    beam = beam_of()
    gone = np.arange(beam.n) % 4 == 0
    X = beam.coordinates.copy()
    X[1, gone] = 7.0  # it could not fly any more
    beam = beam.replace(coordinates=X, lost_at=np.where(gone, 3, -1).astype(np.int32))
    beam.save(tmp_path / "beam.h5")
    with pytest.warns(BeamFileWarning, match="50 of 200 particles are lost"):
        back = Beam.load(tmp_path / "beam.h5")
    np.testing.assert_allclose(back.coordinates, X[:, ~gone], rtol=3e-15, atol=3e-15)
    for name in ("beam.npz", "beam.csv"):
        beam.save(tmp_path / name)
        back = Beam.load(tmp_path / name)
        np.testing.assert_array_equal(back.lost_at, beam.lost_at)
        np.testing.assert_array_equal(back.coordinates, X)


def test_what_the_library_reads_in_our_file(tmp_path):
    """openpmd-beamphysics and its own statistics, with n - 1 in place of n."""
    pytest.importorskip("beamphysics")
    from backbeam.beams.group import particle_group

    beam = beam_of()
    beam.save(tmp_path / "beam.h5")
    group = particle_group("the test")(str(tmp_path / "beam.h5"))
    q = abs(beam.charges) / abs(beam.charges).sum()
    assert group.species == "electron" and group.charge == pytest.approx(abs(float(beam.charge)), rel=1e-14)
    assert group["sigma_x"] == pytest.approx(float(beam.sigma("x")), rel=1e-12)
    energy = float(beam.gamma) * beam.species.mass + beam.pt * float(beam.reference.momentum)
    assert group["mean_energy"] == pytest.approx(float(q @ energy), rel=1e-10)
    assert group["sigma_t"] == pytest.approx(float(beam.sigma("tau")) / 299792458.0, rel=1e-12)


def test_through_a_particle_group():
    beam = beam_of()
    back = Beam.from_particle_group(beam.particle_group(), reference_momentum=float(beam.reference.momentum))
    shift = beam.mean("tau")
    moved = beam.replace(coordinates=beam.coordinates - np.asarray([0, 0, 0, 0, shift, 0.0])[:, None], s=0.0)
    same(back, moved)
    with pytest.raises(InputError, match=r"^beam\.species is 'alpha'; allowed: one of electron, .*muon\+"):
        beam_of("alpha", 4e8).particle_group()


@pytest.mark.parametrize("suffix", ["sdds", "astra", "partcl.data", "opal", "genesis4"])
def test_what_the_library_writes_for_others(tmp_path, suffix):
    """Its text has twelve digits, and the means of the particles for a reference."""
    beam = beam_of()
    beam = beam.replace(charges=np.full(beam.n, -1e-9 / beam.n))
    path = tmp_path / (suffix if "." in suffix else f"beam.{suffix}")
    beam.save(path)
    asked = {"species": "electron", "charge": 1e-9} if suffix in ("partcl.data", "opal", "genesis4") else {}
    back = Beam.load(path, **asked, reference_momentum=float(beam.reference.momentum))
    there = beam if suffix in ("sdds", "genesis4") else drifted(beam, mean_z(beam))
    expected = there.coordinates - np.asarray([0, 0, 0, 0, there.mean("tau"), 0.0])[:, None]
    np.testing.assert_allclose(back.coordinates[:5], expected[:5], atol=2e-11)
    np.testing.assert_allclose(back.pt, expected[5], atol=2e-9)  # its mass of the electron is of 2022: 1.35e-9 more
    assert float(back.charge) == pytest.approx(-1e-9, rel=1e-11)


def mean_z(beam):
    """Where the particles are, on the average, when the mean one arrives."""
    _, _, _, v = beam_files.momenta(beam)
    z = -v * (beam.tau - beam.tau.mean()) / 299792458.0
    return float(np.abs(beam.charges) @ z / np.abs(beam.charges).sum())


def drifted(beam, length):
    """Flown on freely by a length, each particle at its own speed."""
    px, py, pz, v = beam_files.momenta(beam)
    X = beam.coordinates.copy()
    X[0] += length * px / pz
    X[2] += length * py / pz
    X[4] += length * (299792458.0 / v - 1.0 / float(beam.beta))
    return beam.replace(coordinates=X)


# -- lists at fixed t ----------------------------------------------------------------------------------------


def test_particles_of_one_time_drift_to_one_place(tmp_path):
    """Their spread in arrival is that of z over their speeds: the times as they stand would give none."""
    beam = beam_of("electron", 5e6)
    beam_files.astra(tmp_path / "screen.0100.001", beam)
    back = Beam.load(tmp_path / "screen.0100.001", reference_momentum=float(beam.reference.momentum))
    _, _, z = beam_files.at_one_time(beam)
    there = drifted(beam, float(np.abs(beam.charges) @ z / np.abs(beam.charges).sum()))
    expected = there.coordinates - np.asarray([0, 0, 0, 0, there.mean("tau"), 0.0])[:, None]
    np.testing.assert_allclose(back.coordinates, expected, atol=2e-14)
    np.testing.assert_allclose(back.charges, beam.charges, rtol=1e-14)
    assert float(back.sigma("tau")) > 1e-3


def test_impact_says_neither_species_nor_charge(tmp_path):
    beam = beam_of("proton", 2.5e6)
    for head in (True, False):
        path = tmp_path / "partcl.data"
        beam_files.impact(path, beam, head)
        kind = {} if head else {"format": "impact"}
        back = Beam.load(path, species="proton", charge=1e-9, **kind)
        _, _, z = beam_files.at_one_time(beam)
        there = drifted(beam, z.mean())
        np.testing.assert_allclose(back.x, there.x, atol=1e-14)
        np.testing.assert_allclose(back.tau, there.tau - there.tau.mean(), atol=1e-12)
        assert float(back.charge) == pytest.approx(1e-9, rel=1e-14)
        with pytest.raises(InputError, match=r"^beam\.species is None"):
            Beam.load(path, charge=1e-9, **kind)
        with pytest.raises(InputError, match=r"^beam\.charge is None"):
            Beam.load(path, species="proton", **kind)


def test_probes_and_lost_particles_of_astra(tmp_path):
    beam = beam_of()
    status = np.full(beam.n, 5)
    status[3:6], status[7] = 3, -89
    beam_files.astra(tmp_path / "a.ini", beam, status)
    with pytest.warns(BeamFileWarning, match="4 of 200 particles"):
        back = Beam.load(tmp_path / "a.ini")
    assert back.n == beam.n - 4
    beam_files.astra(tmp_path / "a.ini", beam, np.full(beam.n, -1))
    with pytest.raises(InputError, match="wait at the cathode"):
        Beam.load(tmp_path / "a.ini")


def test_opal_and_its_steps(tmp_path):
    beam = beam_of("electron", 5e6)
    beam = beam.replace(charges=np.full(beam.n, float(beam.charge) / beam.n))
    beam_files.opal(tmp_path / "opal.h5", beam, steps=(0, 10))
    with pytest.raises(InputError, match=r"^beam\.iteration is None; allowed: one of 0, 10: "):
        Beam.load(tmp_path / "opal.h5")
    back = Beam.load(tmp_path / "opal.h5", iteration=10, reference_momentum=float(beam.reference.momentum))
    _, _, z = beam_files.at_one_time(beam)
    np.testing.assert_allclose(back.x, drifted(beam, z.mean()).x, atol=1e-14)


# -- lists at fixed s ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "endianness"), [("binary", "little"), ("binary", "big"), ("ascii", "little")])
def test_elegant(tmp_path, mode, endianness):
    beam = beam_of().replace(s=0.0)
    beam = beam.replace(charges=np.full(beam.n, -1e-9 / beam.n))
    beam_files.elegant(tmp_path / "w1.sdds", beam, mode=mode, endianness=endianness)
    back = Beam.load(tmp_path / "w1.sdds")
    expected = beam.coordinates - np.asarray([0, 0, 0, 0, float(beam.mean("tau")), 0.0])[:, None]
    np.testing.assert_allclose(back.coordinates, expected, atol=3e-15 if mode == "binary" else 1e-12)
    np.testing.assert_allclose(back.charges, beam.charges, rtol=1e-12)


def test_elegant_without_charge_and_with_pages(tmp_path):
    one, two = beam_of(seed=1), beam_of(seed=2)
    beam_files.elegant(tmp_path / "w.sdds", one, two, Charge=[0.0, 0.0], pCentral=None)
    with pytest.raises(InputError, match=r"^beam\.iteration is None; allowed: one of 1, 2: "):
        Beam.load(tmp_path / "w.sdds")
    with pytest.raises(InputError, match=r"^beam\.charge is None"):
        Beam.load(tmp_path / "w.sdds", iteration=2)
    back = Beam.load(tmp_path / "w.sdds", iteration=2, charge=1e-10, species="positron")
    np.testing.assert_array_equal(back.x, two.x)
    assert float(back.charge) == pytest.approx(1e-10, rel=1e-14) and back.species.name == "positron"
    px, py, pz, _ = beam_files.momenta(two)
    assert float(back.reference.momentum) == pytest.approx(np.sqrt(px**2 + py**2 + pz**2).mean(), rel=1e-12)


@pytest.mark.parametrize("species", ["proton", "electron", "H-"])
def test_impactx_monitors(tmp_path, species):
    passes = {1: beam_of(species, 250e6), 3: beam_of(species, 250e6, seed=2)}
    beam_files.impactx(tmp_path / "monitor.h5", passes)
    with pytest.raises(InputError, match=r"^beam\.iteration is None; allowed: one of 1, 3: "):
        Beam.load(tmp_path / "monitor.h5")
    for step, beam in passes.items():
        same(Beam.load(tmp_path / "monitor.h5", iteration=step), beam)


def test_bmads_times_lose_no_digits(tmp_path):
    """Picoseconds about a microsecond, in records of their own: added up in float64 they lose seven digits."""
    beam = beam_of("electron", 1e9).replace(s=0.0)
    beam.save(tmp_path / "bmad.h5")
    with h5py.File(tmp_path / "bmad.h5", "r+") as file:
        group = file["data/00001/particles/electron"]
        group["timeOffset"].attrs["value"] = 1e-6
        file.move("data/00001/particles/electron", "data/00001/here")
        del file["data/00001/particles"]
        file.move("data/00001/here", "data/00001/particles")  # Bmad has no group of the species
        del file["data/00001/particles/sPosition"]
    same(Beam.load(tmp_path / "bmad.h5"), beam)


def test_charge_species_and_momentum_of_ones_own(tmp_path):
    beam = beam_of()
    beam.save(tmp_path / "b.h5")
    p0 = 1.01 * float(beam.reference.momentum)
    back = Beam.load(tmp_path / "b.h5", species="positron", charge=3e-9, reference_momentum=p0)
    assert back.species.name == "positron" and float(back.charge) == pytest.approx(3e-9, rel=1e-14)
    np.testing.assert_allclose(back.charges / 3e-9, beam.charges / float(beam.charge), rtol=1e-13)
    np.testing.assert_allclose(back.px, beam.px / 1.01, rtol=1e-14)
    energy = float(beam.gamma) * beam.species.mass + beam.pt * float(beam.reference.momentum)
    np.testing.assert_allclose(float(back.gamma) * back.species.mass + back.pt * p0, energy, rtol=1e-14)


# -- what is refused -----------------------------------------------------------------------------------------


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


BAD = {
    "empty": (b"", "allowed: a whole file that one of the formats knows"),
    "words": ("once upon a time\n", "allowed: a whole file that one of the formats knows"),
    "pickle.npz": (b"PK\x03\x04", "allowed: a whole file that one of the formats knows"),
    "cut.h5": (b"\x89HDF\r\n\x1a\n" + bytes(50), r"^beam\.file is '.*cut\.h5'; allowed: a "),
    "cut.sdds": (b"SDDS1\n&data mode=binary, &end\n\x05\x00", "allowed: a whole file of the format elegant"),
    "cut.csv": ("x,px,y,py,tau,pt\n1,2,3\n", "allowed: "),
    "other.csv": ("x,px,y,py,tau,pt,colour\n1,2,3,4,5,6,7\n", "is 'colour'; allowed: a table with the columns"),
    "alone.csv": ("x,px,y,py,tau,pt\n0,0,0,0,0,0\n", r"beam\.species is None; allowed: the name of a species"),
    "nine.data": ("2\n1 2 3 4 5 6\n1 2 3 4 5 6\n1 2 3 4 5 6\n", "2 particles, as its first line says, not 3"),
    "back.data": ("1\n0 0 0 0 0 -6\n", "1 of 1 particles do not go forward"),
    "nan.data": ("1\n0 0 0 0 nan 6\n", "allowed: finite numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_get_one_line(tmp_path, name):
    content, message = BAD[name]
    asked = {"species": "electron", "charge": 1e-9} if name.endswith(".data") else {}
    with pytest.raises(InputError, match=message) as caught:
        Beam.load(write(tmp_path / name, content), **asked)
    assert "\n" not in str(caught.value) and "; allowed: " in str(caught.value)


@pytest.mark.parametrize(("call", "message"), [
    (lambda b, p: Beam.load(p / "none.h5"), r"^beam\.file is '.*none\.h5'; allowed: a file that can be read \(no such"),
    (lambda b, p: Beam.load(p), "allowed: a file, not a folder"),
    (lambda b, p: Beam.load(p / "b.h5", format="mp3"), "^beam.format is 'mp3'; allowed: one of npz, csv"),
    (lambda b, p: Beam.load(p / "b.h5", format="gpt"), "^beam.format is 'gpt'; allowed: one of npz, csv"),
    (lambda b, p: Beam.load(p / "b.h5", iteration=7), "^beam.iteration is 7; allowed: one of 00001"),
    (lambda b, p: Beam.load(p / "b.h5", species="tachyon"), "^species is 'tachyon'"),
    (lambda b, p: Beam.load(p / "b.h5", reference_momentum=-1.0), "^beam.reference_momentum is -1.0"),
    (lambda b, p: Beam.load(p / "b.h5", charge=float("nan")), "^beam.charge is nan"),
    (lambda b, p: Beam.load(p / "b.h5", charge="1 nC"), "^beam.charge is '1 nC'"),
    (lambda b, p: Beam.load(p / "b.npz", reference_momentum=1e6), "left out: the archive holds it"),
    (lambda b, p: b.save(p / "b.txt"), "^beam.save is .*allowed: a name that ends in .npz, .csv, .h5"),
    (lambda b, p: b.save(p / "b"), "^beam.save is .*allowed: a name that ends in .npz, .csv, .h5"),
    (lambda b, p: b.save(p / "no" / "b.h5"), "allowed: a file in a folder that is there"),
    (lambda b, p: b.save(p / "b.x", format="opalescent"), "^beam.format is 'opalescent'"),
    (lambda b, p: b.save(p / "b.sdds"), "^beam.charges is 'of different sizes'"),
    (lambda b, p: Beam.from_arrays(np.zeros((2, 6, 3)), species="electron", kinetic_energy=1e6, charge=0.0)
        .save(p / "c.h5"), "allowed: one beam, or a file of the format npz"),
])  # fmt: skip
def test_bad_questions_get_one_line(tmp_path, call, message):
    beam = beam_of()
    for name in ("b.h5", "b.npz"):
        beam.save(tmp_path / name)
    with pytest.raises(InputError, match=message) as caught:
        call(beam, tmp_path)
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.h5", "b.npz"]


def test_several_species_and_one_that_nobody_knows(tmp_path):
    beam = beam_of()
    beam.save(tmp_path / "two.h5")
    with h5py.File(tmp_path / "two.h5", "r+") as file:
        file.copy("data/00001/particles/electron", "data/00001/particles/ion")
        file["data/00001/particles/ion"].attrs["speciesType"] = np.bytes_("#12C+6")
        for name in ("speciesMass", "speciesChargeNumber"):
            del file["data/00001/particles/ion"].attrs[name]
    with pytest.raises(InputError, match=r"^beam\.species is None; allowed: one of electron, ion: "):
        Beam.load(tmp_path / "two.h5")
    same(Beam.load(tmp_path / "two.h5", species="electron"), beam)
    with h5py.File(tmp_path / "two.h5", "r+") as file:
        del file["data/00001/particles/electron"]
    with pytest.raises(InputError, match=r"#12C\+6"):
        Beam.load(tmp_path / "two.h5")


def test_another_package_brings_its_format(tmp_path, monkeypatch):
    class Point:
        name = "mine"

        @staticmethod
        def load():
            return Mine

    class Mine:
        NAME, SUFFIXES = "mine", (".mine",)
        recognises = staticmethod(lambda path, head: head.startswith(b"mine"))
        load = staticmethod(lambda path, asked: beam_of())
        save = staticmethod(lambda beam, path: path.write_text("mine"))

    monkeypatch.setattr("backbeam.beams.formats.entry_points", lambda group: [Point])
    beam_of().save(tmp_path / "b.mine")
    assert Beam.load(tmp_path / "b.mine").n == Beam.load(tmp_path / "b.mine", format="mine").n == 200
    assert beams.check_save(tmp_path / "b.mine") is Mine


def test_libraries_are_imported_when_they_are_used():
    code = "import backbeam.beams, sys; print([m for m in ('h5py', 'beamphysics', 'pysdds') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
