// Inner products of the float64 differences of K models to a base, in squares of SIDE * SIDE that
// a thread keeps in registers; only the squares on and below the diagonal.
// Defined before: T, BASE (the type of the base), K, SIDE, SQUARES (their number), WIDTH
// (coordinates in a stage), THREADS, TEAM (threads that share a coordinate; the teams of a block
// take turns).

#define GROUPS ((K + SIDE - 1) / SIDE)
#define ROWS (GROUPS * SIDE)
#define PITCH (ROWS + 2)  // even for reads of two, not a multiple of 4 for the memory banks
#define TEAMS (THREADS / TEAM)
#define AREA (SIDE * SIDE)
#define LOADS ((WIDTH * ROWS + THREADS - 1) / THREADS)  // of a thread for a stage
#define STAGE (WIDTH * PITCH)
#define MERGED (TEAMS > 1 ? TEAM * AREA : 0)

// The values of a stage that this thread will put there: column threadIdx.x % WIDTH. Nobody asks
// for the products of the rows from K on; past the end values and base are 0.
__device__ __forceinline__ void fetch(const T* stack, const Index* start, Index j, bool inside,
                                      T (&values)[LOADS]) {
#pragma unroll
    for (int n = 0; n < LOADS; n++) {
        int i = (threadIdx.x + n * THREADS) / WIDTH;
        values[n] = inside && i < K ? stack[start[i] + j] : (T)0;
    }
}

// The coordinates `chunk` * blockIdx.x, ... into `partial` [blocks, SQUARES, SIDE, SIDE]; blocks
// with another blockIdx.y take other squares.
extern "C" __global__ void __launch_bounds__(THREADS)
gram(const T* stack, const Index* starts, Index d, Index chunk, const BASE* previous,
     Index shifted, double* partial) {
    __shared__ __align__(16) double stage[STAGE > MERGED ? STAGE : MERGED];
    __shared__ Index start[K];
    for (int i = threadIdx.x; i < K; i += THREADS)
        start[i] = starts[i];
    __syncthreads();

    const int team = threadIdx.x / TEAM, square = blockIdx.y * TEAM + threadIdx.x % TEAM;
    int row = 0;  // squares are numbered along the rows of the triangle
    while ((row + 1) * (row + 2) / 2 <= square)
        row++;
    int column = square - row * (row + 1) / 2;
    const bool active = square < SQUARES;
    if (!active) row = column = 0;

    double sums[AREA] = {};
    const int own = threadIdx.x % WIDTH;
    Index begin = blockIdx.x * chunk, end = begin + chunk < d ? begin + chunk : d;
    T next[LOADS];
    fetch(stack, start, begin + own, begin + own < end, next);
    for (Index at = begin; at < end; at += WIDTH) {
        Index j = at + own;
        double base = shifted && j < end ? (double)previous[j] : 0.0;
        __syncthreads();
#pragma unroll
        for (int n = 0; n < LOADS; n++) {
            int i = (threadIdx.x + n * THREADS) / WIDTH;
            if (i < ROWS) stage[own * PITCH + i] = next[n] - base;
        }
        __syncthreads();
        j += WIDTH;  // on their way while the stage is worked on
        fetch(stack, start, j, j < end, next);
        for (int t = team; active && t < WIDTH; t += TEAMS) {
            const double* left = stage + t * PITCH + row * SIDE;
            const double* right = stage + t * PITCH + column * SIDE;
            double a[SIDE], b[SIDE];
#pragma unroll
            for (int s = 0; s < SIDE; s += 2) {
                double2 two = *(const double2*)(left + s), other = *(const double2*)(right + s);
                a[s] = two.x;
                a[s + 1] = two.y;
                b[s] = other.x;
                b[s + 1] = other.y;
            }
#pragma unroll
            for (int s = 0; s < AREA; s++)
                sums[s] += a[s / SIDE] * b[s % SIDE];
        }
    }

    // the teams of a block add up, one after the other; the stage has served
    for (int turn = 1; turn < TEAMS; turn++) {
        __syncthreads();
        if (team == turn) {
#pragma unroll
            for (int s = 0; s < AREA; s++)
                stage[s * TEAM + threadIdx.x % TEAM] = sums[s];
        }
        __syncthreads();
        if (team == 0) {
#pragma unroll
            for (int s = 0; s < AREA; s++)
                sums[s] += stage[s * TEAM + threadIdx.x];
        }
    }
    if (team > 0 || !active) return;
    double* out = partial + ((Index)blockIdx.x * SQUARES + square) * AREA;
#pragma unroll
    for (int s = 0; s < AREA; s++)
        out[s] = sums[s];
}
