// What the launchers of block matching hand to the CPU kernels: plain structures, the same at every
// ISA level.
#pragma once

#include <cstdint>

namespace vqe_fast {

constexpr int64_t kWindow = 8;      // pixels along a side of what is compared
constexpr int64_t kRange = 8;       // cells that the coarse search goes to each side
constexpr int64_t kCellMargin = 3;  // cells around a block that it compares too
constexpr int kCellPenalty = 4;     // what a cell of a coarse vector costs
constexpr int kPenalty = 2;         // what a quarter pixel off the prediction costs
constexpr int kMostPenalty = 64;    // what a vector costs that has nothing to do with it
constexpr int kLargestCandidate = 32000;

// Bytes of a plane with its edges replicated, [rows, stride]; `first` is the pixel at (0, 0).
struct BytePlane {
  uint8_t* first;
  int64_t height, width, stride;

  uint8_t* row(int64_t y) const { return first + y * stride; }
};

// Rows above and below a plane of pixels, and columns beside it: a window that lies further out
// sees what it sees there.
constexpr int64_t kBefore = 16, kAfter = 40;
// The same of cells, which the coarse search goes to as they lie.
constexpr int64_t kCellsBefore = kRange + kCellMargin;
constexpr int64_t kCellsAfter = kRange + kCellMargin + 64;

// Blocks of a row that the coarse search keeps sums of, with what vectors reach beyond them; and
// how many of them a band of rows needs.
constexpr int64_t kCoarseRows = 8;

inline int64_t coarse_stride(int64_t columns) { return (columns + 2 * kCellMargin + 15) / 16 * 16; }

inline int64_t coarse_scratch(int64_t columns) {
  return (3 * kCoarseRows + 2 * kCellMargin + 1) * coarse_stride(columns);
}

// In quarter pixels.
struct Vector2 {
  int32_t x, y;
};

inline bool operator==(Vector2 a, Vector2 b) { return a.x == b.x && a.y == b.y; }

// A frame and its reference, both with their cells, and how many blocks there are.
struct BlockMatch {
  BytePlane frame, reference, frame_cells, reference_cells;
  int64_t block_size, rows, columns;
};

}  // namespace vqe_fast
