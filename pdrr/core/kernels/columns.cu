// Loops through the models, coordinate by coordinate, one thread for each: nothing is sorted.
// Models are added in their order, as NumPy adds them.
// Defined before: T, THREADS, CHUNK.

#define WARPS (THREADS / WARP)
#define PLACE ((Index)blockIdx.x * THREADS + threadIdx.x)

// The sum of f(value) over the n models in coordinate j.
template <typename F>
__device__ __forceinline__ double models_sum(const T* stack, const Index* starts, Index n, Index j,
                                             F f) {
    double total = 0;
#pragma unroll 8
    for (Index i = 0; i < n; i++)
        total += f(stack[starts[i] + j]);
    return total;
}

extern "C" __global__ void __launch_bounds__(THREADS)
row_mean(const T* stack, const Index* starts, Index n, Index d, T* out, bool* finite) {
    Index j = PLACE;
    if (j >= d) return;
    T doubt = 0;
    double mean = models_sum(stack, starts, n, j, [&](T x) { return (double)seen(x, doubt); }) / n;
    if (overflowed(mean))
        mean = grown(models_sum(stack, starts, n, j, [](T x) { return x * SHRINK; }) / n);
    out[j] = (T)mean;
    if (!(doubt == 0)) *finite = false;  // all who write write the same
}

extern "C" __global__ void __launch_bounds__(THREADS)
mean_direction(const T* stack, const Index* starts, Index n, Index d, const T* previous, T* out) {
    Index j = PLACE;
    if (j >= d) return;
    double base = previous[j];
    double total = models_sum(stack, starts, n, j, [=](T x) { return x - base; });
    out[j] = (T)((total > 0) - (total < 0));
}

// The values are read a second time, which a cache still has.
extern "C" __global__ void __launch_bounds__(THREADS)
moments(const T* stack, const Index* starts, Index n, Index d, double* mu, double* sigma) {
    Index j = PLACE;
    if (j >= d) return;
    double mean = models_sum(stack, starts, n, j, [](T x) { return (double)x; }) / n;
    double square = models_sum(stack, starts, n, j, [=](T x) {
        double difference = x - mean;
        return difference * difference;
    });
    mu[j] = mean;
    sigma[j] = sqrt(square / n);
}

extern "C" __global__ void __launch_bounds__(THREADS)
extremes(const T* stack, const Index* starts, Index n, Index d, T* smallest, T* largest) {
    Index j = PLACE;
    if (j >= d) return;
    T low = stack[starts[0] + j], high = low;
#pragma unroll 8
    for (Index i = 1; i < n; i++) {
        T x = stack[starts[i] + j];
        low = SMALLER(low, x);
        high = LARGER(high, x);
    }
    smallest[j] = low;
    largest[j] = high;
}

// The trimmed mean without the model that starts at `own`, of `kept` values, from what
// `kept_values` gave.
extern "C" __global__ void __launch_bounds__(THREADS)
mean_without(const T* stack, Index own, Index kept, Index d, const T* edges, const double* total,
             T* out) {
    Index j = PLACE;
    if (j >= d) return;
    T x = stack[own + j], low = edges[j], high = edges[2 * d + j];
    double scale = room(low, high), middle = edges[d + j] * scale;
    double below = low * scale - middle, above = high * scale - middle;
    double edges_left = x >= high ? below : x <= low ? above : below + above - (x * scale - middle);
    double mean = middle + (total[j] + edges_left) / kept;
    if (kept == 1) mean = x <= low ? high : low;
    out[j] = (T)(scale == 1 || kept == 1 ? mean : grown(mean));
}

// The sums of (x - previous)^2 and of (x - previous) * s in the coordinates of a block, for the n
// models, into `partial` [blocks, 2, n].
extern "C" __global__ void __launch_bounds__(THREADS)
lengths(const T* stack, const Index* starts, Index n, Index d, const T* previous, const T* s,
        double* partial) {
    __shared__ double base[CHUNK];
    __shared__ T to[CHUNK];
    Index begin = (Index)blockIdx.x * CHUNK;
    int m = d - begin < CHUNK ? (int)(d - begin) : CHUNK;
    for (int j = threadIdx.x; j < m; j += THREADS) {
        base[j] = previous[begin + j];
        to[j] = s[begin + j];
    }
    __syncthreads();
    double* out = partial + (Index)blockIdx.x * 2 * n;
    for (Index i = threadIdx.x / WARP; i < n; i += WARPS) {
        const T* x = stack + starts[i] + begin;
        double square = 0, product = 0;
#pragma unroll 8
        for (int j = LANE; j < m; j += WARP) {
            double difference = x[j] - base[j];
            square += difference * difference;
            product += difference * to[j];
        }
        square = warp_sum(square);
        product = warp_sum(product);
        if (LANE == 0) {
            out[i] = square;
            out[n + i] = product;
        }
    }
}
