// The numbers that NumPy's PCG64 gives, from any place of its stream on: it is a linear
// congruential generator of 128 bits, so that n steps at once are one step with other constants.
// Defined before: T, THREADS, SPAN (coordinates of a thread).

struct State { Bits high, low; };

// state * a + c, both 128 bits, from {a high, a low, c high, c low}.
__device__ __forceinline__ State stepped(State state, const Bits* jump) {
    Bits low = state.low * jump[1] + jump[3];
    Bits high = __umul64hi(state.low, jump[1]) + state.high * jump[1] + state.low * jump[0];
    return State{high + jump[2] + (low < jump[3]), low};
}

// The next double in [0, 1) of a state, as NumPy makes it: 53 bits of the XSL-RR output.
__device__ __forceinline__ double uniform(State state) {
    Bits mixed = state.high ^ state.low, turn = state.high >> 58;
    Bits number = mixed >> turn | mixed << (64 - turn) % 64;
    return (double)(number >> 11) * 0x1p-53;
}

// near + (low + width * u) into the n rows, where u are the next n * d uniform numbers, row after
// row. `stream` holds the state, a jump over THREADS numbers, one over d, and jumps over 1, 2, 4,
// ...; four words each.
extern "C" __global__ void __launch_bounds__(THREADS)
uniform_rows(T* stack, const Index* starts, Index n, Index d, const double* near_end,
             const double* width, const double* low, const Bits* stream) {
    Index j = (Index)blockIdx.x * SPAN * THREADS + threadIdx.x;
    State state = {stream[0], stream[1]};
    const Bits *forwards = stream + 4, *down = stream + 8, *jump = stream + 12;
    for (Bits steps = j + 1; steps; steps >>= 1, jump += 4)
        if (steps & 1) state = stepped(state, jump);
    for (int i = 0; i < SPAN && j < d; i++, j += THREADS) {
        State own = state;
        double begin = near_end[j], length = width[j];
        for (Index row = 0; row < n; row++) {
            double offset = __dadd_rn(*low, __dmul_rn(length, uniform(own)));
            stack[starts[row] + j] = (T)__dadd_rn(begin, offset);
            own = stepped(own, down);
        }
        state = stepped(state, forwards);
    }
}
