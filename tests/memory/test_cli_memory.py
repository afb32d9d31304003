"""``backbeam memory``: what it says, and with which exit code."""

from __future__ import annotations

import pytest
from command_line import call, call_json, refused

from backbeam.memory.resident import can_watch

FODO = ("fodo-space-charge", "--set", "beam.n=20000", "--set", "track.slices=3")
COEFFICIENTS = (
    "bytes_per_particle_per_kick", "bytes_per_cell_per_kick", "bytes_per_particle_working", "bytes_per_cell_working",
)  # fmt: skip


@pytest.mark.usefixtures("round_numbers")
class TestWords:
    def test_every_adjoint_has_its_coefficients_and_its_peak(self):
        found = call_json("memory", *FODO, "--backend", "torch")
        assert list(found["model"]) == ["reversible", "store", "checkpoint", "tape"]
        for one in found["model"].values():
            assert one["predicted_peak_bytes"] == one["kept_bytes"] + one["working_bytes"] > 0
            assert all(one[name] >= 0.0 for name in COEFFICIENTS)
        assert found["model"]["reversible"]["bytes_per_particle_per_kick"] == 0.0
        assert found["model"]["store"]["bytes_per_particle_per_kick"] >= 48.0
        assert (found["measured"], found["budget_bytes"], found["recommended"]) == ({}, None, None)
        assert (found["particles"], found["backend"], found["coefficients_of"]) == (20000, "torch", "torch cpu float64")

    def test_numpy_has_no_tape(self):
        assert "tape" not in call_json("memory", *FODO)["model"]
        assert "adjoints is 'tape'; allowed: some of reversible, store, checkpoint" in refused(
            "memory", *FODO, "--adjoints", "tape"
        )

    def test_a_budget_names_the_fastest_that_fits(self):
        whole = call_json("memory", *FODO)["model"]
        size = whole["store"]["predicted_peak_bytes"]
        found = call_json("memory", *FODO, "--budget", str(size))
        assert (found["recommended"], found["budget_bytes"], found["short_by_bytes"]) == ("store", size, 0)
        size = whole["reversible"]["predicted_peak_bytes"]
        found = call_json("memory", *FODO, "--budget", f"{size} B")
        assert (found["recommended"], found["recommended_settings"]) == ("reversible", {"anchor_every": "auto"})

    def test_nothing_fits_is_exit_code_1_and_says_by_how_much(self):
        found = call_json("memory", *FODO, "--budget", "1kB", code=1)
        least = min(one["predicted_peak_bytes"] for one in found["model"].values())
        assert found["recommended"] is None
        assert found["short_by_bytes"] == least - 1000
        said = " ".join(call("memory", *FODO, "--budget", "1kB", code=1).stdout.split())
        assert "nothing fits in 1 kB: reversible needs least" in said

    def test_table_says_it_all(self):
        out = " ".join(call("memory", *FODO, "--backend", "torch", "--budget", "8GiB").stdout.split())
        for words in ("20,000 macroparticles", "torch, float64", "reversible", "checkpoint --slots 10", "tape",
                      "B/particle", "in 8.59 GB: --adjoint store"):  # fmt: skip
            assert words in out

    def test_settings_of_the_problem_are_kept(self):
        found = call_json("memory", *FODO, "--set", "gradient.adjoint=checkpoint", "--set", "gradient.slots=3")
        assert found["model"]["checkpoint"]["settings"] == {"slots": 3}

    def test_borrowed_coefficients_are_named(self):
        out = " ".join(call("memory", *FODO, "--backend", "torch", "--device", "cuda").stdout.split())
        assert "torch gpu float64 was not measured: these are the coefficients of torch cpu float64" in out

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--budget", "8 apples"], "budget is '8 apples'; allowed: an amount of memory"),
            (["--adjoints", "magic"], "adjoint is 'magic'; allowed: one of reversible"),
            (["--backend", "array_api_strict"], "nothing is known of the memory of array_api_strict"),
            (["--set", "beam.n=0"], "beam.n"),
            (["--set", "beam.n=1.5"], "beam.n"),
        ],
    )
    def test_bad_input_is_one_line(self, arguments, said):
        assert said in refused("memory", *FODO, *arguments)

    def test_the_gradient_may_be_left_to_the_planner(self):
        found = call_json("gradient", *FODO, "--set", "beam.n=500", "--adjoint", "auto")
        assert found["adjoint"] == "store"


@pytest.mark.long
@pytest.mark.skipif(not can_watch(), reason="Linux tells and resets a process's peak")
def test_measured_peaks_stand_beside_the_predicted_ones():
    found = call_json("memory", *FODO, "--adjoints", "reversible,store", "--measure")
    assert list(found["measured"]) == ["reversible", "store"]
    for one in found["measured"].values():
        assert one["process_peak_bytes"] == one["process_before_bytes"] + one["peak_bytes"]
    kept = found["model"]["store"]["kept_bytes"]
    peaks = [found["measured"][name]["peak_bytes"] for name in ("reversible", "store")]
    assert peaks[1] - peaks[0] == pytest.approx(kept, rel=0.25)
    out = " ".join(call("memory", *FODO, "--adjoints", "reversible", "--measure").stdout.split())
    assert "measured peak" in out or "deviation" in out
