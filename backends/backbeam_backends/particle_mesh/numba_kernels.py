"""Loops over the particles of one beam, compiled by Numba: the cloud-in-cell weights on the fly.

A row is ``(n,)``, ``node`` a grid ``(nx, ny, nz)`` or ``(nx, ny, nz, 3)`` flattened: the three components of a node
stand side by side, because a particle wants all of them. ``frame`` says where the nodes are, see
`numba_cloud_in_cell.frame`. Indices are unsigned: Numba need not look whether they count from the end, and every
number has the type of the rows: a literal would make float32 wide. Nodes that are charged are float64 in any case.

For the position u in a cell, the weight of a corner is made as v - v u and v u, axis by axis.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backbeam_backends.particle_mesh.compiling import Loop

_inline = njit(inline="always")

ONE, THREE = np.uint64(1), np.uint64(3)


@_inline
def _along(position, frame, axis):
    """Lower node and weight of the upper one along an axis."""
    u = (position - frame[axis]) * frame[3 + axis] + frame[6 + axis]
    # A NaN is never greater: it gets the first cell, and goes on in the weight.
    held = u if u > frame[9] else frame[9]
    held = held if held < frame[10 + axis] else frame[10 + axis]
    lower = np.floor(held)
    return np.int64(lower), u - lower


@Loop
def deposit(value, x, y, z, frame, node, ny, nz):
    """Share values among the nodes."""
    to_y, to_x = np.uint64(nz), np.uint64(ny * nz)
    for p in range(x.size):
        i, dx = _along(x[p], frame, 0)
        j, dy = _along(y[p], frame, 1)
        k, dz = _along(z[p], frame, 2)
        at = np.uint64((i * ny + j) * nz + k)
        v1 = value[p] * dx
        v0 = value[p] - v1
        v01, v11 = v0 * dy, v1 * dy
        v00, v10 = v0 - v01, v1 - v11
        v001, v011, v101, v111 = v00 * dz, v01 * dz, v10 * dz, v11 * dz
        node[at] += v00 - v001
        node[at + ONE] += v001
        node[at + to_y] += v01 - v011
        node[at + to_y + ONE] += v011
        at += to_x
        node[at] += v10 - v101
        node[at + ONE] += v101
        node[at + to_y] += v11 - v111
        node[at + to_y + ONE] += v111


@Loop
def deposit_three(a, b, c, x, y, z, frame, node, ny, nz):
    """Share three values among nodes with three components."""
    to_z, to_y, to_x = THREE, np.uint64(3 * nz), np.uint64(3 * ny * nz)
    for p in range(x.size):
        i, dx = _along(x[p], frame, 0)
        j, dy = _along(y[p], frame, 1)
        k, dz = _along(z[p], frame, 2)
        at = np.uint64(3 * ((i * ny + j) * nz + k))
        w1, one = dx, frame[13]
        w0 = one - w1
        w01, w11 = w0 * dy, w1 * dy
        w00, w10 = w0 - w01, w1 - w11
        w001, w011, w101, w111 = w00 * dz, w01 * dz, w10 * dz, w11 * dz
        w000, w010, w100, w110 = w00 - w001, w01 - w011, w10 - w101, w11 - w111
        for value in (a[p], b[p], c[p]):
            node[at] += value * w000
            node[at + to_z] += value * w001
            node[at + to_y] += value * w010
            node[at + to_y + to_z] += value * w011
            node[at + to_x] += value * w100
            node[at + to_x + to_z] += value * w101
            node[at + to_x + to_y] += value * w110
            node[at + to_x + to_y + to_z] += value * w111
            at += ONE


@Loop
def gather(node, x, y, z, frame, ny, nz, found):
    """Read a grid at the particles."""
    to_y, to_x = np.uint64(nz), np.uint64(ny * nz)
    one = frame[13]
    for p in range(x.size):
        i, dx = _along(x[p], frame, 0)
        j, dy = _along(y[p], frame, 1)
        k, dz = _along(z[p], frame, 2)
        at = np.uint64((i * ny + j) * nz + k)
        ex, ey, ez = one - dx, one - dy, one - dz
        lower = ey * (node[at] * ez + node[at + ONE] * dz) + dy * (node[at + to_y] * ez + node[at + to_y + ONE] * dz)
        at += to_x
        upper = ey * (node[at] * ez + node[at + ONE] * dz) + dy * (node[at + to_y] * ez + node[at + to_y + ONE] * dz)
        found[p] = ex * lower + dx * upper


@Loop
def gather_three(node, x, y, z, frame, ny, nz, found_a, found_b, found_c):
    """Read three components at the particles."""
    to_z, to_y, to_x = THREE, np.uint64(3 * nz), np.uint64(3 * ny * nz)
    one = frame[13]
    for p in range(x.size):
        i, dx = _along(x[p], frame, 0)
        j, dy = _along(y[p], frame, 1)
        k, dz = _along(z[p], frame, 2)
        at00 = np.uint64(3 * ((i * ny + j) * nz + k))
        at01 = at00 + to_y
        at10 = at00 + to_x
        at11 = at10 + to_y
        w0 = one - dx
        w01, w11 = w0 * dy, dx * dy
        w00, w10 = w0 - w01, dx - w11
        w001, w011, w101, w111 = w00 * dz, w01 * dz, w10 * dz, w11 * dz
        w000, w010, w100, w110 = w00 - w001, w01 - w011, w10 - w101, w11 - w111
        for found in (found_a, found_b, found_c):
            found[p] = (
                (node[at00] * w000 + node[at00 + to_z] * w001)
                + (node[at01] * w010 + node[at01 + to_z] * w011)
                + (node[at10] * w100 + node[at10 + to_z] * w101)
                + (node[at11] * w110 + node[at11 + to_z] * w111)
            )
            at00 += ONE
            at01 += ONE
            at10 += ONE
            at11 += ONE


@_inline
def _slopes(v000, v001, v010, v011, v100, v101, v110, v111, dx, dy, dz, one):
    """Derivatives of what is interpolated between the corners."""
    ex, ey, ez = one - dx, one - dy, one - dz
    v00, v01 = v000 * ez + v001 * dz, v010 * ez + v011 * dz
    v10, v11 = v100 * ez + v101 * dz, v110 * ez + v111 * dz
    return (
        (v10 - v00) * ey + (v11 - v01) * dy,
        (v01 - v00) * ex + (v11 - v10) * dx,
        ((v001 - v000) * ey + (v011 - v010) * dy) * ex + ((v101 - v100) * ey + (v111 - v110) * dy) * dx,
    )


@Loop
def gather_slope(node, factor, x, y, z, frame, ny, nz, found, slope_x, slope_y, slope_z):
    """Read a grid, and the slopes of what was read times the factor."""
    to_y, to_x = np.uint64(nz), np.uint64(ny * nz)
    one = frame[13]
    for p in range(x.size):
        i, dx = _along(x[p], frame, 0)
        j, dy = _along(y[p], frame, 1)
        k, dz = _along(z[p], frame, 2)
        at = np.uint64((i * ny + j) * nz + k)
        v000, v001, v010, v011 = node[at], node[at + ONE], node[at + to_y], node[at + to_y + ONE]
        at += to_x
        v100, v101, v110, v111 = node[at], node[at + ONE], node[at + to_y], node[at + to_y + ONE]
        lower = (one - dy) * (v000 * (one - dz) + v001 * dz) + dy * (v010 * (one - dz) + v011 * dz)
        upper = (one - dy) * (v100 * (one - dz) + v101 * dz) + dy * (v110 * (one - dz) + v111 * dz)
        found[p] = (one - dx) * lower + dx * upper
        sx, sy, sz = _slopes(v000, v001, v010, v011, v100, v101, v110, v111, dx, dy, dz, one)
        slope_x[p], slope_y[p], slope_z[p] = factor[p] * sx, factor[p] * sy, factor[p] * sz


@Loop
def gather_slope_three(
    node, factor_a, factor_b, factor_c, x, y, z, frame, ny, nz, found_a, found_b, found_c, slope_x, slope_y, slope_z
):
    """Read three components, and the slopes of the sum of what was read times the factors."""
    to_z, to_y, to_x = THREE, np.uint64(3 * nz), np.uint64(3 * ny * nz)
    one = frame[13]
    for p in range(x.size):
        i, dx = _along(x[p], frame, 0)
        j, dy = _along(y[p], frame, 1)
        k, dz = _along(z[p], frame, 2)
        at = np.uint64(3 * ((i * ny + j) * nz + k))
        w0 = one - dx
        w01, w11 = w0 * dy, dx * dy
        w00, w10 = w0 - w01, dx - w11
        w001, w011, w101, w111 = w00 * dz, w01 * dz, w10 * dz, w11 * dz
        w000, w010, w100, w110 = w00 - w001, w01 - w011, w10 - w101, w11 - w111
        zero = one - one
        t000, t001, t010, t011, t100, t101, t110, t111 = zero, zero, zero, zero, zero, zero, zero, zero
        for found, factor in ((found_a, factor_a[p]), (found_b, factor_b[p]), (found_c, factor_c[p])):
            v000, v001, v010, v011 = node[at], node[at + to_z], node[at + to_y], node[at + to_y + to_z]
            v100, v101 = node[at + to_x], node[at + to_x + to_z]
            v110, v111 = node[at + to_x + to_y], node[at + to_x + to_y + to_z]
            found[p] = (v000 * w000 + v001 * w001 + v010 * w010 + v011 * w011) + (
                v100 * w100 + v101 * w101 + v110 * w110 + v111 * w111
            )
            t000 += factor * v000
            t001 += factor * v001
            t010 += factor * v010
            t011 += factor * v011
            t100 += factor * v100
            t101 += factor * v101
            t110 += factor * v110
            t111 += factor * v111
            at += ONE
        sx, sy, sz = _slopes(t000, t001, t010, t011, t100, t101, t110, t111, dx, dy, dz, one)
        slope_x[p], slope_y[p], slope_z[p] = sx, sy, sz


@Loop
def gradient_2(phi, ends, inner, found):
    """Differences of second order of a grid times a factor an axis: ``found (nx, ny, nz, 3)``.

    ``inner`` holds the factors (x, y, z) for nodes with a neighbour on either side, ``ends`` for those with one.
    """
    nx, ny, nz = phi.shape
    for i in range(nx):
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
def gradient_2_transpose(bar, ends, inner, phi_bar):
    """Transpose of `gradient_2`: ``phi_bar (nx, ny, nz)``.

    A node gives to its neighbours, or at the end of an axis to its neighbour and itself.
    """
    nx, ny, nz = phi_bar.shape
    for i in range(nx):
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


@Loop
def gradient_4(phi, near, far, found):
    """Differences of fourth order: ``found (nx, ny, nz, 3)``, which stays as it is where a neighbour is missing along
    any axis.

    ``near`` holds the weights (x, y, z) of the neighbours next to a node, ``far`` those of the neighbours one further.
    """
    nx, ny, nz = phi.shape
    ax, ay, az, bx, by, bz = near[0], near[1], near[2], far[0], far[1], far[2]
    for i in range(2, nx - 2):
        for j in range(2, ny - 2):
            out, row = found[i, j], phi[i, j]
            x1, x0, y1, y0 = phi[i + 1, j], phi[i - 1, j], phi[i, j + 1], phi[i, j - 1]
            x3, x2, y3, y2 = phi[i + 2, j], phi[i - 2, j], phi[i, j + 2], phi[i, j - 2]
            for k in range(2, nz - 2):
                out[k, 0] = ax * (x1[k] - x0[k]) + bx * (x3[k] - x2[k])
                out[k, 1] = ay * (y1[k] - y0[k]) + by * (y3[k] - y2[k])
                out[k, 2] = az * (row[k + 1] - row[k - 1]) + bz * (row[k + 2] - row[k - 2])


@_inline
def _take(bar, axis, weight, out):
    for k in range(out.size):
        out[k] += weight * bar[k, axis]


@Loop
def gradient_4_transpose(bar, near, far, phi_bar):
    """Transpose of `gradient_4`, added to ``phi_bar (nx, ny, nz)``; ``bar (nx, ny, nz, 3)`` is 0 where that is."""
    nx, ny, nz = phi_bar.shape
    for i in range(nx):
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
