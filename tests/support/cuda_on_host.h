// Runs CUDA kernels on the host, one block after the other: a fiber for each thread, a switch at
// each barrier. Include it before the file with the kernel. It finds wrong arithmetic, wrong
// indices and barriers that not all threads reach, not what only runs on real hardware: races
// within a warp, limits of shared memory, speed.
#pragma once

#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)

namespace cuda_on_host {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};

inline Index thread_index, block_index;
inline ucontext_t scheduler;
inline std::vector<ucontext_t> fibers;
inline std::vector<bool> finished;
inline std::function<void()> kernel;

inline void run_fiber() {
  kernel();
  finished[thread_index.x] = true;
}

inline void barrier() { swapcontext(&fibers[thread_index.x], &scheduler); }

// Runs call() as every thread of every block of a grid of one dimension.
inline void launch(int64_t blocks, unsigned threads, std::function<void()> call) {
  constexpr size_t kStack = 1 << 16;
  std::vector<char> stacks(threads * kStack);
  kernel = std::move(call);
  for (int64_t block = 0; block < blocks; ++block) {
    block_index = {static_cast<unsigned>(block)};
    fibers.assign(threads, {});
    finished.assign(threads, false);
    for (unsigned thread = 0; thread < threads; ++thread) {
      ucontext_t& fiber = fibers[thread];
      getcontext(&fiber);
      fiber.uc_stack.ss_sp = stacks.data() + thread * kStack;
      fiber.uc_stack.ss_size = kStack;
      fiber.uc_link = &scheduler;
      makecontext(&fiber, run_fiber, 0);
    }
    for (unsigned done = 0; done < threads;) {
      done = 0;
      for (unsigned thread = 0; thread < threads; ++thread) {
        thread_index = {thread};
        swapcontext(&scheduler, &fibers[thread]);
        done += finished[thread];
      }
      if (done != 0 && done != threads) {
        std::fprintf(stderr, "%u of %u threads did not reach a barrier\n", done, threads);
        std::abort();
      }
    }
  }
}

}  // namespace cuda_on_host

#define threadIdx ::cuda_on_host::thread_index
#define blockIdx ::cuda_on_host::block_index
#define __syncthreads() ::cuda_on_host::barrier()
