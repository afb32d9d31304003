"""Mutated files: each is read, or refused in one line, in no time.

10^4 of them: ``python tests/lattices/test_mutations.py``.
"""

from __future__ import annotations

import itertools
import resource
import sys
import time
from pathlib import Path

import pytest

import backbeam as bb

sys.path.insert(0, str(Path(__file__).parent))
from mutations import mutated

MADX = """title, "a ring of all constructs";
option, -echo; beam, particle=proton, pc=2.5;
real const lq = 0.4; kqf := 0.6 + trim*2; kqd := -kqf; trim = 0; n = 3;
strength(nn, kk): macro = { kqnn := kk/2; };
if (n > 2 && lq < 1) { ab = twopi/16; } elseif (n == 0) { ab = 1; } else { ab = 0; };
i = 0; while (i < n) { exec, strength($i, kqf); i = i + 1; };
qf: quadrupole, l:=lq, k1:=kqf; qd: qf, k1:=kqd; b: sbend, l=1.0, angle:=ab, e1=ab/2; ms: multipole, knl:={0, 0, k2};
h: hkicker, kick=1e-3; c: rfcavity, volt=0.1, freq=200, lag=0.5; m: marker; d: drift, l=0.3;
part: sequence, l=2, refer=entry, refpos=m1; qf, at=0; m1: m, at=1.2; endsequence;
ring: sequence, l=12, refer=centre;
q1: qf, at=1; b1: b, at:=1.5, from=q1; q2: qd, at=4.5; part, at=7; s1: ms, at=8.5; c1: c, at=9; h1: h, at=10;
endsequence;
qf->k1 := kq1 + kqf; h1, kick=2e-3;
seqedit, sequence=ring; flatten; install, element=n1, class=m, at=5.5; move, element=h1, by=0.1; remove, element=c1;
select, flag=seqedit, class=ms; replace, element=selected, by=m; endedit;
half: line=(qf, 2*(d, b), -half2, d); half2(x): line=(x, d); use, sequence=ring; twiss; return;
"""


def read(text, folder, name):
    """Seconds that it took to read or to refuse a text; what it said."""
    path = folder / name
    path.write_text(text, encoding="utf-8", errors="replace")
    start = time.perf_counter()
    said = ""
    try:
        bb.load(path)
    except bb.BackbeamError as error:
        said = str(error)
        assert said and "\n" not in said and len(said) < 1000, said
    return time.perf_counter() - start, said


@pytest.mark.parametrize("block", range(4))
def test_mutated_madx_files(tmp_path, block):
    for seed in range(100 * block, 100 * block + 100):
        seconds, _ = read(mutated(MADX, seed), tmp_path, "x.madx")
        assert seconds < 20.0, seed


def test_the_file_itself_is_read(tmp_path):
    _, said = read(MADX, tmp_path, "x.madx")
    assert said == ""


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"{x}: line=({','.join([y] * 10)});" for x, y in itertools.pairwise("abcdefghij")) + "j: marker;",
        " ".join(f"l{k}: line=(l{k + 1}, l{k + 1});" for k in range(60)) + "l60: line=(); use, period=l0;",
        "x0 := 1; " + " ".join(f"x{k + 1} := x{k} + x{k};" for k in range(200)) + "q: marker, l=x200; r: line=(q);",
        "i = 0; while (i < 1) { j = i; }; q: marker; r: line=(q);",
        "m(a): macro = { exec, m(aa); }; exec, m(a);",
        "s0: sequence, l=1; m0: marker, at=0; endsequence; "
        + " ".join(f"s{k + 1}: sequence, l=1; {f's{k}, at=0.5;' * 10} endsequence;" for k in range(12)),
        "q: quadrupole, l=1, k1=" + "(" * 20000 + "1" + ")" * 20000 + "; r: line=(q);",
        "q: quadrupole, l=1, k1=" + "-" * 20000 + "1; r: line=(q);",
        "q: quadrupole, l=1, k1=" + "1+" * 20000 + "1; r: line=(q);",
        "q: quadrupole, l=1, k1:=" + "a+" * 20000 + "1; r: line=(q);",
        "if (1 > 0) {" * 300 + "x = 1;" + "}" * 300,
        "r: line=" + "(" * 5000 + "q" + ")" * 5000 + "; q: marker;",
        "q: marker; s: sequence, l=1; q, at=0; endsequence; select, flag=seqedit, pattern='((a+)+)+$'; "
        "seqedit, sequence=s; remove, element=selected; endedit;",
        "q: marker; r: line=(99999999999999999999*q);",
        "x = 10^10^10^10; q: marker; r: line=(q);",
        "q: marker, at='" + "x" * 1_000_000 + "'; r: line=(q);",
    ],
)  # fmt: skip
def test_bombs(tmp_path, text):
    seconds, _ = read(text, tmp_path, "x.madx")
    assert seconds < 30.0


def main(count: int = 10_000) -> None:
    """Read so many mutations, and say how long the worst took and how much memory all."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = [(*read(mutated(MADX, seed), Path(folder), "x.madx"), seed) for seed in range(count)]
    worst = max(found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} files: {sum(not said for _, said, _ in found)} read, the others refused in one line each")
    print(f"longest {worst[0]:.3f} s (seed {worst[2]}); peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
