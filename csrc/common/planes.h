// Planes of a (B, C, H, W) tensor.
#pragma once

#include "common/strided_matrix.h"
#include "common/tensor.h"

namespace vqe_fast {

template <typename T>
StridedMatrix<T> plane_of(const Tensor& images, int64_t image, int64_t channel) {
  const int64_t start = image * images.stride(0) + channel * images.stride(1);
  return {images.const_data_ptr<T>() + start, images.stride(2), images.stride(3)};
}

}  // namespace vqe_fast
