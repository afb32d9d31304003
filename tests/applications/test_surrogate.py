"""A network learns what an unknown section does, from moments at the end of the line, through what is behind it."""

from __future__ import annotations

from backbeam_torch.examples import surrogate


def test_it_halves_the_error_where_it_was_not_taught(tmp_path):
    taught = surrogate.teach(steps=60, n=40, rate=2e-2)
    assert taught.history[-1] < 0.1 * taught.history[0]
    for label, (without, with_network) in taught.errors().items():
        assert with_network < 0.7 * without, label
    picture = tmp_path / "surrogate.png"
    surrogate.draw(taught).savefig(picture)
    assert picture.stat().st_size > 5_000


def test_the_command(capsys):
    surrogate.main(["--steps", "2", "--particles", "20"])
    assert "on another way: x at the end is off by" in capsys.readouterr().out
