// Order statistics of few models: one thread for each coordinate, its K values in registers.
// Defined before: T, K, BETA, THREADS, CHUNK, and NETWORK, a list of SORT(i, j).

// Rows of a tile lie one value further apart than they are long: a warp may read it along a row
// or along a column, each lane from a memory bank of its own.
#define PITCH (THREADS + 1)
#define WARPS (THREADS / WARP)
#define SLOTS ((K + WARP - 1) / WARP)

__device__ void order(T& a, T& b) {
    T small = SMALLER(a, b), large = LARGER(a, b);
    a = small;
    b = large;
}

#define SORT(i, j) order(x[i], x[j]);

__device__ void load_starts(const Index* starts, Index* start) {
    for (int i = threadIdx.x; i < K; i += THREADS)
        start[i] = starts[i];
    __syncthreads();
}

// Sort the coordinate j into x as far as the ranks of the network need it.
__device__ __forceinline__ void sorted(const T* stack, const Index* start, Index j, T (&x)[K]) {
#pragma unroll
    for (int i = 0; i < K; i++)
        x[i] = stack[start[i] + j];
    NETWORK
}

__device__ __forceinline__ double middle(const T (&x)[K]) {
    double total = 0;
#pragma unroll
    for (int rank = BETA; rank < STOP; rank++)
        total += x[rank];
    return mean(total, x[BETA], x[STOP - 1]);
}

#ifdef MIDDLE_MEAN
extern "C" __global__ void __launch_bounds__(THREADS)
middle_mean(const T* stack, const Index* starts, Index d, T* out) {
    __shared__ Index start[K];
    load_starts(starts, start);
    Index j = (Index)blockIdx.x * THREADS + threadIdx.x;
    if (j >= d) return;
    T x[K];
    sorted(stack, start, j, x);
    out[j] = (T)middle(x);
}
#endif

#ifdef MIDDLE_DIRECTION
// Differences need no sorting: they are in the order of the values.
extern "C" __global__ void __launch_bounds__(THREADS)
middle_direction(const T* stack, const Index* starts, Index d, const T* previous, T* out) {
    __shared__ Index start[K];
    load_starts(starts, start);
    Index j = (Index)blockIdx.x * THREADS + threadIdx.x;
    if (j >= d) return;
    T x[K];
    sorted(stack, start, j, x);
    double base = previous[j], total = 0;
#pragma unroll
    for (int rank = BETA; rank < STOP; rank++)
        total += x[rank] - base;
    double middle = mean(total, x[BETA] - base, x[STOP - 1] - base);
    out[j] = (T)((middle > 0) - (middle < 0));
}
#endif

#ifdef COUNT
// How often each model was kept in the chunk of a block, and in the last place how many
// coordinates were counted, into `partial` [blocks, K + 1].
extern "C" __global__ void __launch_bounds__(THREADS)
count(const T* stack, const Index* starts, Index d, const T* previous, Index zero_change, T* out,
      double* partial) {
    __shared__ Index start[K];
    __shared__ T tile[K * PITCH];
    __shared__ double sums[WARPS * (K + 1)];
    load_starts(starts, start);
    const int own = threadIdx.x, lane = LANE, warp = own / WARP;
    Index whole[SLOTS] = {};  // of the models lane, lane + 32, ...
    double parts[SLOTS] = {};
    Index counted_columns = 0;

    const Index begin = (Index)blockIdx.x * CHUNK;
    for (int at = 0; at < CHUNK && begin + at < d; at += THREADS) {
        Index j = begin + at + own;
        bool inside = j < d;
        T x[K];
#pragma unroll
        for (int i = 0; i < K; i++)
            x[i] = inside ? stack[start[i] + j] : (T)0;
#pragma unroll
        for (int i = 0; i < K; i++)
            tile[i * PITCH + own] = x[i];
        __syncwarp();
        NETWORK
        T low = x[BETA], high = x[STOP - 1], model = (T)middle(x);
        bool counted = inside && (zero_change || model != previous[j]);
        if (inside) out[j] = model;
        bool tied = false;
#if BETA > 0
        tied = counted && (x[BETA - 1] == low || x[STOP] == high);
#endif
        counted_columns += __popc(__ballot_sync(ALL, counted));

        // where no kept value is shared with a dropped one: whole models, a vote for each
        T from = counted && !tied ? low : (T)1, to = counted && !tied ? high : (T)0;
#pragma unroll
        for (int slot = 0; slot < SLOTS; slot++) {
            unsigned votes = 0;
#pragma unroll
            for (int i = slot * WARP; i < K && i < (slot + 1) * WARP; i++) {
                T value = tile[i * PITCH + own];
                unsigned kept = __ballot_sync(ALL, value >= from && value <= to);
                if (lane == i - slot * WARP) votes = kept;
            }
            whole[slot] += __popc(votes);
        }

        // else one coordinate after the other, with a lane for each model
        for (unsigned left = __ballot_sync(ALL, tied); left; left &= left - 1) {
            int owner = __ffs(left) - 1;
            T bottom = __shfl_sync(ALL, low, owner), top = __shfl_sync(ALL, high, owner);
            int below_bottom = 0, at_bottom = 0, below_top = 0, at_top = 0;
            T value[SLOTS];
#pragma unroll
            for (int slot = 0; slot < SLOTS; slot++) {
                int i = slot * WARP + lane;
                bool real = i < K;
                value[slot] = real ? tile[i * PITCH + warp * WARP + owner] : (T)0;
                below_bottom += __popc(__ballot_sync(ALL, real && value[slot] < bottom));
                at_bottom += __popc(__ballot_sync(ALL, real && value[slot] == bottom));
                below_top += __popc(__ballot_sync(ALL, real && value[slot] < top));
                at_top += __popc(__ballot_sync(ALL, real && value[slot] == top));
            }
            double bottom_share = share(below_bottom, at_bottom);
            double top_share = share(below_top, at_top);
#pragma unroll
            for (int slot = 0; slot < SLOTS; slot++)
                parts[slot] += weight(value[slot], bottom, top, bottom_share, top_share);
        }
        __syncwarp();
    }

#pragma unroll
    for (int slot = 0; slot < SLOTS; slot++)
        if (slot * WARP + lane < K)
            sums[warp * (K + 1) + slot * WARP + lane] = whole[slot] + parts[slot];
    if (lane == 0) sums[warp * (K + 1) + K] = counted_columns;
    __syncthreads();
    for (int i = own; i <= K; i += THREADS) {
        double total = 0;
        for (int w = 0; w < WARPS; w++)
            total += sums[w * (K + 1) + i];
        partial[(Index)blockIdx.x * (K + 1) + i] = total;
    }
}
#endif
