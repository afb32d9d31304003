"""Differences of a grid's nodes and their transposes, compiled by Numba: the field from the potential, and back.

A potential is ``(nx, ny, nz)``, a field the first three numbers of ``(nx, ny, nz, 4)``, see ``numba_kernels``. Of what
is found the layers ``first`` to ``last`` along x are made, so that threads may share it out.
"""

from __future__ import annotations

from numba import njit

from backbeam_backends.particle_mesh.compiling import Loop

_inline = njit(inline="always")


@Loop
def gradient_2(phi, ends, inner, found, first, last):
    """Differences of second order of a grid times a factor an axis: ``found (nx, ny, nz, 4)``.

    ``inner`` holds the factors (x, y, z) for nodes with a neighbour on either side, ``ends`` for those with one.
    """
    nx, ny, nz = phi.shape
    for i in range(first, last):
        before, after = phi[max(i - 1, 0)], phi[min(i + 1, nx - 1)]
        wx = inner[0] if 0 < i < nx - 1 else ends[0]
        for j in range(ny):
            wy = inner[1] if 0 < j < ny - 1 else ends[1]
            x0, x1, y0, y1, z = before[j], after[j], phi[i, max(j - 1, 0)], phi[i, min(j + 1, ny - 1)], phi[i, j]
            out = found[i, j]
            for k in range(nz):
                out[k, 0] = wx * (x1[k] - x0[k])
                out[k, 1] = wy * (y1[k] - y0[k])
            for k in range(1, nz - 1):
                out[k, 2] = inner[2] * (z[k + 1] - z[k - 1])
            out[0, 2] = ends[2] * (z[1] - z[0])
            out[nz - 1, 2] = ends[2] * (z[nz - 1] - z[nz - 2])


@Loop
def gradient_2_transpose(bar, ends, inner, phi_bar, first, last):
    """Transpose of `gradient_2`: ``phi_bar (nx, ny, nz)``.

    A node gives to its neighbours, or at the end of an axis to its neighbour and itself.
    """
    nx, ny, nz = phi_bar.shape
    for i in range(first, last):
        x0, x1 = max(i - 1, 0), min(i + 1, nx - 1)
        # The node before gives with +, the one after with -; the first takes from itself with -, the last with +.
        a0 = inner[0] if i > 1 else (ends[0] if i == 1 else -ends[0])
        a1 = -inner[0] if i < nx - 2 else (-ends[0] if i == nx - 2 else ends[0])
        for j in range(ny):
            y0, y1 = max(j - 1, 0), min(j + 1, ny - 1)
            b0 = inner[1] if j > 1 else (ends[1] if j == 1 else -ends[1])
            b1 = -inner[1] if j < ny - 2 else (-ends[1] if j == ny - 2 else ends[1])
            bx0, bx1, by0, by1, bz = bar[x0, j], bar[x1, j], bar[i, y0], bar[i, y1], bar[i, j]
            out = phi_bar[i, j]
            for k in range(nz):
                z0, z1 = max(k - 1, 0), min(k + 1, nz - 1)
                c0 = inner[2] if k > 1 else (ends[2] if k == 1 else -ends[2])
                c1 = -inner[2] if k < nz - 2 else (-ends[2] if k == nz - 2 else ends[2])
                x = a0 * bx0[k, 0] + a1 * bx1[k, 0]
                y = b0 * by0[k, 1] + b1 * by1[k, 1]
                out[k] = x + y + (c0 * bz[z0, 2] + c1 * bz[z1, 2])


@_inline
def _nothing(out, first, last):
    for k in range(first, last):
        out[k, 0], out[k, 1], out[k, 2], out[k, 3] = 0.0, 0.0, 0.0, 0.0


