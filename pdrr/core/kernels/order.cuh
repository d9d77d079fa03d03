// What both ways to order the values of a coordinate share.
// Defined before: T; K rows of which BETA are dropped on each side.

#define STOP (K - BETA)  // the ranks BETA, ..., STOP - 1 are kept

// How much of one of `equal` values has a kept rank, if `below` values are smaller.
__device__ double share(int below, int equal) {
    int first = below > BETA ? below : BETA;
    int stop = below + equal < STOP ? below + equal : STOP;
    return (stop - first) / (double)equal;
}

// How much of the value x is kept.
__device__ double weight(T x, T low, T high, double low_share, double high_share) {
    double inner = x > low && x < high ? 1.0 : 0.0;
    return x == high ? high_share : x == low ? low_share : inner;
}

// Of equal values exactly that value, as in `trimmed_mean_of_sorted`.
__device__ double mean(double total, double low, double high) {
    return low == high ? low : total / (STOP - BETA);
}
