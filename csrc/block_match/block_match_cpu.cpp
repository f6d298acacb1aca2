// Block matching on the CPU: each stage splits the frame into rows of blocks, one thread to some.
#include <algorithm>
#include <optional>
#include <tuple>
#include <vector>

#include "block_match/block_match.h"
#include "common/cpu.h"
#include "common/planes.h"

#define VQE_FAST_KERNELS "block_match/block_match-inl.h"
#include "simd/foreach_isa.h"

namespace vqe_fast {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The memory of a plane with its margins.
class Padded {
 public:
  Padded(int64_t height, int64_t width, int64_t before, int64_t after)
      : bytes_((before + height + after) * (before + width + after)),
        plane_{bytes_.get() + before * (before + width + after) + before, height, width,
               before + width + after} {}

  const BytePlane& plane() const { return plane_; }

 private:
  Scratch<uint8_t> bytes_;
  BytePlane plane_;
};

template <typename F>
void for_each_row(int64_t begin, int64_t end, int64_t grain, const F& run) {
  torch::stable::parallel_for(begin, end, grain, [&](int64_t from, int64_t to) {
    for (int64_t row = from; row < to; ++row) {
      run(row);
    }
  });
}

constexpr int64_t kGrain = 4;  // rows of blocks that are worth a thread

Vector2 whole_pixels(int64_t x, int64_t y) {
  const auto nearest = [](int64_t value) {
    const int64_t limited = std::clamp<int64_t>(value, -kLargestCandidate, kLargestCandidate);
    return static_cast<int32_t>((limited < 0 ? limited - 2 : limited + 2) / 4 * 4);
  };
  return {nearest(x), nearest(y)};
}

template <typename T>
void match(const Tensor& frames, const Tensor& references, const int64_t* candidates,
           int64_t block_size, int16_t* vectors, float* errors) {
  const int64_t height = frames.size(2), width = frames.size(3);
  const Padded frame(height, width, kBefore, kAfter), reference(height, width, kBefore, kAfter);
  const int64_t cell_rows = ceil_div(height, 4), cell_columns = ceil_div(width, 4);
  const Padded frame_cells(cell_rows, cell_columns, kCellsBefore, kCellsAfter),
      reference_cells(cell_rows, cell_columns, kCellsBefore, kCellsAfter);
  const BlockMatch call{frame.plane(),
                        reference.plane(),
                        frame_cells.plane(),
                        reference_cells.plane(),
                        block_size,
                        ceil_div(height, block_size),
                        ceil_div(width, block_size)};
  const int64_t blocks = call.rows * call.columns;
  std::vector<Vector2> coarse(blocks), whole(blocks), parts(blocks),
      given(candidates == nullptr ? 0 : blocks);
  for (int64_t image = 0; image < frames.size(0); ++image) {
    const auto own = plane_of<T>(frames, image, 0), other = plane_of<T>(references, image, 0);
    for_each_row(-kBefore, height + kAfter, 16, [&](int64_t y) {
      VQE_FAST_CALL(quantise_row<T>, own, y, call.frame);
      VQE_FAST_CALL(quantise_row<T>, other, y, call.reference);
    });
    for_each_row(-kCellsBefore, cell_rows + kCellsAfter, 16, [&](int64_t y) {
      VQE_FAST_CALL(cell_row, call.frame, y, call.frame_cells);
      VQE_FAST_CALL(cell_row, call.reference, y, call.reference_cells);
    });
    for_each_row(0, ceil_div(call.rows, kCoarseRows), 1, [&](int64_t band) {
      const Scratch<uint16_t> scratch(coarse_scratch(call.columns));
      const int64_t begin = band * kCoarseRows, end = std::min(begin + kCoarseRows, call.rows);
      VQE_FAST_CALL(coarse_rows, call, begin, end, scratch.get(), coarse.data());
    });
    for (size_t i = 0; i < given.size(); ++i) {
      const int64_t* x = candidates + 2 * image * blocks + i;
      given[i] = whole_pixels(x[0], x[blocks]);
    }
    const Vector2* starts = candidates == nullptr ? nullptr : given.data();
    for_each_row(0, call.rows, kGrain, [&](int64_t row) {
      VQE_FAST_CALL(whole_row, call, row, coarse.data(), starts, whole.data());
    });
    for_each_row(0, call.rows, kGrain, [&](int64_t row) {
      VQE_FAST_CALL(parts_row, call, row, whole.data(), parts.data());
    });
    for_each_row(0, call.rows, kGrain, [&](int64_t row) {
      int16_t* x = vectors + 2 * image * blocks + row * call.columns;
      float* error = errors + image * blocks + row * call.columns;
      VQE_FAST_CALL(last_row, call, row, parts.data(), x, x + blocks, error);
    });
  }
}

std::tuple<Tensor, Tensor> block_match(const Tensor& frame, const Tensor& reference,
                                       const std::optional<Tensor>& candidates,
                                       int64_t block_size) {
  const int64_t batch = frame.size(0);
  const int64_t rows = ceil_div(frame.size(2), block_size);
  const int64_t columns = ceil_div(frame.size(3), block_size);
  Tensor vectors = torch::stable::new_empty(frame, {batch, 2, rows, columns}, ScalarType::Short);
  Tensor errors = torch::stable::new_empty(frame, {batch, 1, rows, columns}, ScalarType::Float);
  const Tensor given = candidates ? torch::stable::contiguous(*candidates) : vectors;
  const int64_t* starts = candidates ? given.const_data_ptr<int64_t>() : nullptr;
  THO_DISPATCH_V2(frame.scalar_type(), "block_match", AT_WRAP([&] {
                    match<scalar_t>(frame, reference, starts, block_size,
                                    vectors.mutable_data_ptr<int16_t>(),
                                    errors.mutable_data_ptr<float>());
                  }),
                  VQE_FAST_FLOAT_TYPES, ScalarType::Byte);
  return {vectors, errors};
}

}  // namespace
}  // namespace vqe_fast

STABLE_TORCH_LIBRARY_IMPL(vqe_fast, CPU, library) {
  library.impl("block_match", TORCH_BOX(&vqe_fast::block_match));
}
