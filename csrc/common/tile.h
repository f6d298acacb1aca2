// Parts of an image that are computed by themselves.
#pragma once

#include <cstdint>
#include <vector>

namespace vqe_fast {

struct Tile {
  int64_t row_begin, row_end, column_begin, column_end;

  int64_t rows() const { return row_end - row_begin; }
  int64_t columns() const { return column_end - column_begin; }
};

// An image in tiles of about equal size, no larger than the given one.
inline std::vector<Tile> tiles_of(int64_t height, int64_t width, int64_t rows, int64_t columns) {
  const int64_t bands = (height + rows - 1) / rows;
  const int64_t strips = (width + columns - 1) / columns;
  std::vector<Tile> tiles;
  for (int64_t band = 0; band < bands; ++band) {
    for (int64_t strip = 0; strip < strips; ++strip) {
      tiles.push_back({height * band / bands, height * (band + 1) / bands, width * strip / strips,
                       width * (strip + 1) / strips});
    }
  }
  return tiles;
}

}  // namespace vqe_fast
