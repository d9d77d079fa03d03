// Inner products of the float64 differences of K models to a base, by float64 tensor cores: in
// squares of SIDE * SIDE models, only those on and below the diagonal. As a coordinate counts alike
// on both sides of a product, a lane's part of eight models serves as either factor.
// Defined before: T, BASE (the type of the base), K, THREADS, WIDTH (coordinates in a stage),
// SLOTS (groups of SIDE models in a stage), TILE (squares of a warp in each direction), BLOCKS (so
// many at once have room for their registers), and TOGETHER: 1 if one warp holds all squares, and
// the warps take turns with the coordinates.

#define WARPS (THREADS / WARP)
#define ROWS (SLOTS * SIDE)
#define PITCH (WIDTH + 4)  // eight models times four coordinates: each from a memory bank of its own
#define LOADS ((ROWS * WIDTH + THREADS - 1) / THREADS)
#define SQUARES (TOGETHER ? TILE * (TILE + 1) / 2 : TILE * TILE)
#define STAGE (ROWS * PITCH)
#define NOBODY (-0x7fffffffffffffffLL - 1)
#define MERGED (TOGETHER ? SQUARES * 2 * WARP : 0)

// sum += a b for the 8 * 8 inner products of a square in four coordinates: of a and b a lane holds
// the model LANE / 4 in the coordinate LANE % 4, of the sums those of the models LANE / 4 and
// LANE % 4 * 2, and of the next.
#ifndef MULTIPLY_ADD
__device__ __forceinline__ void multiply_add(double (&sum)[2], double a, double b) {
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+d"(sum[0]), "+d"(sum[1]) : "d"(a), "d"(b));
#endif
}
#endif

// Which square of a tile is the n-th.
__device__ constexpr int square_row(int n) {
    int row = 0;
    if (!TOGETHER) return n / TILE;
    while ((row + 1) * (row + 2) / 2 <= n)
        row++;
    return row;
}

__device__ constexpr int square_column(int n) {
    return TOGETHER ? n - square_row(n) * (square_row(n) + 1) / 2 : n % TILE;
}

// The values of a stage that this thread will put there, all of coordinate j; past the end values
// and base are 0.
__device__ __forceinline__ void fetch(const T* stack, const Index* start, Index j, bool inside,
                                      T (&values)[LOADS]) {
#pragma unroll
    for (int n = 0; n < LOADS; n++) {
        int i = threadIdx.x / WIDTH + n * (THREADS / WIDTH);
        bool real = inside && i < ROWS && start[i] != NOBODY;
        values[n] = real ? stack[start[i] + j] : (T)0;
    }
}

// The coordinates `chunk` * blockIdx.x, ... into `partial` [blocks, tiles, SQUARES, SIDE, SIDE].
// `plan` says for each blockIdx.y which groups of models the stage holds, SLOTS of them or -1, and
// then where the rows and the columns of each warp's tile begin there.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
gram(const T* stack, const Index* starts, Index d, Index chunk, const BASE* previous,
     Index shifted, const Index* plan, double* partial) {
    __shared__ __align__(16) double stage[STAGE > MERGED ? STAGE : MERGED];
    __shared__ Index start[ROWS];
    const int warp = threadIdx.x / WARP;
    plan += (Index)blockIdx.y * (SLOTS + 2 * WARPS);
    for (int i = threadIdx.x; i < ROWS; i += THREADS) {
        Index model = plan[i / SIDE] * SIDE + i % SIDE;
        start[i] = model >= 0 && model < K ? starts[model] : NOBODY;
    }
    const int row = TOGETHER ? 0 : (int)plan[SLOTS + 2 * warp];
    const int column = TOGETHER ? 0 : (int)plan[SLOTS + 2 * warp + 1];
    const bool active = row >= 0;
    const double* left = stage + (row * SIDE + LANE / 4) * PITCH + LANE % 4;
    const double* right = stage + (column * SIDE + LANE / 4) * PITCH + LANE % 4;
    __syncthreads();

    double sums[SQUARES][2] = {};
    Index begin = blockIdx.x * chunk, end = begin + chunk < d ? begin + chunk : d;
    T next[LOADS];
    const int own = threadIdx.x % WIDTH;  // THREADS is a multiple of WIDTH
    fetch(stack, start, begin + own, begin + own < end, next);
    for (Index at = begin; at < end; at += WIDTH) {
        Index j = at + own;
        double base = shifted && j < end ? (double)previous[j] : 0.0;
        __syncthreads();
#pragma unroll
        for (int n = 0; n < LOADS; n++) {
            int i = threadIdx.x / WIDTH + n * (THREADS / WIDTH);
            if (i < ROWS) stage[i * PITCH + own] = next[n] - base;
        }
        __syncthreads();
        j += WIDTH;  // on their way while the stage is worked on
        fetch(stack, start, j, j < end, next);
        if (active) {
#pragma unroll 1
            for (int t = TOGETHER ? 4 * warp : 0; t < WIDTH; t += TOGETHER ? 4 * WARPS : 4) {
                double a[TILE], b[TILE];
#pragma unroll
                for (int s = 0; s < TILE; s++) {
                    a[s] = left[s * SIDE * PITCH + t];
                    b[s] = TOGETHER ? a[s] : right[s * SIDE * PITCH + t];
                }
#pragma unroll
                for (int n = 0; n < SQUARES; n++)
                    multiply_add(sums[n], a[square_row(n)], b[square_column(n)]);
            }
        }
    }

    // the warps that took turns add up, one after the other; the stage has served
    for (int turn = 1; TOGETHER && turn < WARPS; turn++) {
        __syncthreads();
#pragma unroll
        for (int n = 0; n < 2 * SQUARES; n++)
            if (warp == turn) stage[n * WARP + LANE] = sums[n / 2][n % 2];
        __syncthreads();
#pragma unroll
        for (int n = 0; n < 2 * SQUARES; n++)
            if (warp == 0) sums[n / 2][n % 2] += stage[n * WARP + LANE];
    }
    if (!active || (TOGETHER && warp > 0)) return;
    Index tile = TOGETHER ? blockIdx.x : ((Index)blockIdx.x * gridDim.y + blockIdx.y) * WARPS + warp;
    double* out = partial + tile * SQUARES * SIDE * SIDE + LANE / 4 * SIDE + LANE % 4 * 2;
#pragma unroll
    for (int n = 0; n < SQUARES; n++) {
        out[n * SIDE * SIDE] = sums[n][0];
        out[n * SIDE * SIDE + 1] = sums[n][1];
    }
}
