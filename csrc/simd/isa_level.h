// What kernels for every ISA level (-inl.h) are written with. VQE_FAST_LEVEL is the level at hand:
// foreach_isa.h goes through all of them, a file that is opened by itself is at the baseline.
//
// An -inl.h includes what it needs, and has its code between VQE_FAST_OPEN_LEVEL, which chooses the
// compiler's target, and VQE_FAST_CLOSE_LEVEL, in namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE. Its
// guard lets it in once for each level: VQE_FAST_LEVEL_TOGGLE is defined at every other one. For
// that it must be included at every level, and whatever is for some of them be left out inside.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if !defined(VQE_FAST_LEVEL)
#define VQE_FAST_LEVEL 0
#endif

#define VQE_FAST_NAMESPACE_0 baseline
#define VQE_FAST_NAMESPACE_1 avx2
#define VQE_FAST_NAMESPACE_2 avx512
#define VQE_FAST_NAMESPACE_3 avx512_bf16
#define VQE_FAST_NAMESPACE_4 amx

#define VQE_FAST_AVX2 "avx2,fma,f16c"
#define VQE_FAST_AVX512 VQE_FAST_AVX2 ",avx512f,avx512bw,avx512dq,avx512vl"
#define VQE_FAST_BF16 VQE_FAST_AVX512 ",avx512bf16"
#define VQE_FAST_AMX VQE_FAST_BF16 ",amx-tile,amx-bf16"

#define VQE_FAST_PRAGMA(...) _Pragma(#__VA_ARGS__)
#if defined(__clang__)
#define VQE_FAST_PUSH_TARGET(features) \
  VQE_FAST_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define VQE_FAST_PUSH_WIDE_TARGET(features) VQE_FAST_PUSH_TARGET(features)
#define VQE_FAST_POP_TARGET VQE_FAST_PRAGMA(clang attribute pop)
#else
#define VQE_FAST_PUSH_TARGET(features) \
  VQE_FAST_PRAGMA(GCC push_options) VQE_FAST_PRAGMA(GCC target(features))
#define VQE_FAST_PUSH_WIDE_TARGET(features) \
  VQE_FAST_PUSH_TARGET(features ",prefer-vector-width=512")
#define VQE_FAST_POP_TARGET VQE_FAST_PRAGMA(GCC pop_options)
#endif

#define VQE_FAST_OPEN_0
#define VQE_FAST_OPEN_1 VQE_FAST_PUSH_TARGET(VQE_FAST_AVX2)
#define VQE_FAST_OPEN_2 VQE_FAST_PUSH_WIDE_TARGET(VQE_FAST_AVX512)
#define VQE_FAST_OPEN_3 VQE_FAST_PUSH_WIDE_TARGET(VQE_FAST_BF16)
#define VQE_FAST_OPEN_4 VQE_FAST_PUSH_WIDE_TARGET(VQE_FAST_AMX)
#define VQE_FAST_CLOSE_0
#define VQE_FAST_CLOSE_1 VQE_FAST_POP_TARGET
#define VQE_FAST_CLOSE_2 VQE_FAST_POP_TARGET
#define VQE_FAST_CLOSE_3 VQE_FAST_POP_TARGET
#define VQE_FAST_CLOSE_4 VQE_FAST_POP_TARGET

#define VQE_FAST_JOIN_NOW(left, right) left##right
#define VQE_FAST_JOIN(left, right) VQE_FAST_JOIN_NOW(left, right)

#define VQE_FAST_LEVEL_NAMESPACE VQE_FAST_JOIN(VQE_FAST_NAMESPACE_, VQE_FAST_LEVEL)
// They end in a declaration of nothing, so that a semicolon can follow.
#define VQE_FAST_OPEN_LEVEL() VQE_FAST_JOIN(VQE_FAST_OPEN_, VQE_FAST_LEVEL) static_assert(true)
#define VQE_FAST_CLOSE_LEVEL() VQE_FAST_JOIN(VQE_FAST_CLOSE_, VQE_FAST_LEVEL) static_assert(true)
