// Attention kernels. Compiled by for_each_isa.h for every level.

// clang-format off: each needs those before it.
#include "exponential_body.h"
#include "transpose_body.h"
#include "product_body.h"
#include "pack_body.h"
#if VQE_FAST_LEVEL == 4
#include "tiles_body.h"
#endif
#include "attention_operands_body.h"
#include "attention_forward_body.h"
#include "attention_backward_body.h"
