// Block warping on the CPU: forward a thread to some rows of blocks, backward to some of pixels.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "block_match/block_warp.h"
#include "common/cpu.h"

#define VQE_FAST_KERNELS "block_match/block_warp-inl.h"
#include "simd/foreach_isa.h"

namespace vqe_fast {
namespace {

constexpr int64_t kBand = 64;  // rows that are summed up at once

constexpr int64_t kWholeCell = 4;  // planes that move by whole pixels

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Whole pixels of `cell` from quarters of a pixel, ties away from zero, or eighths of a pixel.
int32_t eighths(int16_t quarters, int64_t cell) {
  if (cell == kWholeCell) {
    const int whole = (std::abs(static_cast<int>(quarters)) + 8) / 16;
    return 8 * (quarters < 0 ? -whole : whole);
  }
  return static_cast<int32_t>(quarters) * (cell == 1 ? 2 : 1);
}

// The displacements of each image's blocks.
class Grids {
 public:
  Grids(const Tensor& planes, const Tensor& vectors, int64_t block_size, int64_t cell)
      : side_(block_size / cell),
        height_(planes.size(2)),
        width_(planes.size(3)),
        rows_(ceil_div(height_, side_)),
        columns_(ceil_div(width_, side_)),
        moved_(vectors.numel()),
        highest_(vectors.size(0) * rows_),
        lowest_(highest_.size()) {
    const int16_t* from = vectors.const_data_ptr<int16_t>();
    for (size_t i = 0; i < moved_.size(); ++i) {
      moved_[i] = eighths(from[i], cell);
    }
    for (int64_t row = 0; row < vectors.size(0) * rows_; ++row) {
      const int32_t* y = of(row / rows_).y + row % rows_ * columns_;
      const auto [least, most] = std::minmax_element(y, y + columns_);
      highest_[row] = *least >> 3;
      lowest_[row] = *most >> 3;
    }
  }

  BlockGrid of(int64_t image) const {
    const int32_t* x = moved_.data() + 2 * image * rows_ * columns_;
    const int64_t row = image * rows_;
    return {height_,
            width_,
            side_,
            rows_,
            columns_,
            x,
            x + rows_ * columns_,
            highest_.data() + row,
            lowest_.data() + row};
  }

 private:
  int64_t side_, height_, width_, rows_, columns_;
  std::vector<int32_t> moved_, highest_, lowest_;
};

// Where each pixel of the planes of an image comes from, where all displacements are whole.
std::vector<int32_t> places_of(const BlockGrid& grid) {
  std::vector<int32_t> places(grid.height * grid.width);
  torch::stable::parallel_for(0, grid.height, 16, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const int64_t row = y / grid.side * grid.columns;
      for (int64_t x = 0; x < grid.width; ++x) {
        const int64_t at = row + x / grid.side;
        const int64_t to_y = std::clamp<int64_t>(y + (grid.y[at] >> 3), 0, grid.height - 1);
        const int64_t to_x = std::clamp<int64_t>(x + (grid.x[at] >> 3), 0, grid.width - 1);
        places[y * grid.width + x] = static_cast<int32_t>(to_y * grid.width + to_x);
      }
    }
  });
  return places;
}

// Runs run(first pixel of a plane, places, scratch of a plane) on every plane.
template <typename F>
void for_each_plane(const Tensor& planes, const Grids& grids, int64_t scratch_size, const F& run) {
  const int64_t channels = planes.size(1), pixels = planes.size(2) * planes.size(3);
  for (int64_t image = 0; image < planes.size(0); ++image) {
    const std::vector<int32_t> places = places_of(grids.of(image));
    torch::stable::parallel_for(0, channels, 1, [&](int64_t begin, int64_t end) {
      const Scratch<double> scratch(scratch_size);
      for (int64_t channel = begin; channel < end; ++channel) {
        run((image * channels + channel) * pixels, places.data(), scratch.get());
      }
    });
  }
}

