// The part of CUDA that the kernels use, for a C++ compiler: the threads of a block take turns on
// one processor and change over where they wait for each other.
#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static
#define __align__(bytes) __attribute__((aligned(bytes)))

struct double2 { double x, y; };
struct Place { unsigned x, y; };
struct Barrier { int arrived = 0; long turn = 0; };
struct Warp { Barrier barrier; unsigned votes[2] = {}; double values[2][2][32] = {}; };

static Place threadIdx, blockIdx, gridDim;

namespace machine {
const size_t STACK = 1 << 16;
std::vector<ucontext_t> contexts;  // where the threads begin
struct Waiting { jmp_buf place; };
std::vector<Waiting> waiting;
std::vector<char> stacks, begun, done;
std::vector<Warp> warps;
std::vector<long> meetings;  // of each thread with its warp
Barrier block;
jmp_buf home;
int current, threads, idle;  // idle: turns since a thread got on
typedef long long A;
typedef void (*Kernel)(A, A, A, A, A, A, A, A, A, A);
Kernel kernel;  // pointers and 64-bit integers travel alike
long long* arguments;

void run(int t) {
    current = t;
    threadIdx.x = t;
    if (_setjmp(home)) return;
    if (begun[t]) _longjmp(waiting[t].place, 1);
    begun[t] = 1;
    setcontext(&contexts[t]);
}

void rest() {
    if (!_setjmp(waiting[current].place)) _longjmp(home, 1);
}

void wait(Barrier& barrier, int number) {
    long turn = barrier.turn;
    idle = 0;
    if (++barrier.arrived == number) {
        barrier.arrived = 0;
        barrier.turn++;
        return;
    }
    while (barrier.turn == turn) {
        if (++idle > 4 * threads) {
            fprintf(stderr, "the threads of a block wait for each other for ever\n");
            abort();
        }
        rest();
    }
    idle = 0;
}

void body() {
    long long* a = arguments;
    kernel(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9]);
    done[current] = 1;
    idle = 0;
    _longjmp(home, 1);
}

// What this thread brings to a meeting of its warp, which all must have reached; two sets of
// places, as some may be at the next meeting before others have read.
int meet() {
    int set = meetings[current]++ % 2;
    return set;
}
}  // namespace machine

inline void __syncthreads() { machine::wait(machine::block, machine::threads); }
inline void __syncwarp() { machine::wait(machine::warps[threadIdx.x / 32].barrier, 32); }

template <typename V> V exchange(V value, int from) {
    Warp& warp = machine::warps[threadIdx.x / 32];
    int set = machine::meet();
    memcpy(&warp.values[set][0][threadIdx.x % 32], &value, sizeof(V));
    __syncwarp();
    memcpy(&value, &warp.values[set][0][from], sizeof(V));
    return value;
}

template <typename V> V __shfl_sync(unsigned, V value, int from) { return exchange(value, from); }
template <typename V> V __shfl_xor_sync(unsigned, V value, int step) {
    return exchange(value, threadIdx.x % 32 ^ step);
}

inline unsigned __ballot_sync(unsigned, bool vote) {
    Warp& warp = machine::warps[threadIdx.x / 32];
    int set = machine::meet();
    unsigned bit = 1u << threadIdx.x % 32;
    warp.votes[set] = vote ? warp.votes[set] | bit : warp.votes[set] & ~bit;
    __syncwarp();
    return warp.votes[set];
}

// As `multiply_add` in tensor.cu: the 8 * 8 inner products of 8 models with 8 others, over four
// coordinates.
#define MULTIPLY_ADD
inline void multiply_add(double (&sum)[2], double a, double b) {
    Warp& warp = machine::warps[threadIdx.x / 32];
    int set = machine::meet(), lane = threadIdx.x % 32;
    warp.values[set][0][lane] = a;
    warp.values[set][1][lane] = b;
    __syncwarp();
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 4; j++)
            sum[i] += warp.values[set][0][lane / 4 * 4 + j] *
                      warp.values[set][1][(lane % 4 * 2 + i) * 4 + j];
}

inline unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

inline int __double2hiint(double x) {
    int words[2];
    memcpy(words, &x, sizeof words);
    return words[1];
}

inline unsigned __funnelshift_l(unsigned low, unsigned high, int by) {
    return high << by | low >> (32 - by);
}

inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned __int128)a * b >> 64;
}

inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(unsigned bits) { return __builtin_ffs(bits); }

extern "C" void launch(void* kernel, int across, int upwards, int threads,
                       long long* arguments) {
    using namespace machine;
    machine::kernel = (Kernel)kernel;
    gridDim = {(unsigned)across, (unsigned)upwards};
    machine::threads = threads;
    machine::arguments = arguments;
    contexts.resize(threads);
    waiting.resize(threads);
    stacks.resize(threads * STACK);
    for (blockIdx.y = 0; blockIdx.y < (unsigned)upwards; blockIdx.y++)
        for (blockIdx.x = 0; blockIdx.x < (unsigned)across; blockIdx.x++) {
            begun.assign(threads, 0);
            done.assign(threads, 0);
            meetings.assign(threads, 0);
            warps.assign(threads / 32, Warp());
            block = Barrier();
            for (int t = 0; t < threads; t++) {
                getcontext(&contexts[t]);
                contexts[t].uc_stack.ss_sp = &stacks[t * STACK];
                contexts[t].uc_stack.ss_size = STACK;
                makecontext(&contexts[t], body, 0);
            }
            // forwards and backwards in turn, so that nobody can rely on being before another
            for (int round = 0, left = threads; left > 0; round++)
                for (int n = left = 0; n < threads; n++) {
                    int t = (round + blockIdx.x) % 2 ? threads - 1 - n : n;
                    if (!done[t]) run(t);
                    left += !done[t];
                }
        }
}
