// Cloud-in-cell weights straight from positions, one thread a particle.
//
// Compiled for REAL (float or double) and for COMPONENTS of a value or field. A row of particles of a beam is
// contiguous; the distance of the rows of neighbouring beams comes with it. centre and spacing are (3, beams).
// blockIdx.y counts beams, and what is left over is taken in strides of the launch.

typedef long long whole;

struct Frame {
    REAL centre, per_spacing, middle, first, last;
};

// Where the nodes of a beam are along one axis.
static __device__ Frame frame(const REAL *centre, const REAL *spacing, int axis, int beam, int beams, int nodes,
                              int guard)
{
    const whole place = (whole)axis * beams + beam;
    return {centre[place], (REAL)1 / spacing[place], (REAL)0.5 * (REAL)(nodes - 1), (REAL)guard,
            (REAL)(nodes - 2 - guard)};
}

// Lower node, and weight of the upper one.
static __device__ REAL along(REAL position, const Frame &f, whole &lower)
{
    const REAL u = (position - f.centre) * f.per_spacing + f.middle;
    // A NaN is never greater: it gets the first cell, and goes on in the weight.
    REAL held = u > f.first ? u : f.first;
    held = floor(held < f.last ? held : f.last);
    lower = (whole)held;
    return u - held;
}

struct Cell {
    whole lower;  // lower node among those of the beam's grid
    REAL x, y, z; // weights of the upper nodes
};

struct Box {
    Frame x, y, z;
    whole ny, nz;
};

static __device__ Box box(const REAL *centre, const REAL *spacing, int beam, int beams, int nx, int ny, int nz,
                          int guard)
{
    return {frame(centre, spacing, 0, beam, beams, nx, guard), frame(centre, spacing, 1, beam, beams, ny, guard),
            frame(centre, spacing, 2, beam, beams, nz, guard), ny, nz};
}

static __device__ Cell locate(REAL x, REAL y, REAL z, const Box &b)
{
    whole i, j, k;
    const REAL wx = along(x, b.x, i), wy = along(y, b.y, j), wz = along(z, b.z, k);
    return {(i * b.ny + j) * b.nz + k, wx, wy, wz};
}

// Weights of the eight corners, z fastest.
static __device__ void corner_weights(const Cell &c, REAL w[8])
{
    const REAL w01 = (1 - c.x) * c.y, w11 = c.x * c.y, w00 = (1 - c.x) - w01, w10 = c.x - w11;
    const REAL across[4] = {w00, w01, w10, w11};
    for (int m = 0; m < 4; ++m) {
        w[2 * m + 1] = across[m] * c.z;
        w[2 * m] = across[m] - w[2 * m + 1];
    }
}

// Offset of a corner from the lower node.
static __device__ whole corner(int m, const Box &b)
{
    return ((m >> 2) * b.ny + (m >> 1 & 1)) * b.nz + (m & 1);
}

// node is (COMPONENTS, beams, nx, ny, nz), of zeros. It is double for float as well: a node may be charged by very many
// particles, one after the other. The order of the additions is the order in which they come.
extern "C" __global__ void deposit(const REAL *values, whole value_component, whole value_beam, const REAL *x, whole x_beam,
                                   const REAL *y, whole y_beam, const REAL *z, whole z_beam, const REAL *centre,
                                   const REAL *spacing, double *node, whole n, int beams, int nx, int ny, int nz,
                                   int guard)
{
    const whole nodes = (whole)nx * ny * nz;
    for (int b = blockIdx.y; b < beams; b += gridDim.y) {
        const Box grid = box(centre, spacing, b, beams, nx, ny, nz, guard);
        for (whole p = (whole)blockIdx.x * blockDim.x + threadIdx.x; p < n; p += (whole)gridDim.x * blockDim.x) {
            const Cell cell = locate(x[b * x_beam + p], y[b * y_beam + p], z[b * z_beam + p], grid);
            const bool somewhere = cell.x == cell.x && cell.y == cell.y && cell.z == cell.z;
            REAL w[8];
            corner_weights(cell, w);
            for (int c = 0; c < COMPONENTS; ++c) {
                const REAL value = values[c * value_component + b * value_beam + p];
                // The lost have no charge and all stand in one place, where they would wait for one another.
                if (value == 0 && somewhere)
                    continue;
                double *at = node + ((whole)c * beams + b) * nodes + cell.lower;
                for (int m = 0; m < 8; ++m)
                    atomicAdd(at + corner(m, grid), (double)(value * w[m]));
            }
        }
    }
}

