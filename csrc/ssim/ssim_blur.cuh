// Gaussian sums along rows and columns, in registers: what a thread of the SSIM kernels does to a
// map. A window that the kernel is not compiled for is 0 here, its size a number of the launch.
//
// Includes no CUDA header: the tests run it on the host.
#pragma once

#include <cstdint>

#include "ssim/ssim.h"

namespace vqe_fast {

// Neighbours in memory that are loaded and stored at once.
template <typename T, int kCount>
struct alignas(kCount * sizeof(T) < 16 ? kCount * sizeof(T) : 16) SsimVector {
  T at[kCount];
};

template <int kCount, typename T>
__device__ SsimVector<T, kCount> ssim_load(const T* from) {
  return *reinterpret_cast<const SsimVector<T, kCount>*>(from);
}

template <int kCount, typename T>
__device__ void ssim_store(T* to, const SsimVector<T, kCount>& values) {
  *reinterpret_cast<SsimVector<T, kCount>*>(to) = values;
}

// What the sums along a row need for four columns.
template <typename C, int kWindow>
struct SsimRow {
  static constexpr int kWidth = 4;
  static constexpr int kLoaded = (kWidth + kWindow - 1 + 3) / 4 * 4;
  C values[kLoaded];

  // Columns that are read, from the first on.
  __device__ static constexpr int loaded(int /*window*/) { return kLoaded; }

  __device__ SsimRow(const C* from, int /*window*/) {
#pragma unroll
    for (int i = 0; i < kLoaded; i += 4) {
      const auto four = ssim_load<4>(from + i);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        values[i + j] = four.at[j];
      }
    }
  }

  __device__ void square() {
#pragma unroll
    for (int i = 0; i < kLoaded; ++i) {
      values[i] *= values[i];
    }
  }

  __device__ C sum(int column, const C* taps) const {
    C sum = 0;
#pragma unroll
    for (int j = 0; j < kWindow; ++j) {
      sum += taps[j] * values[column + j];
    }
    return sum;
  }
};

// One column: as many values as the window has are read where they lie.
template <typename C>
struct SsimRow<C, 0> {
  static constexpr int kWidth = 1;
  const C* from;
  int window;
  bool squared = false;

  __device__ static constexpr int loaded(int window) { return window; }

  __device__ SsimRow(const C* from, int window) : from(from), window(window) {}

  __device__ void square() { squared = true; }

  __device__ C sum(int /*column*/, const C* taps) const {
    C sum = 0;
    for (int j = 0; j < window; ++j) {
      sum += taps[j] * (squared ? from[j] * from[j] : from[j]);
    }
    return sum;
  }
};

// Blurs a column as its rows come: a sum for each window that has begun.
template <typename C, int kWindow>
struct SsimColumn {
  static constexpr int kSums = (kWindow != 0 ? kWindow : kMaxWindow) - 1;
  C open[kSums] = {};

  // Takes the next row, returns the sum over the window that ends there.
  __device__ C push(C value, const C* taps, int window) {
    C closed = taps[0] * value;
    if (window > 1) {
      closed += open[0];
    }
#pragma unroll
    for (int j = 0; j < kSums; ++j) {
      // Behind the window that begins lie only numbers that nothing reads.
      const C earlier = j + 1 < kSums && j != window - 2 ? open[j + 1] : C(0);
      open[j] = earlier + taps[j + 1] * value;
    }
    return closed;
  }
};

}  // namespace vqe_fast
