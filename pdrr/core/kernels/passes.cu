// Loops that look at each value once. Each block takes CHUNK coordinates.
// Defined before: T, THREADS, CHUNK.

#define WARPS (THREADS / WARP)

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
// the n models and, last, y itself, into `partial` [blocks, 3, n + 1].
extern "C" __global__ void __launch_bounds__(THREADS)
sign_sums(const T* stack, const Index* starts, Index n, Index d, const T* previous,
          const T* chosen, int* partial) {
    __shared__ T base[CHUNK];
    __shared__ signed char y[CHUNK];
    Index begin = (Index)blockIdx.x * CHUNK;
    int m = d - begin < CHUNK ? (int)(d - begin) : CHUNK;
    for (int j = threadIdx.x; j < m; j += THREADS) {
        base[j] = previous[begin + j];
        y[j] = (signed char)sign(chosen[begin + j], base[j]);
    }
    __syncthreads();
    int* out = partial + (Index)blockIdx.x * 3 * (n + 1);
    for (Index i = threadIdx.x / WARP; i <= n; i += WARPS) {
        const T* x = i < n ? stack + starts[i] + begin : chosen + begin;
        int total = 0, moved = 0, product = 0;
#pragma unroll 8
        for (int j = LANE; j < m; j += WARP) {
            int s = sign(x[j], base[j]);
            total += s;
            moved += s != 0;
            product += s * y[j];
        }
        total = warp_sum(total);
        moved = warp_sum(moved);
        product = warp_sum(product);
        if (LANE == 0) {
            out[i] = total;
            out[n + 1 + i] = moved;
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