@Loop
def gradient_4(phi, near, far, found, first, last):
    """Differences of fourth order: ``found (nx, ny, nz, 4)``, 0 where a neighbour is missing along any axis, and beside
    them.

    ``near`` holds the weights (x, y, z) of the neighbours next to a node, ``far`` those of the neighbours one further.
    """
    nx, ny, nz = phi.shape
    ax, ay, az, bx, by, bz = near[0], near[1], near[2], far[0], far[1], far[2]
    for i in range(first, last):
        for j in range(ny):
            out, row = found[i, j], phi[i, j]
            if i < 2 or i >= nx - 2 or j < 2 or j >= ny - 2:
                _nothing(out, 0, nz)
                continue
            _nothing(out, 0, 2)
            _nothing(out, nz - 2, nz)
            x1, x0, y1, y0 = phi[i + 1, j], phi[i - 1, j], phi[i, j + 1], phi[i, j - 1]
            x3, x2, y3, y2 = phi[i + 2, j], phi[i - 2, j], phi[i, j + 2], phi[i, j - 2]
            for k in range(2, nz - 2):
                out[k, 0] = ax * (x1[k] - x0[k]) + bx * (x3[k] - x2[k])
                out[k, 1] = ay * (y1[k] - y0[k]) + by * (y3[k] - y2[k])
                out[k, 2] = az * (row[k + 1] - row[k - 1]) + bz * (row[k + 2] - row[k - 2])
                out[k, 3] = 0.0


@_inline
def _take(bar, axis, weight, out):
    for k in range(out.size):
        out[k] += weight * bar[k, axis]


@Loop
def gradient_4_transpose(bar, near, far, phi_bar, first, last):
    """Transpose of `gradient_4`, added to ``phi_bar (nx, ny, nz)``; ``bar (nx, ny, nz, 4)`` is 0 where that is."""
    nx, ny, nz = phi_bar.shape
    for i in range(first, last):
        for j in range(ny):
            out, row = phi_bar[i, j], bar[i, j]
            for step, weight in ((1, near), (2, far)):
                if i >= step:
                    _take(bar[i - step, j], 0, weight[0], out)
                if i < nx - step:
                    _take(bar[i + step, j], 0, -weight[0], out)
                if j >= step:
                    _take(bar[i, j - step], 1, weight[1], out)
                if j < ny - step:
                    _take(bar[i, j + step], 1, -weight[1], out)
                for k in range(step, nz):
                    out[k] += weight[2] * row[k - step, 2]
                for k in range(nz - step):
                    out[k] -= weight[2] * row[k + step, 2]


@Loop
def over_cells(f, factor, found, first, last):
    """Differences of an odd function at corners 1/2, 3/2, ... over the cells around 0, 1, ..., times a factor."""
    _, ny, nz = f.shape
    for i in range(first, last):
        x0, wx = (i - 1, -1.0) if i else (0, 1.0)
        for j in range(ny):
            y0, wy = (j - 1, -1.0) if j else (0, 1.0)
            a, b, c, d, out = f[i, j], f[x0, j], f[i, y0], f[x0, y0], found[i, j]
            out[0] = 2.0 * factor * (a[0] + wx * b[0] + wy * (c[0] + wx * d[0]))
            for k in range(1, nz):
                upper = a[k] + wx * b[k] + wy * (c[k] + wx * d[k])
                lower = a[k - 1] + wx * b[k - 1] + wy * (c[k - 1] + wx * d[k - 1])
                out[k] = factor * (upper - lower)


@Loop
def over_cells_transpose(bar, factor, found, first, last):
    """Transpose of `over_cells`."""
    nx, ny, nz = bar.shape
    for i in range(first, last):
        x1, wx = (i + 1, -1.0) if i < nx - 1 else (i, 0.0)
        vx = 1.0 if i else 2.0
        for j in range(ny):
            y1, wy = (j + 1, -1.0) if j < ny - 1 else (j, 0.0)
            vy = 1.0 if j else 2.0
            a, b, c, d, out = bar[i, j], bar[x1, j], bar[i, y1], bar[x1, y1], found[i, j]
            for k in range(nz - 1):
                lower = vy * (vx * a[k] + wx * b[k]) + wy * (vx * c[k] + wx * d[k])
                upper = vy * (vx * a[k + 1] + wx * b[k + 1]) + wy * (vx * c[k + 1] + wx * d[k + 1])
                out[k] = factor * (lower - upper)
            out[0] += factor * (vy * (vx * a[0] + wx * b[0]) + wy * (vx * c[0] + wx * d[0]))
            k = nz - 1
            out[k] = factor * (vy * (vx * a[k] + wx * b[k]) + wy * (vx * c[k] + wx * d[k]))
