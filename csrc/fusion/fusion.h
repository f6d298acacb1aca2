// What fusion computes, the same for every device.
#pragma once

#include <cstdint>

#include "common/host_device.h"

namespace vqe_fast {

constexpr int64_t kMaxTaps = 33;   // of a blur
constexpr int kMaxNeighbours = 2;  // of a frame whose variances are put between their bounds

// Luma of red, green and blue by BT.601.
VQE_FAST_HOST_DEVICE inline double luma_weight(int64_t channel) {
  return channel == 0 ? 0.299 : channel == 1 ? 0.587 : 0.114;
}

// A difference mean(x^2) - mean(x)^2 below this share of mean(x^2) is nothing but rounding.
constexpr double kVarianceRounding = 1.0 / (int64_t{1} << 44);

// The pixel that a place beyond the border stands for: mirrored at the outermost one, as often as
// need be.
VQE_FAST_HOST_DEVICE inline int64_t mirrored(int64_t place, int64_t size) {
  while (size > 1 && (place < 0 || place >= size)) {
    place = place < 0 ? -place : 2 * (size - 1) - place;
  }
  return size > 1 ? place : 0;
}

// x + amount * (x - blur(x)), or its transpose, which takes gradients back.
template <typename C>
struct Sharpening {
  C amount;
  int64_t size;  // odd
  C taps[kMaxTaps];
  bool transposed;

  // How far it reaches: nowhere if there is nothing to do.
  VQE_FAST_HOST_DEVICE int64_t radius() const { return amount == 0 ? 0 : size / 2; }

  // Whether nothing is mirrored into a blur at a place.
  VQE_FAST_HOST_DEVICE bool inside(int64_t place, int64_t places) const {
    return place > radius() && place < places - 1 - radius();
  }

  // What the place `from` counts in the blur at the place `to`; nothing beyond the radius.
  VQE_FAST_HOST_DEVICE C weight(int64_t to, int64_t from, int64_t places) const {
    if (from < 0 || from >= places) {
      return 0;
    }
    if (inside(to, places)) {
      return taps[from - to + radius()];
    }
    const int64_t pixel = transposed ? to : from, centre = transposed ? from : to;
    C sum = 0;
    for (int64_t k = 0; k < size; ++k) {
      sum += mirrored(centre + k - radius(), places) == pixel ? taps[k] : C(0);
    }
    return sum;
  }
};

// The mask of a frame: where its variance lies between the least and the largest of three frames;
// 0 everywhere if all of them are flat.
template <typename C>
struct VarianceRange {
  C low, range;

  VQE_FAST_HOST_DEVICE static VarianceRange of(const C* low_and_high) {
    const C range = low_and_high[1] - low_and_high[0];
    return {low_and_high[0], range == 0 ? C(1) : range};
  }
  VQE_FAST_HOST_DEVICE C mask(C variance) const { return (variance - low) / range; }
};

}  // namespace vqe_fast
