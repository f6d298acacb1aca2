// Compiles the file VQE_FAST_KERNEL_BODY once for every ISA level, each time in a namespace of
// that level's name and under that level's compiler target; VQE_FAST_CALL then runs the one for
// this machine. Included once by each <op>_cpu.cpp, after every other header: whatever a body
// includes by itself would be compiled for the wrong target. VQE_FAST_BFLOAT16_LEVELS, defined
// before it, adds the levels that have instructions for bfloat16, for VQE_FAST_CALL_BFLOAT16.
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <type_traits>
#include <utility>

#include "simd/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define VQE_FAST_LEVEL 0
namespace vqe_fast::baseline {
#include "simd/blocks-inl.h"
#include "simd/vector-inl.h"
#include VQE_FAST_KERNEL_BODY
}  // namespace vqe_fast::baseline
#undef VQE_FAST_LEVEL

#if defined(__x86_64__)

#define VQE_FAST_LEVEL 1
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif
namespace vqe_fast::avx2 {
#include "simd/blocks-inl.h"
#include "simd/vector-inl.h"
#include VQE_FAST_KERNEL_BODY
}  // namespace vqe_fast::avx2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef VQE_FAST_LEVEL

#define VQE_FAST_LEVEL 2
#if defined(__clang__)
#pragma clang attribute push(                                                    \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#endif
namespace vqe_fast::avx512 {
#include "simd/blocks-inl.h"
#include "simd/vector-inl.h"
#include VQE_FAST_KERNEL_BODY
}  // namespace vqe_fast::avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef VQE_FAST_LEVEL

#if defined(VQE_FAST_BFLOAT16_LEVELS)

#define VQE_FAST_LEVEL 3
#if defined(__clang__)
#pragma clang attribute push(                                                               \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")
#pragma GCC target("prefer-vector-width=512")
#endif
namespace vqe_fast::avx512_bf16 {
#include "simd/blocks-inl.h"
#include "simd/vector-inl.h"
#include VQE_FAST_KERNEL_BODY
}  // namespace vqe_fast::avx512_bf16
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef VQE_FAST_LEVEL

#define VQE_FAST_LEVEL 4
#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((                                                                                \
        target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")
#pragma GCC target("amx-tile,amx-bf16,prefer-vector-width=512")
#endif
namespace vqe_fast::amx {
#include "simd/blocks-inl.h"
#include "simd/vector-inl.h"
#include VQE_FAST_KERNEL_BODY
}  // namespace vqe_fast::amx
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef VQE_FAST_LEVEL

#endif

#define VQE_FAST_CALL(function, ...)               \
  do {                                             \
    const auto level = ::vqe_fast::isa_level();    \
    if (level >= ::vqe_fast::Isa::avx512) {        \
      ::vqe_fast::avx512::function(__VA_ARGS__);   \
    } else if (level == ::vqe_fast::Isa::avx2) {   \
      ::vqe_fast::avx2::function(__VA_ARGS__);     \
    } else {                                       \
      ::vqe_fast::baseline::function(__VA_ARGS__); \
    }                                              \
  } while (false)

#else

#define VQE_FAST_CALL(function, ...) ::vqe_fast::baseline::function(__VA_ARGS__)

#endif

// For functions of bfloat16 that use instructions for it where there are any.
#if defined(__x86_64__) && defined(VQE_FAST_BFLOAT16_LEVELS)

#define VQE_FAST_CALL_BFLOAT16(function, ...)           \
  do {                                                  \
    const auto level = ::vqe_fast::isa_level();         \
    if (level == ::vqe_fast::Isa::amx) {                \
      ::vqe_fast::amx::function(__VA_ARGS__);           \
    } else if (level == ::vqe_fast::Isa::avx512_bf16) { \
      ::vqe_fast::avx512_bf16::function(__VA_ARGS__);   \
    } else {                                            \
      VQE_FAST_CALL(function, __VA_ARGS__);             \
    }                                                   \
  } while (false)

#else

#define VQE_FAST_CALL_BFLOAT16(function, ...) VQE_FAST_CALL(function, __VA_ARGS__)

#endif
