// Loops that look at each value once. Each block takes CHUNK coordinates.
// Defined before: T, THREADS, CHUNK.

#define WARPS (THREADS / WARP)
#define WORDS (CHUNK / WARP / WARP)  // of bits, for the values of a chunk that a lane looks at

// Which of the values of this lane lie above the base, and which below.
__device__ __forceinline__ void signs(const T* x, const T* base, int m, unsigned (&up)[WORDS],
                                      unsigned (&down)[WORDS]) {
    T doubt = 0;
#pragma unroll
    for (int w = 0; w < WORDS; w++) {
        up[w] = down[w] = 0;
#pragma unroll 8
        for (int i = 0; i < WARP; i++) {
            int j = (w * WARP + i) * WARP + LANE;
            T value = j < m ? seen(x[j], doubt) : (T)0, own = j < m ? base[j] : (T)0;
            up[w] = pushed(up[w], own - value);
            down[w] = pushed(down[w], value - own);
        }
    }
}

// Clears finite[i] where the i-th of the n models holds NaN or infinity. Blocks: chunks * n.
extern "C" __global__ void __launch_bounds__(THREADS)
finite_rows(const T* stack, const Index* starts, Index n, Index d, bool* finite) {
    Index i = blockIdx.x % n, begin = blockIdx.x / n * CHUNK;
    const T* x = stack + starts[i] + begin;
    bool bad = false;
#pragma unroll 8
    for (int j = threadIdx.x; j < CHUNK; j += THREADS)
        if (begin + j < d) bad |= !(x[j] - x[j] == 0);
    if (bad) finite[i] = false;  // all who write write the same
}

// The sums of s, s * s and s * y, where s = Sgn(x - previous) and y = Sgn(chosen - previous), for
// the n models and, last, y itself, into `partial` [blocks, 3, n + 1]. A lane keeps the signs of
// its values as bits: it counts WARP of them at once.
extern "C" __global__ void __launch_bounds__(THREADS)
sign_sums(const T* stack, const Index* starts, Index n, Index d, const T* previous,
          const T* chosen, int* partial) {
    __shared__ T base[CHUNK];
    Index begin = (Index)blockIdx.x * CHUNK;
    int m = d - begin < CHUNK ? (int)(d - begin) : CHUNK;
    for (int j = threadIdx.x; j < m; j += THREADS)
        base[j] = previous[begin + j] + (T)0;
    __syncthreads();
    unsigned y_up[WORDS], y_down[WORDS];
    signs(chosen + begin, base, m, y_up, y_down);
    int* out = partial + (Index)blockIdx.x * 3 * (n + 1);
    for (Index i = threadIdx.x / WARP; i <= n; i += WARPS) {
        unsigned up[WORDS], down[WORDS];
        signs(i < n ? stack + starts[i] + begin : chosen + begin, base, m, up, down);
        int above = 0, below = 0, product = 0;
#pragma unroll
        for (int w = 0; w < WORDS; w++) {
            above += __popc(up[w]);
            below += __popc(down[w]);
            product += __popc((up[w] & y_up[w]) | (down[w] & y_down[w]));
            product -= __popc((up[w] & y_down[w]) | (down[w] & y_up[w]));
        }
        above = warp_sum(above);
        below = warp_sum(below);
        product = warp_sum(product);
        if (LANE == 0) {
            out[i] = above - below;
            out[n + 1 + i] = above + below;
            out[2 * (n + 1) + i] = product;
        }
    }
}

// Squared distances of the models a[t] and b[t] in a chunk, for n pairs t, into `partial`
// [chunks, n]. Blocks: chunks * n; those of a chunk run together and find it in a cache.
extern "C" __global__ void __launch_bounds__(THREADS)
pair_distances(const T* stack, const Index* a, const Index* b, Index n, Index d, double* partial) {
    __shared__ double sums[WARPS];
    Index t = blockIdx.x % n, begin = blockIdx.x / n * CHUNK;
    const T *x = stack + a[t] + begin, *y = stack + b[t] + begin;
    double total = 0;
#pragma unroll 8
    for (int j = threadIdx.x; j < CHUNK; j += THREADS)
        if (begin + j < d) {
            double difference = (double)x[j] - (double)y[j];
            total += difference * difference;
        }
    total = warp_sum(total);
    if (LANE == 0) sums[threadIdx.x / WARP] = total;
    __syncthreads();
    if (threadIdx.x > 0) return;
    for (int w = 1; w < WARPS; w++)
        total += sums[w];
    partial[blockIdx.x] = total;
}

// The sums of the `columns` columns of `partial` [rows, columns], always added in the same order.
// Blocks: WARP columns.
extern "C" __global__ void __launch_bounds__(THREADS)
total(const PARTIAL* partial, Index rows, Index columns, double* out) {
    __shared__ double sums[WARPS][WARP];
    Index column = (Index)blockIdx.x * WARP + LANE;
    double sum = 0;
    if (column < columns) {
#pragma unroll 8
        for (Index row = threadIdx.x / WARP; row < rows; row += WARPS)
            sum += partial[row * columns + column];
    }
    sums[threadIdx.x / WARP][LANE] = sum;
    __syncthreads();
    if (threadIdx.x >= WARP || column >= columns) return;
    for (int w = 1; w < WARPS; w++)
        sum += sums[w][LANE];
    out[column] = sum;
}
