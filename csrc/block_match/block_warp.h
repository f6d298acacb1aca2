// What the launcher of block warping hands to the CPU kernels: plain structures, the same at every
// ISA level.
#pragma once

#include <cstdint>

namespace vqe_fast {

// The positions of a pixel that are told apart: eighths.
constexpr int64_t kParts = 8;

// Blocks of side × side pixels, [rows, columns], and their displacements in eighths of a pixel.
struct BlockGrid {
  int64_t height, width, side, rows, columns;
  const int32_t *x, *y;
};

}  // namespace vqe_fast
