// Compiles the file VQE_FAST_KERNELS once for every ISA level: VQE_FAST_CALL then runs the function
// of the one for this machine. VQE_FAST_BFLOAT16_LEVELS, defined before it, adds the levels that
// have instructions for bfloat16, for VQE_FAST_CALL_BFLOAT16.
#pragma once

#include "simd/isa.h"
#include "simd/isa_level.h"

#if !defined(VQE_FAST_KERNELS)
#define VQE_FAST_KERNELS "simd/blocks-inl.h"  // where this file is opened by itself
#endif

#undef VQE_FAST_LEVEL
#define VQE_FAST_LEVEL 0
#include VQE_FAST_KERNELS

#if defined(__x86_64__)

#define VQE_FAST_LEVEL_TOGGLE
#undef VQE_FAST_LEVEL
#define VQE_FAST_LEVEL 1
#include VQE_FAST_KERNELS

#undef VQE_FAST_LEVEL_TOGGLE
#undef VQE_FAST_LEVEL
#define VQE_FAST_LEVEL 2
#include VQE_FAST_KERNELS

#if defined(VQE_FAST_BFLOAT16_LEVELS)

#define VQE_FAST_LEVEL_TOGGLE
#undef VQE_FAST_LEVEL
#define VQE_FAST_LEVEL 3
#include VQE_FAST_KERNELS

#undef VQE_FAST_LEVEL_TOGGLE
#undef VQE_FAST_LEVEL
#define VQE_FAST_LEVEL 4
#include VQE_FAST_KERNELS

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
