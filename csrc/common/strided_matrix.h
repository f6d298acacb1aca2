// A matrix somewhere in memory.
#pragma once

#include <cstdint>

namespace vqe_fast {

// Row r, column c is at data[r * row_step + c * column_step].
template <typename T>
struct Matrix {
  const T* data;
  int64_t row_step, column_step;

  const T* at(int64_t row, int64_t column) const {
    return data + row * row_step + column * column_step;
  }
};

}  // namespace vqe_fast
