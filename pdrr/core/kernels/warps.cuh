// What all kernels share. Defined before: T, the type of the values.

#define WARP 32
#define ALL 0xffffffffu
#define LANE ((int)(threadIdx.x % WARP))

// Memory of a block whose size is set at launch.
#ifndef LAUNCH_SHARED
#define LAUNCH_SHARED(type, name) extern __shared__ type name[]
#endif

typedef long long Index;

// The sum over a warp, added in a fixed order.
template <typename V> __device__ V warp_sum(V value) {
    for (int step = WARP / 2; step > 0; step /= 2)
        value += __shfl_xor_sync(ALL, value, step);
    return value;
}

__device__ int sign(T x, T base) { return (x > base) - (x < base); }
