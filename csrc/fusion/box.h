// Square windows that are clipped at the border, the same for every device.
#pragma once

#include <cstdint>

#include "common/host_device.h"

namespace vqe_fast {

constexpr int64_t kMaxRadius = 63;  // of a window

// Pixels along one side of a window around a place, as far as they lie in the image.
VQE_FAST_HOST_DEVICE inline int64_t window_side(int64_t place, int64_t radius, int64_t size) {
  const int64_t begin = place > radius ? place - radius : 0;
  const int64_t end = place + radius < size ? place + radius + 1 : size;
  return end - begin;
}

}  // namespace vqe_fast
