// Order statistics: the K values of a coordinate in the registers of LANES lanes of a warp, which
// sort them together.
// Defined before: T; K; LANES; EACH, the values that a lane reads; SIZE, its registers, filled up
// with infinities; BETA, how many are dropped on each side; THREADS; STEPS, how often a block that
// counts takes coordinates; and three lists of SORT(i, j): NETWORK sorts EACH registers, MERGE
// SIZE registers that rise and then fall, LAST does that as far as somebody wants them.

#define INFINITE (T)(1e308 * 10)
#define STOP (K - BETA)          // the ranks BETA, ..., STOP - 1 are kept
#define ACROSS (WARP / LANES)    // coordinates of a warp, side by side: 32 bytes or more of a row
#define WARPS (THREADS / WARP)
#define AT_ONCE (WARPS * ACROSS) // coordinates of a block
#define GROUP (LANE / ACROSS)    // which of the LANES this one is
#define OWN (LANE % ACROSS)      // which of the coordinates it works on

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

__device__ bool exists(int i) { return LANES == 1 || GROUP * EACH + i < K; }

// The coordinate of this lane, when the block begins at one. Past the end, the last once more: the
// lanes of a warp stay together.
__device__ Index place(Index begin, Index d) {
    Index j = begin + threadIdx.x / WARP * ACROSS + OWN;
    return j < d ? j : d - 1;
}

// What `order` does with the register of another lane.
__device__ T kept_of(T own, T other, bool lower) {
    return lower ? SMALLER(own, other) : LARGER(own, other);
}

// The lanes of `width` groups hold two sorted halves. Afterwards each lane has its final values,
// which rise and fall once: the smaller ones of a and of b read backwards, and so on.
__device__ __forceinline__ void exchange_between(T (&x)[SIZE], int width) {
    bool lower = !(GROUP & width / 2);
#pragma unroll
    for (int i = 0; i < SIZE / 2; i++) {
        T other = __shfl_xor_sync(ALL, x[SIZE - 1 - i], (width - 1) * ACROSS);
        T mirrored = __shfl_xor_sync(ALL, x[i], (width - 1) * ACROSS);
        x[i] = kept_of(x[i], other, lower);
        x[SIZE - 1 - i] = kept_of(x[SIZE - 1 - i], mirrored, lower);
    }
#pragma unroll 1
    for (int step = width / 4; step > 0; step /= 2) {
        lower = !(GROUP & step);
#pragma unroll
        for (int i = 0; i < SIZE; i++)
            x[i] = kept_of(x[i], __shfl_xor_sync(ALL, x[i], step * ACROSS), lower);
    }
}

// Sort the coordinate j into x, as far as LAST goes; the value of rank r is then in the register
// r % SIZE of the group r / SIZE. Returns what is not 0 if a value is not finite.
__device__ __forceinline__ T sorted(const T* stack, const Index* start, Index j, T (&x)[SIZE]) {
    T doubt = 0;
#pragma unroll
    for (int i = 0; i < SIZE; i++) {
        x[i] = INFINITE;
        if (i < EACH && exists(i)) x[i] = seen(stack[start[GROUP * EACH + i] + j], doubt);
    }
    NETWORK
#pragma unroll 1
    for (int width = 2; width < LANES; width *= 2) {
        exchange_between(x, width);
        MERGE
    }
    if (LANES > 1) {
        exchange_between(x, LANES);
        LAST
    }
    return doubt;
}

// The value of a rank that the compiler knows, for every lane of the coordinate.
#define RANKED(rank) (LANES == 1 ? x[(rank) % SIZE] \
    : __shfl_sync(ALL, x[(rank) % SIZE], (rank) / SIZE % LANES * ACROSS + OWN))

// The sum of f(rank, value) over the ranks first, ..., stop - 1, from small to large.
template <typename F>
__device__ __forceinline__ double ranks_sum(const T (&x)[SIZE], int first, int stop, F f) {
    double total = 0;
    if (LANES > 1 && stop - first <= 2) {
        for (int rank = first; rank < stop; rank++)
            total += f(rank, RANKED(rank));
        return total;
    }
#pragma unroll 1
    for (int group = first / SIZE; group * SIZE < stop; group++) {
#pragma unroll
        for (int i = 0; i < SIZE; i++) {
            int rank = LANES == 1 ? i : group * SIZE + i;
            if (rank >= first && rank < stop) total += f(rank, x[i]);
        }
        if (LANES > 1) total = __shfl_sync(ALL, total, group * ACROSS + OWN);
    }
    return total;
}

// The mean of the kept values less `base`; of equal values exactly that value, as in
// `trimmed_mean_of_sorted`.
__device__ __forceinline__ double middle(const T (&x)[SIZE], double base) {
    double low = RANKED(BETA) - base, high = RANKED(STOP - 1) - base;
    double mean = ranks_sum(x, BETA, STOP, [=](int, T value) { return value - base; });
    mean /= STOP - BETA;
    if (sizeof(T) == 8 && __ballot_sync(ALL, overflowed(mean))) {
        double less = ranks_sum(x, BETA, STOP, [=](int, T value) {
            return (value - base) * SHRINK;
        });
        if (overflowed(mean)) mean = grown(less / (STOP - BETA));
    }
    return low == high ? low : mean;
}