template <typename T>
void fetch(const Tensor& planes, const Grids& grids, Tensor& output) {
  const T* from = planes.const_data_ptr<T>();
  T* to = output.mutable_data_ptr<T>();
  const int64_t pixels = planes.size(2) * planes.size(3);
  for_each_plane(planes, grids, 0, [&](int64_t start, const int32_t* places, double*) {
    VQE_FAST_CALL(fetch_pixels<T>, from + start, places, pixels, to + start);
  });
}

template <typename T>
void fetch_backward(const Tensor& grads, const Grids& grids, Tensor& output) {
  const T* from = grads.const_data_ptr<T>();
  T* to = output.mutable_data_ptr<T>();
  const int64_t pixels = grads.size(2) * grads.size(3);
  for_each_plane(grads, grids, pixels, [&](int64_t start, const int32_t* places, double* sums) {
    VQE_FAST_CALL(add_pixels<T>, from + start, places, pixels, sums, to + start);
  });
}

template <typename T>
void forward(const Tensor& planes, const Grids& grids, Tensor& output) {
  const int64_t channels = planes.size(1), rows = grids.of(0).rows;
  const T* from = planes.const_data_ptr<T>();
  T* to = output.mutable_data_ptr<T>();
  torch::stable::parallel_for(
      0, planes.size(0) * channels * rows, 4, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t plane = i / rows, start = plane * planes.size(2) * planes.size(3);
          const BlockGrid grid = grids.of(plane / channels);
          VQE_FAST_CALL(warp_row<T>, grid, i % rows, from + start, to + start);
        }
      });
}

template <typename T>
void backward(const Tensor& grads, const Grids& grids, Tensor& output) {
  const int64_t channels = grads.size(1), height = grads.size(2), width = grads.size(3);
  const int64_t bands = ceil_div(height, kBand);
  const T* from = grads.const_data_ptr<T>();
  T* to = output.mutable_data_ptr<T>();
  torch::stable::parallel_for(
      0, grads.size(0) * channels * bands, 1, [&](int64_t part, int64_t end) {
        const Scratch<double> sums(kBand * width);
        for (; part < end; ++part) {
          const int64_t plane = part / bands, first = part % bands * kBand;
          const int64_t last = std::min(first + kBand, height);
          const BlockGrid grid = grids.of(plane / channels);
          const GradientBand band{first, last, sums.get()};
          VQE_FAST_CALL(unwarp_band<T>, grid, band, from + plane * height * width,
                        to + (plane * height + first) * width);
        }
      });
}

Tensor block_warp(const Tensor& planes, const Tensor& vectors, int64_t block_size, int64_t cell) {
  const Tensor from = torch::stable::contiguous(planes);
  const Tensor moved = torch::stable::contiguous(vectors);
  Tensor output = on_large_pages(torch::stable::new_empty(from, from.sizes()));
  if (output.numel() > 0) {
    const Grids grids(from, moved, block_size, cell);
    THO_DISPATCH_V2(from.scalar_type(), "block_warp", AT_WRAP([&] {
                      cell == kWholeCell ? fetch<scalar_t>(from, grids, output)
                                         : forward<scalar_t>(from, grids, output);
                    }),
                    VQE_FAST_FLOAT_TYPES);
  }
  return output;
}

Tensor block_warp_backward(const Tensor& grad_output, const Tensor& vectors, int64_t block_size,
                           int64_t cell) {
  const Tensor grads = torch::stable::contiguous(grad_output);
  const Tensor moved = torch::stable::contiguous(vectors);
  Tensor output = on_large_pages(torch::stable::new_empty(grads, grads.sizes()));
  if (output.numel() > 0) {
    const Grids grids(grads, moved, block_size, cell);
    THO_DISPATCH_V2(grads.scalar_type(), "block_warp_backward", AT_WRAP([&] {
                      cell == kWholeCell ? fetch_backward<scalar_t>(grads, grids, output)
                                         : backward<scalar_t>(grads, grids, output);
                    }),
                    VQE_FAST_FLOAT_TYPES);
  }
  return output;
}

}  // namespace
}  // namespace vqe_fast

STABLE_TORCH_LIBRARY_IMPL(vqe_fast, CPU, library) {
  library.impl("block_warp", TORCH_BOX(&vqe_fast::block_warp));
  library.impl("block_warp_backward", TORCH_BOX(&vqe_fast::block_warp_backward));
}