// field is (beams, nx, ny, nz, COMPONENTS): a particle wants all components of a node. found is (COMPONENTS, beams, n).
extern "C" __global__ void gather(const REAL *__restrict__ field, const REAL *x, whole x_beam, const REAL *y, whole y_beam,
                                  const REAL *z, whole z_beam, const REAL *centre, const REAL *spacing, REAL *found,
                                  whole n, int beams, int nx, int ny, int nz, int guard)
{
    const whole nodes = (whole)nx * ny * nz;
    for (int b = blockIdx.y; b < beams; b += gridDim.y) {
        const Box grid = box(centre, spacing, b, beams, nx, ny, nz, guard);
        for (whole p = (whole)blockIdx.x * blockDim.x + threadIdx.x; p < n; p += (whole)gridDim.x * blockDim.x) {
            const Cell cell = locate(x[b * x_beam + p], y[b * y_beam + p], z[b * z_beam + p], grid);
            const REAL *at = field + (b * nodes + cell.lower) * COMPONENTS;
            REAL w[8], total[COMPONENTS] = {};
            corner_weights(cell, w);
            for (int m = 0; m < 8; ++m)
                for (int c = 0; c < COMPONENTS; ++c)
                    total[c] += at[corner(m, grid) * COMPONENTS + c] * w[m];
            for (int c = 0; c < COMPONENTS; ++c)
                found[((whole)c * beams + b) * n + p] = total[c];
        }
    }
}

// As gather; and slopes (3, beams, n), the derivatives of the sum of factors times what is found, by positions in
// spacings.
extern "C" __global__ void gather_slope(const REAL *__restrict__ field, const REAL *factors, whole factor_component,
                                        whole factor_beam, const REAL *x, whole x_beam, const REAL *y, whole y_beam,
                                        const REAL *z, whole z_beam, const REAL *centre, const REAL *spacing,
                                        REAL *found, REAL *slopes, whole n, int beams, int nx, int ny, int nz,
                                        int guard)
{
    const whole nodes = (whole)nx * ny * nz, row = (whole)beams * n;
    for (int b = blockIdx.y; b < beams; b += gridDim.y) {
        const Box grid = box(centre, spacing, b, beams, nx, ny, nz, guard);
        for (whole p = (whole)blockIdx.x * blockDim.x + threadIdx.x; p < n; p += (whole)gridDim.x * blockDim.x) {
            const Cell cell = locate(x[b * x_beam + p], y[b * y_beam + p], z[b * z_beam + p], grid);
            const REAL *at = field + (b * nodes + cell.lower) * COMPONENTS;
            REAL w[8], v[8] = {}, total[COMPONENTS] = {}, factor[COMPONENTS];
            corner_weights(cell, w);
            for (int c = 0; c < COMPONENTS; ++c)
                factor[c] = factors[c * factor_component + b * factor_beam + p];
            for (int m = 0; m < 8; ++m)
                for (int c = 0; c < COMPONENTS; ++c) {
                    const REAL here = at[corner(m, grid) * COMPONENTS + c];
                    total[c] += here * w[m];
                    v[m] += factor[c] * here;
                }
            const REAL ex = 1 - cell.x, ey = 1 - cell.y, ez = 1 - cell.z;
            const REAL v00 = v[0] * ez + v[1] * cell.z, v01 = v[2] * ez + v[3] * cell.z;
            const REAL v10 = v[4] * ez + v[5] * cell.z, v11 = v[6] * ez + v[7] * cell.z;
            const whole place = b * n + p;
            for (int c = 0; c < COMPONENTS; ++c)
                found[c * row + place] = total[c];
            slopes[place] = (v10 - v00) * ey + (v11 - v01) * cell.y;
            slopes[row + place] = (v01 - v00) * ex + (v11 - v10) * cell.x;
            slopes[2 * row + place] = ((v[1] - v[0]) * ey + (v[3] - v[2]) * cell.y) * ex +
                                      ((v[5] - v[4]) * ey + (v[7] - v[6]) * cell.y) * cell.x;
        }
    }
}

// Difference along an axis: of second order, one-sided at its ends; or of fourth, 0 at the outermost two nodes.
static __device__ REAL difference(const REAL *at, int index, int nodes, whole step, REAL factor, int order)
{
    if (order == 4) {
        if (index < 2 || index > nodes - 3)
            return 0;
        return factor * ((at[step] - at[-step]) * (REAL)(2.0 / 3.0) - (at[2 * step] - at[-2 * step]) * (REAL)(1.0 / 12.0));
    }
    const bool has_lower = index > 0, has_upper = index < nodes - 1;
    return (has_lower && has_upper ? (REAL)0.5 * factor : factor) * (at[has_upper ? step : 0] - at[has_lower ? -step : 0]);
}

// phi is (beams, nx, ny, nz), factors (3, beams), found (beams, nx, ny, nz, 3). One thread a node; blockIdx.y counts beams.
extern "C" __global__ void gradient(const REAL *__restrict__ phi, const REAL *factors, REAL *found, whole n, int beams,
                                    int nx, int ny, int nz, int order)
{
    for (int b = blockIdx.y; b < beams; b += gridDim.y) {
        const REAL x = factors[b], y = factors[beams + b], z = factors[2 * (whole)beams + b];
        for (whole p = (whole)blockIdx.x * blockDim.x + threadIdx.x; p < n; p += (whole)gridDim.x * blockDim.x) {
            const REAL *at = phi + b * n + p;
            REAL *out = found + 3 * (b * n + p);
            out[0] = difference(at, p / ((whole)ny * nz), nx, (whole)ny * nz, x, order);
            out[1] = difference(at, p / nz % ny, ny, nz, y, order);
            out[2] = difference(at, p % nz, nz, 1, z, order);
        }
    }
}
