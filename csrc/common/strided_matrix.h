// A matrix somewhere in memory.
#pragma once

#include <cstdint>

namespace vqe_fast {

// Row r, column c is at data[r * row_stride + c * column_stride].
template <typename T>
struct StridedMatrix {
  const T* data;
  int64_t row_stride, column_stride;

  const T* at(int64_t row, int64_t column) const {
    return data + row * row_stride + column * column_stride;
  }
};

}  // namespace vqe_fast
