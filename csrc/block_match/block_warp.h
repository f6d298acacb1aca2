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
  const int32_t *highest, *lowest;  // [rows]: whole pixels that blocks of a row go down, the least
};  // and the most

// Rows of a plane that gradients are added to, from `begin` to `end`.
struct GradientBand {
  int64_t begin, end;
  double* sums;  // [end - begin, width]
};

}  // namespace vqe_fast
