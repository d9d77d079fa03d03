// Order statistics of many models: 32 coordinates to a block, their values in a tile that the
// threads of the block share and sort together.
// Defined before: T, K, BETA, THREADS, CHUNK.

#define WARPS (THREADS / WARP)

// Sort the coordinates j of all lanes into the tile [K, WARP], by Batcher's odd-even merge sort
// as in `pdrr.kernels.network.batcher`. The comparators of a step touch different rows: each warp
// takes some of them.
__device__ void sort_tile(const T* stack, const Index* starts, Index j, bool inside, T* tile) {
    const int lane = LANE, warp = threadIdx.x / WARP;
    for (int i = warp; i < K; i += WARPS)
        tile[i * WARP + lane] = inside ? stack[starts[i] + j] : (T)0;
    __syncthreads();
    for (int run = 1; run < K; run *= 2)
        for (int step = run; step >= 1; step /= 2) {
            for (int c = warp;; c += WARPS) {
                int i = step % run + c / step * 2 * step + c % step;
                if (i + step >= K) break;
                if (i / (2 * run) != (i + step) / (2 * run)) continue;
                T *a = tile + i * WARP + lane, *b = a + step * WARP;
                T small = SMALLER(*a, *b), large = LARGER(*a, *b);
                *a = small;
                *b = large;
            }
            __syncthreads();
        }
}

__device__ double middle(const T* column) {
    double total = 0;
    for (int rank = BETA; rank < STOP; rank++)
        total += column[rank * WARP];
    return mean(total, column[BETA * WARP], column[(STOP - 1) * WARP]);
}

#ifdef MIDDLE_MEAN
extern "C" __global__ void __launch_bounds__(THREADS)
middle_mean(const T* stack, const Index* starts, Index d, T* out) {
    LAUNCH_SHARED(T, tile);
    Index j = (Index)blockIdx.x * WARP + LANE;
    sort_tile(stack, starts, j, j < d, tile);
    if (threadIdx.x < WARP && j < d) out[j] = (T)middle(tile + LANE);
}
#endif

#ifdef MIDDLE_DIRECTION
extern "C" __global__ void __launch_bounds__(THREADS)
middle_direction(const T* stack, const Index* starts, Index d, const T* previous, T* out) {
    LAUNCH_SHARED(T, tile);
    Index j = (Index)blockIdx.x * WARP + LANE;
    sort_tile(stack, starts, j, j < d, tile);
    if (threadIdx.x >= WARP || j >= d) return;
    const T* column = tile + LANE;
    double base = previous[j], total = 0;
    for (int rank = BETA; rank < STOP; rank++)
        total += column[rank * WARP] - base;
    double middle = mean(total, column[BETA * WARP] - base, column[(STOP - 1) * WARP] - base);
    out[j] = (T)((middle > 0) - (middle < 0));
}
#endif

#ifdef COUNT
// How much of a value is kept that may be shared by others.
__device__ double column_share(const T* column, T edge) {
    int below = 0, equal = 0;
    for (int i = 0; i < K; i++) {
        below += column[i * WARP] < edge;
        equal += column[i * WARP] == edge;
    }
    return share(below, equal);
}

// As `count` in registers.cu. The unsorted values are read a second time: they are still in a
// cache.
extern "C" __global__ void __launch_bounds__(THREADS)
count(const T* stack, const Index* starts, Index d, const T* previous, Index zero_change, T* out,
      double* partial) {
    LAUNCH_SHARED(T, tile);
    __shared__ double sums[K + 1];  // of model i only warp i % WARPS adds something
    __shared__ T lows[WARP], highs[WARP];
    __shared__ double low_shares[WARP], high_shares[WARP];
    const int lane = LANE, warp = threadIdx.x / WARP;
    for (int i = threadIdx.x; i <= K; i += THREADS)
        sums[i] = 0;

    const Index begin = (Index)blockIdx.x * CHUNK;
    for (int at = 0; at < CHUNK && begin + at < d; at += WARP) {
        Index j = begin + at + lane;
        bool inside = j < d;
        sort_tile(stack, starts, j, inside, tile);
        if (warp == 0) {
            const T* column = tile + lane;
            T low = column[BETA * WARP], high = column[(STOP - 1) * WARP];
            T model = (T)middle(column);
            bool counted = inside && (zero_change || model != previous[j]);
            if (inside) out[j] = model;
            double low_share = counted, high_share = counted;
#if BETA > 0
            if (counted && column[(BETA - 1) * WARP] == low) low_share = column_share(column, low);
            if (counted && column[STOP * WARP] == high) high_share = column_share(column, high);
            if (counted && low == high) low_share = high_share = column_share(column, low);
#endif
            lows[lane] = counted ? low : (T)1;  // no value lies between 1 and 0
            highs[lane] = counted ? high : (T)0;
            low_shares[lane] = low_share;
            high_shares[lane] = high_share;
            double number = __popc(__ballot_sync(ALL, counted));
            if (lane == 0) sums[K] += number;
        }
        __syncthreads();  // from here on nobody reads the tile
        T low = lows[lane], high = highs[lane];
        double low_share = low_shares[lane], high_share = high_shares[lane];
        bool shared = low <= high && (low_share != 1 || high_share != 1);
        bool any = __ballot_sync(ALL, shared) != 0;
        for (int i = warp; i < K; i += WARPS) {
            T value = inside ? stack[starts[i] + j] : (T)0;
            double kept = any ? warp_sum(weight(value, low, high, low_share, high_share))
                              : __popc(__ballot_sync(ALL, value >= low && value <= high));
            if (lane == 0) sums[i] += kept;
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i <= K; i += THREADS)
        partial[(Index)blockIdx.x * (K + 1) + i] = sums[i];
}
#endif
