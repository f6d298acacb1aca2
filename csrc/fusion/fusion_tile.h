// What the fusion launcher hands to the CPU kernels: plain structures, the same at every ISA level.
#pragma once

#include <cstdint>

#include "common/strided_matrix.h"

namespace vqe_fast {

// A frame of luma or of red, green and blue.
template <typename T>
struct FrameView {
  StridedMatrix<T> planes[3];
  int64_t channels, height, width;
};

// One over the number of pixels of a window along each side, for the rows and columns of its
// centre.
struct WindowShares {
  int64_t radius;
  const double *rows, *columns;
};

}  // namespace vqe_fast