#ifdef MIDDLE_MEAN
extern "C" __global__ void __launch_bounds__(THREADS)
middle_mean(const T* stack, const Index* starts, Index d, T* out, bool* finite) {
    __shared__ Index start[K];
    load_starts(starts, start);
    T x[SIZE];
    Index j = place((Index)blockIdx.x * AT_ONCE, d);
    T doubt = sorted(stack, start, j, x);
    double model = middle(x, 0);
    if (GROUP == 0) out[j] = (T)model;
    if (!(doubt == 0)) *finite = false;  // all who write write the same
}
#endif

#ifdef MIDDLE_DIRECTION
// Differences need no sorting: they are in the order of the values.
extern "C" __global__ void __launch_bounds__(THREADS)
middle_direction(const T* stack, const Index* starts, Index d, const T* previous, T* out) {
    __shared__ Index start[K];
    load_starts(starts, start);
    T x[SIZE];
    Index j = place((Index)blockIdx.x * AT_ONCE, d);
    sorted(stack, start, j, x);
    double mean = middle(x, previous[j]);
    if (GROUP == 0) out[j] = (T)((mean > 0) - (mean < 0));
}
#endif

#ifdef KEPT_VALUES
// Three kept values into `edges` [3, d], and the sum of the differences of those between the lowest
// and the highest to the second.
extern "C" __global__ void __launch_bounds__(THREADS)
kept_values(const T* stack, const Index* starts, Index d, T* edges, double* total) {
    __shared__ Index start[K];
    load_starts(starts, start);
    T x[SIZE];
    Index j = place((Index)blockIdx.x * AT_ONCE, d);
    sorted(stack, start, j, x);
    T low = RANKED(BETA), centre = RANKED(K / 2), high = RANKED(STOP - 1);
    double scale = room(low, high), base = centre * scale;
    double sum = ranks_sum(x, BETA + 1, STOP - 1, [=](int, T value) {
        return value * scale - base;
    });
    if (GROUP > 0) return;
    edges[j] = low;
    edges[d + j] = centre;
    edges[2 * d + j] = high;
    total[j] = sum;
}
#endif

#ifdef CLOSEST_TO_MEDIAN
// The GAMMA values closest to the median lie side by side. The value of a rank falls off at the
// lower end if it is farther away than the one GAMMA ranks above; of equally far ones, the upper.
extern "C" __global__ void __launch_bounds__(THREADS)
closest_to_median(const T* stack, const Index* starts, Index d, T* out) {
    __shared__ Index start[K];
    load_starts(starts, start);
    T x[SIZE];
    Index j = place((Index)blockIdx.x * AT_ONCE, d);
    sorted(stack, start, j, x);
    double smallest = RANKED(0), largest = RANKED(K - 1);
    double scale = room(smallest, largest);
    double low = RANKED((K - 1) / 2) * scale, high = RANKED(K / 2) * scale;
    double median = low == high ? low : (low + high) / 2;
    int first = 0;
#pragma unroll
    for (int i = 0; i < SIZE; i++) {
        int away = (i + GAMMA) / SIZE, rank = (LANES == 1 ? 0 : GROUP * SIZE) + i;
        T upper = x[(i + GAMMA) % SIZE];
        if (LANES > 1) upper = __shfl_sync(ALL, upper, (LANE + away * ACROSS) % WARP);
        if (rank + GAMMA < K) first += median - x[i] * scale > upper * scale - median;
    }
    for (int step = ACROSS; step < WARP; step *= 2)
        first += __shfl_xor_sync(ALL, first, step);
    double mean = ranks_sum(x, 0, K, [=](int rank, T value) {
        return rank >= first && rank < first + GAMMA ? value * scale : 0;
    });
    mean /= GAMMA;
    if (GROUP == 0) out[j] = (T)(scale == 1 ? mean : grown(mean));
}
#endif

#ifdef COUNT
// How much of one of `equal` values has a kept rank, if `below` values are smaller.
__device__ double share(int below, int equal) {
    int first = below > BETA ? below : BETA;
    int stop = below + equal < STOP ? below + equal : STOP;
    return (stop - first) / (double)equal;
}

__device__ int over_groups(int value) {
    for (int step = ACROSS; step < WARP; step *= 2)
        value += __shfl_xor_sync(ALL, value, step);
    return value;
}

__device__ Bits joined(const unsigned (&word)[2]) { return (Bits)word[1] << 32 | word[0]; }

