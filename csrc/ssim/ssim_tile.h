// What the SSIM launcher hands to the CPU kernels: plain structures, the same at every ISA level.
#pragma once

#include <cstdint>

#include "ssim/ssim.h"

namespace vqe_fast {

// What to compute over a tile; null leaves a thing out.
template <typename C>
struct SsimWork {
  C* similarity;          // [map_height, map_width]: SSIM
  const C* grad_map;      // [map_height, map_width]: gradient of each similarity, beside grad 1
  C grad;                 // gradient of every similarity
  C grad_square;          // gradient of every squared difference
  C* grad_input;          // [height, width]
  C* grad_target;         // [height, width]; only beside grad_input
  double* dissimilarity;  // sum of 1 - SSIM; not beside similarity
  double* squares;        // sum of squared differences
};

// The widest tile; rows that are computed together; rows that a buffer of rows holds.
constexpr int64_t kSsimColumns = 128;
constexpr int64_t kSsimRows = 4;
constexpr int64_t kSsimBuffer = 64;

// Elements from one row of a buffer to the next: the tile, a window on each side, and what the
// last vector of a row goes beyond it.
constexpr int64_t ssim_stride(int64_t window) { return kSsimColumns + 2 * (window - 1) + 28; }

// Elements of scratch memory: buffers of two, four and four maps, and six maps of a few rows.
constexpr int64_t ssim_scratch(int64_t window) {
  return (10 * kSsimBuffer + 6 * kSsimRows) * ssim_stride(window);
}

}  // namespace vqe_fast
