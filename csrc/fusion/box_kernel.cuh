// Sums over square windows that are clipped at the border, of maps in float64, on a GPU.
//
// A block walks down a band of rows, a thread to four columns. The sums of each column gain the row
// that enters the window and lose the one that leaves it; then the threads share the sums of their
// columns, and that of all four of them: a row of a window is whole groups of four, and a few
// columns at either end.
#pragma once

#include <cstdint>

#include "fusion/box.h"
#include "fusion/columns_kernel.cuh"

namespace vqe_fast {

constexpr int kBoxThreads = 64;
constexpr int kBoxRows = 64;

// What is known when a kernel of windows is compiled. kRadius is kAnyRadius for one that is not.
constexpr int kAnyRadius = -1;

template <int kTheRadius, int kTheChannels, bool kIsAligned>
struct BoxVariant {
  static constexpr int kRadius = kTheRadius, kChannels = kTheChannels;
  static constexpr bool kAligned = kIsAligned;
};

// How images are split into blocks.
struct BoxGrid {
  FusionSize size;
  int radius;
  double shares[2 * kMaxRadius + 2];  // [i]: 1 / i

  static BoxGrid of(const FusionSize& size, int radius) {
    BoxGrid grid{size, radius, {}};
    for (int side = 1; side <= 2 * radius + 1; ++side) {
      grid.shares[side] = 1.0 / side;
    }
    return grid;
  }

  // A window reaches this far beyond a block, in whole groups of columns.
  __host__ __device__ static constexpr int halo(int radius) {
    return parts_of(radius, kColumns) * kColumns;
  }
  __host__ __device__ int strip() const { return kBoxThreads * kColumns - 2 * halo(radius); }
  __host__ __device__ int strips() const { return parts_of(size.width, strip()); }
  __host__ __device__ int bands() const { return parts_of(size.height, kBoxRows); }
  __host__ __device__ int64_t blocks_of_image() const {
    return static_cast<int64_t>(strips()) * bands();
  }

  // One over the pixels of the window around a place, along one side.
  __device__ double share(int place, int places) const {
    return shares[window_side(place, radius, places)];
  }
};

// Where a thread works.
struct BoxPlace {
  int image;
  int row_begin, row_end;
  int column, count;    // the first column that it sums up, and how many lie in the image
  int centre, outputs;  // the column that its first window is centred at, and how many it has