// Whom of the models of this lane a coordinate keeps: `whole` those of which it keeps all, `some`
// those of which it keeps a share. As the values are read again, which a cache still has, none of
// the unsorted ones takes a register while the others are sorted.
__device__ __forceinline__ void kept(const T* stack, const Index* start, Index j, T low, T high,
                                     bool tied, Bits& whole, Bits (&some)[2], double (&of)[2]) {
    T doubt = 0;
    unsigned less[2] = {}, more[2] = {}, inner[2] = {}, outer[2] = {};
    bool any = __ballot_sync(ALL, tied) != 0;
#pragma unroll
    for (int i = EACH - 1; i >= 0; i--) {
        T value = exists(i) ? seen(stack[start[GROUP * EACH + i] + j], doubt) : INFINITE;
        less[i / WARP] = pushed(less[i / WARP], value - low);
        more[i / WARP] = pushed(more[i / WARP], high - value);
        if (any) inner[i / WARP] = pushed(inner[i / WARP], low - value);
        if (any) outer[i / WARP] = pushed(outer[i / WARP], value - high);
    }
    const Bits real = EACH < 64 ? ((Bits)1 << EACH % 64) - 1 : ~(Bits)0;
    Bits below = joined(less), above = joined(more);
    whole = real & ~below & ~above;
    some[0] = some[1] = 0;
    of[0] = of[1] = 0;
    if (!any) return;
    // equal to an edge, and shared with dropped ones unless no other value of that size is dropped
    Bits at[2] = {real & ~below & ~joined(inner), real & ~above & ~joined(outer)};
    int smaller[2] = {over_groups(__popcll(below)), over_groups(__popcll(joined(outer) & real))};
#pragma unroll
    for (int edge = 0; edge < 2; edge++) {
        double part = share(smaller[edge], over_groups(__popcll(at[edge])));
        if (!tied || part == 1 || (edge && low == high)) continue;
        some[edge] = at[edge];
        of[edge] = part;
        whole &= ~at[edge];
    }
}

// How often each model was kept in the coordinates of a block, then how many of these were counted
// and whether a value was not finite, into `partial` [blocks, K + 2].
extern "C" __global__ void __launch_bounds__(THREADS)
count(const T* stack, const Index* starts, Index d, const T* previous, Index zero_change, T* out,
      double* partial) {
    __shared__ Index start[K];
    __shared__ double sums[WARPS][LANES * EACH + 2];
    load_starts(starts, start);
    double* sum = sums[threadIdx.x / WARP];
    for (int i = LANE; i < LANES * EACH + 2; i += WARP)
        sum[i] = 0;
    __syncwarp();
    Bits digit[4] = {};  // of the numbers of times that the models of this lane were kept
    int counted_columns = 0;
    T doubt = 0;

    const Index begin = (Index)blockIdx.x * STEPS * AT_ONCE;
#pragma unroll 1
    for (int step = 0; step < STEPS && begin + step * AT_ONCE < d; step++) {
        Index j = place(begin + step * AT_ONCE, d);
        bool inside = begin + step * AT_ONCE + threadIdx.x / WARP * ACROSS + OWN < d;
        T x[SIZE];
        doubt += sorted(stack, start, j, x);
        T low = RANKED(BETA), high = RANKED(STOP - 1), model = (T)middle(x, 0);
        bool counted = inside && (zero_change || model != previous[j]);
        bool tied = false;
#if BETA > 0
        T dropped = RANKED(BETA - 1), beyond = RANKED(STOP);
        tied = counted && (dropped == low || beyond == high);
#endif
        if (GROUP == 0) out[j] = model;
        counted_columns += __popc(__ballot_sync(ALL, counted && GROUP == 0));

        Bits whole, some[2];
        double of[2];
        kept(stack, start, j, low, high, tied, whole, some, of);
        Bits carry = counted ? whole : 0;
#pragma unroll
        for (int n = 0; n < 4; n++) {
            Bits next = digit[n] & carry;
            digit[n] ^= carry;
            carry = next;
        }
        // shares one coordinate after the other; each lane adds those of every ACROSS-th model
        for (unsigned left = __ballot_sync(ALL, tied && GROUP == 0); left; left &= left - 1) {
            int owner = GROUP * ACROSS + __ffs(left) - 1;
#pragma unroll
            for (int edge = 0; edge < 2; edge++) {
                Bits who = __shfl_sync(ALL, some[edge], owner);
                double part = __shfl_sync(ALL, of[edge], owner);
                for (int i = OWN; i < EACH; i += ACROSS)
                    if (who >> i & 1) sum[GROUP * EACH + i] += part;
            }
        }
    }

#pragma unroll
    for (int i = 0; i < EACH; i++) {
        int times = 0;
#pragma unroll
        for (int n = 0; n < 4; n++)
            times += (int)(digit[n] >> i & 1) << n;
        for (int step = 1; step < ACROSS; step *= 2)
            times += __shfl_xor_sync(ALL, times, step);
        if (OWN == i % ACROSS) sum[GROUP * EACH + i] += times;
    }
    bool bad = __ballot_sync(ALL, !(doubt == 0)) != 0;
    if (LANE == 0) sum[LANES * EACH] = counted_columns;
    if (LANE == 0) sum[LANES * EACH + 1] = bad;
    __syncthreads();
    for (int i = threadIdx.x; i < K + 2; i += THREADS) {
        double total = 0;
        for (int w = 0; w < WARPS; w++)
            total += sums[w][i < K ? i : LANES * EACH + i - K];
        partial[(Index)blockIdx.x * (K + 2) + i] = total;
    }
}
#endif
