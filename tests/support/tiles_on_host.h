// Tiles of bfloat16 pairs for processors that have none: what the AMX instructions do, in plain
// C++. Include it after <immintrin.h> and before the kernels.
#pragma once

#include <cstdint>
#include <cstring>

namespace tiles_on_host {

constexpr int kTiles = 8, kRows = 16, kBytes = 64;
struct Tile {
  alignas(64) char bytes[kRows][kBytes];
};
inline thread_local Tile tiles[kTiles];
inline thread_local bool configured = false;

// Only the one configuration that the kernels use: all tiles whole.
inline void load_config(const void* from) {
  unsigned char config[64];
  std::memcpy(config, from, sizeof config);
  configured = config[0] == 1 && config[1] == 0;
  for (int tile = 0; tile < kTiles; ++tile) {
    configured = configured && config[16 + 2 * tile] == kBytes && config[17 + 2 * tile] == 0 &&
                 config[48 + tile] == kRows;
  }
}

inline Tile& at(int tile) {
  if (!configured) {
    __builtin_trap();
  }
  return tiles[tile];
}

inline void load(int tile, const void* from, int64_t step) {
  for (int row = 0; row < kRows; ++row) {
    std::memcpy(at(tile).bytes[row], static_cast<const char*>(from) + row * step, kBytes);
  }
}

inline void store(int tile, void* to, int64_t step) {
  for (int row = 0; row < kRows; ++row) {
    std::memcpy(static_cast<char*>(to) + row * step, at(tile).bytes[row], kBytes);
  }
}

inline float widen(const char* half) {
  uint16_t bits;
  std::memcpy(&bits, half, sizeof bits);
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

inline void multiply_add(int to, int left, int right) {
  for (int row = 0; row < kRows; ++row) {
    for (int column = 0; column < kBytes / 4; ++column) {
      float sum;
      std::memcpy(&sum, at(to).bytes[row] + 4 * column, sizeof sum);
      for (int k = 0; k < kBytes / 4; ++k) {
        const char* a = at(left).bytes[row] + 4 * k;
        const char* b = at(right).bytes[k] + 4 * column;
        sum += widen(a) * widen(b);
        sum += widen(a + 2) * widen(b + 2);
      }
      std::memcpy(at(to).bytes[row] + 4 * column, &sum, sizeof sum);
    }
  }
}

}  // namespace tiles_on_host

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#define _tile_loadconfig(config) tiles_on_host::load_config(config)
#define _tile_release() (tiles_on_host::configured = false)
#define _tile_zero(tile) (tiles_on_host::at(tile) = {})
#define _tile_loadd(tile, from, step) tiles_on_host::load(tile, from, step)
#define _tile_stored(tile, to, step) tiles_on_host::store(tile, to, step)
#define _tile_dpbf16ps(to, left, right) tiles_on_host::multiply_add(to, left, right)