  // The images of several frames follow each other.
  template <int kRadius>
  __device__ static BoxPlace of(const BoxGrid& grid) {
    const int radius = kRadius == kAnyRadius ? grid.radius : kRadius;
    const unsigned strips = grid.strips(), bands = grid.bands();
    const unsigned band = blockIdx.x / strips, strip = blockIdx.x - band * strips;
    const unsigned image = band / bands;
    BoxPlace place;
    place.image = image;
    place.row_begin = (band - image * bands) * kBoxRows;
    place.row_end = place.row_begin + kBoxRows < grid.size.height ? place.row_begin + kBoxRows
                                                                  : grid.size.height;
    const int begin = strip * grid.strip(), end = begin + grid.strip();
    place.centre = begin + static_cast<int>(threadIdx.x) * kColumns;
    place.column = place.centre - BoxGrid::halo(radius);
    place.count = columns_inside(place.column, grid.size.width);
    place.outputs = place.centre < end ? columns_inside(place.centre, grid.size.width) : 0;
    return place;
  }
};

// The sums of four columns, or over four windows, of each map.
template <int kMaps>
struct BoxSums {
  double of[kMaps][kColumns] = {};
};

// Of one map, what the threads share: the sums of each one's columns, and that of all four.
using SharedSums = double[kColumns + 1][kBoxThreads];

// Where sums start that the compiler unrolls: unlike 0, it is dropped.
constexpr double kNothing = -0.0;

// The sums over the four windows that begin in a thread's columns.
template <int kRadius>
__device__ void add_windows(const SharedSums& shared, const double* own, int any_radius,
                            double* windows) {
  const int thread = threadIdx.x, radius = kRadius == kAnyRadius ? any_radius : kRadius;
  // Places are counted from the thread's first column on.
  const int begin = BoxGrid::halo(radius) - radius, end = begin + 2 * radius + 1;
  const int first = (begin + 2 * kColumns - 2) / kColumns, last = end / kColumns;
  const auto column = [&](int place) {
    if constexpr (kRadius != kAnyRadius) {
      if (place < kColumns) {
        return own[place];
      }
    }
    return shared[place % kColumns][thread + place / kColumns];
  };
  if (first >= last) {
#pragma unroll
    for (int k = 0; k < kColumns; ++k) {
      windows[k] = kNothing;
      for (int place = begin + k; place < end + k; ++place) {
        windows[k] += column(place);
      }
    }
    return;
  }
  double whole = shared[kColumns][thread + first];
  for (int group = first + 1; group < last; ++group) {
    whole += shared[kColumns][thread + group];
  }
  double before = kNothing, after = kNothing;
  for (int place = kColumns * first - 1; place >= begin + kColumns; --place) {
    before += column(place);
  }
#pragma unroll
  for (int k = kColumns - 1; k >= 0; --k) {
    if (begin + k < kColumns * first) {
      before += column(begin + k);
    }
    windows[k] = before + whole;
  }
  for (int place = kColumns * last; place < end; ++place) {
    after += column(place);
  }
#pragma unroll
  for (int k = 0; k < kColumns; ++k) {
    windows[k] += after;
    after += k + 1 < kColumns ? column(end + k) : kNothing;
  }
}

// Calls sink(row, windows) for every row of the block with the sums over the four windows around a
// thread's centres. Source: fetch(row) loads what a row holds in a thread's columns, enter(row,
// fetched) makes the values of the maps of it and may keep them, leave(row, values) gives those
// that have entered before and says whether all of them are finite.
template <typename Variant, int kMaps, typename Source, typename Sink>
__device__ void box_sums(const BoxGrid& grid, const BoxPlace& place, Source& source,
                         const Sink& sink) {
  constexpr int kRadius = Variant::kRadius;
  __shared__ SharedSums shared[2][kMaps];
  const int thread = threadIdx.x, radius = kRadius == kAnyRadius ? grid.radius : kRadius;
  const int height = grid.size.height;
  BoxSums<kMaps> sums;
  typename Source::Fetched next{};
  int buffer = 0;
  for (int row = place.row_begin; row < place.row_end; ++row) {
    const int enters = row + radius, leaves = row - radius - 1;
    bool anew = row == place.row_begin;
    if (place.count > 0) {
      if (!anew) {
        BoxSums<kMaps> gained, lost;
        if (leaves >= 0) {
          // What is infinite or not a number would stay for good.
          anew = !source.leave(leaves, lost);
        }
        if (enters < height) {
          gained = source.enter(enters, next);
        }
        for (int map = 0; map < kMaps; ++map) {
          for (int k = 0; k < kColumns; ++k) {
            sums.of[map][k] += gained.of[map][k] - lost.of[map][k];
          }
        }
      }
      if (anew) {
        sums = {};
        for (int i = row > radius ? row - radius : 0; i <= enters && i < height; ++i) {
          const BoxSums<kMaps> gained = source.enter(i, source.fetch(i));
          for (int map = 0; map < kMaps; ++map) {
            for (int k = 0; k < kColumns; ++k) {
              sums.of[map][k] += gained.of[map][k];
            }
          }
        }
      }
      if (enters + 1 < height && row + 1 < place.row_end) {
        next = source.fetch(enters + 1);
      }
    }
    for (int map = 0; map < kMaps; ++map) {
      double all = kNothing;
      for (int k = kColumns - 1; k >= 0; --k) {
        shared[buffer][map][k][thread] = sums.of[map][k];
        all += sums.of[map][k];
      }
      shared[buffer][map][kColumns][thread] = all;
    }
    __syncthreads();
    if (place.outputs > 0) {
      BoxSums<kMaps> windows;
#pragma unroll
      for (int map = 0; map < kMaps; ++map) {
        add_windows<kRadius>(shared[buffer][map], sums.of[map], radius, windows.of[map]);
      }
      sink(row, windows);
    }
    buffer = 1 - buffer;
  }
}

// The least or the largest of the values of a block, for its thread 0.
template <bool kLargest, int kThreads, typename C>
__device__ C extreme_of_block(C value) {
  __shared__ C values[kThreads];
  const int thread = threadIdx.x;
  values[thread] = value;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (thread < step) {
      const C other = values[thread + step], mine = values[thread];
      values[thread] = (kLargest ? other > mine : other < mine) || other != other ? other : mine;
    }
    __syncthreads();
  }
  const C extreme = values[0];
  __syncthreads();
  return extreme;
}

}  // namespace vqe_fast
