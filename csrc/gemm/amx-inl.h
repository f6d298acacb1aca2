// Products of pairs of bfloat16 in tiles (AMX), at the level that has them.
#if defined(VQE_FAST_GEMM_AMX_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_GEMM_AMX_INL_H_
#undef VQE_FAST_GEMM_AMX_INL_H_
#else
#define VQE_FAST_GEMM_AMX_INL_H_
#endif

#include <cstdint>

#include "gemm/microkernel-inl.h"
#include "simd/isa_level.h"

#if VQE_FAST_LEVEL == 4

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

// The compiler knows neither that a load of tiles reads memory nor how much of it a configuration
// is: what was stored before must be there.
inline void finish_stores(const void* memory) { asm volatile("" : : "r"(memory) : "memory"); }

// Rows and columns of a product: two tiles by two.
constexpr int64_t kTileMicrokernel = 32;

// While it lives this thread has eight tiles of 16 rows of 64 bytes.
class Tiles {
 public:
  Tiles() {
    alignas(64) uint8_t config[64] = {1};
    for (int tile = 0; tile < 8; ++tile) {
      config[16 + 2 * tile] = 64;
      config[48 + tile] = 16;
    }
    finish_stores(config);
    _tile_loadconfig(config);
  }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

// c = a b, or c + a b, over depth pairs, a multiple of 16.
template <Epilogue kEpilogue>
void tile_microkernel(const uint32_t* a, int64_t a_stride, const uint32_t* b, int64_t b_stride,
                      int64_t depth, float* c, int64_t c_stride) {
  const int64_t c_bytes = 4 * c_stride;
  float* below = c + 16 * c_stride;
  finish_stores(b);
  if constexpr (kEpilogue == Epilogue::store) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    static_assert(kEpilogue == Epilogue::add);
    _tile_loadd(0, c, c_bytes);
    _tile_loadd(1, c + 16, c_bytes);
    _tile_loadd(2, below, c_bytes);
    _tile_loadd(3, below + 16, c_bytes);
  }
  for (int64_t k = 0; k < depth; k += 16) {
    const uint32_t* rows = b + k * b_stride;
    _tile_loadd(4, a + k, 4 * a_stride);
    _tile_loadd(6, rows, 4 * b_stride);
    _tile_loadd(7, rows + 16, 4 * b_stride);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + 16 * a_stride + k, 4 * a_stride);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, c_bytes);
  _tile_stored(1, c + 16, c_bytes);
  _tile_stored(2, below, c_bytes);
  _tile_stored(3, below + 16, c_bytes);
}

// The same for as many rows and columns as are asked for, rounded up to whole products.
template <Epilogue kEpilogue>
inline void gemm_tiles(const uint32_t* a, int64_t a_stride, int64_t rows, const uint32_t* b,
                       int64_t b_stride, int64_t columns, int64_t depth, float* c,
                       int64_t c_stride) {
  for (int64_t i = 0; i < columns; i += kTileMicrokernel) {
    for (int64_t r = 0; r < rows; r += kTileMicrokernel) {
      tile_microkernel<kEpilogue>(a + r * a_stride, a_stride, b + i, b_stride, depth,
                                  c + r * c_stride + i, c_stride);
    }
  }
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif

#endif
