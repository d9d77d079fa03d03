// What all kernels share. Defined before: T, the type of the values.

#define WARP 32
#define ALL 0xffffffffu
#define LANE ((int)(threadIdx.x % WARP))

typedef long long Index;
typedef unsigned long long Bits;

// The sum over a warp, added in a fixed order.
template <typename V> __device__ V warp_sum(V value) {
    for (int step = WARP / 2; step > 0; step /= 2)
        value += __shfl_xor_sync(ALL, value, step);
    return value;
}

// A value, and in `doubt` something that stays 0 as long as all values are finite: one instruction
// at the full rate. -0 comes as 0, so that the signs of differences tell which is larger.
__device__ T seen(T value, T& doubt) {
    doubt += value * (T)0;
    return value + (T)0;
}

// All differences of numbers of one type have the right sign: they round to 0 only where it is 0.
__device__ unsigned sign_word(float x) { return __float_as_uint(x); }
__device__ unsigned sign_word(double x) { return (unsigned)__double2hiint(x); }

// The bits one place up, with the sign of x in the lowest.
__device__ unsigned pushed(unsigned bits, T x) {
    return __funnelshift_l(sign_word(x), bits, 1);
}

// Where a float64 sum overflows, that of values SHRINK times as large is taken, and grown again.
#define SHRINK 0x1p-64
#define HUGE_VALUE 0x1p1000
#define LARGEST (0x1.fffffffffffffp+1023 * SHRINK)
__device__ double grown(double x) { return fmin(fmax(x, -LARGEST), LARGEST) / SHRINK; }
__device__ double room(double low, double high) {
    return sizeof(T) == 8 && (-low > HUGE_VALUE || high > HUGE_VALUE) ? SHRINK : 1;
}
__device__ bool overflowed(double x) { return sizeof(T) == 8 && !(x - x == 0); }
