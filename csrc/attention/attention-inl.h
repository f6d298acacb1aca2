// Attention kernels. Compiled by simd/foreach_isa.h for every level.

// clang-format off: each needs those before it.
#include "simd/exp2-inl.h"
#include "simd/transpose-inl.h"
#include "gemm/microkernel-inl.h"
#include "gemm/pack-inl.h"
#if VQE_FAST_LEVEL == 4
#include "gemm/amx-inl.h"
#endif
#include "attention/attention_operands-inl.h"
#include "attention/attention_forward-inl.h"
#include "attention/attention_backward-inl.h"
